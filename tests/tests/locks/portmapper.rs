//! The stand-in for rpcbind, and what is taken by UDP.

use std::net::{SocketAddr, UdpSocket};

use cow_tests::nfs_client::{Call, Client, MOUNT, NFS, NLM, NSM, PORTMAP, Writer};
use cow_tests::nlm_client::{Lock, stat};

use crate::{LONG, SHORT, World};

fn port_of(program: u32, protocol: u32) -> Call {
    Call { program: PORTMAP, procedure: 3, arguments: Writer::default().words(&[program, 3, protocol, 0]).0 }
}

/// Makes a call by UDP, and returns the whole answer, if there is one.
fn by_datagram(own: u8, server: SocketAddr, call: &Call) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, own], 0))).unwrap();
    let (_, record) = Client::connect(server).unwrap().encode(call);
    socket.set_read_timeout(Some(SHORT)).unwrap();
    socket.send_to(&record[4..], server).unwrap();
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).ok()?;
    assert!(length <= record.len() - 4, "an answer is longer than its call");
    assert_eq!(answer[..4], record[4..8], "it is an answer to something else");
    Some(answer[..length].to_vec())
}

#[test]
fn programs_are_found_and_nothing_else_is() {
    let mut world = World::new();
    // Nobody has asked it to stand in for rpcbind.
    let mut client = Client::connect(world.address()).unwrap();
    client.call(&port_of(NFS, 6)).unwrap_err();
    let portmapper = world.server.serve_portmapper("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = u32::from(world.address().port());
    let mut client = Client::connect(portmapper).unwrap();
    for (program, protocol, expected) in [
        (NFS, 6, port),
        (MOUNT, 6, port),
        (NLM, 6, port),
        (NSM, 6, port),
        (NSM, 17, port),
        (NFS, 17, 0),
        (NLM, 17, 0),
        (100_099, 6, 0),
    ] {
        let expected = Writer::default().words(&[expected]).0;
        assert_eq!(client.call(&port_of(program, protocol)).unwrap(), expected, "{program} {protocol}");
        let answer = by_datagram(1, portmapper, &port_of(program, protocol)).unwrap();
        assert_eq!(answer[answer.len() - 4..], expected);
    }
    let list = Call { program: PORTMAP, procedure: 4, arguments: Vec::new() };
    assert_eq!(client.call(&list).unwrap().len(), 5 * 20 + 4);
    // What is long is told to nobody whose address may be another's, and nobody can register.
    let denied = by_datagram(1, portmapper, &list).unwrap();
    assert_eq!(denied[denied.len() - 4..], [0, 0, 0, 3]);
    for procedure in [1, 2] {
        let arguments = Writer::default().words(&[NFS, 4, 6, 7]).0;
        client.call(&Call { program: PORTMAP, procedure, arguments }).unwrap_err();
    }
    // The files are not served by UDP.
    world.server.serve_notices().unwrap();
    assert_eq!(by_datagram(1, world.address(), &Call { program: NFS, procedure: 0, arguments: Vec::new() }), None);
    // Another version of NFS, which the client finds out there; the port of the portmapper serves all the same.
    assert_eq!(client.mount("/model").unwrap(), Client::connect(world.address()).unwrap().mount("/model").unwrap());
}

#[test]
fn a_client_that_restarted_tells_by_datagram() {
    let mut world = World::new();
    world.server.serve_notices().unwrap();
    let (mut one, mut two) = (world.client(2), world.client(3));
    let lock = Lock::all(&world.file, 7, true);
    assert_eq!((one.lock(&lock), two.wait(&lock)), (stat::GRANTED, stat::BLOCKED));
    let arguments = Writer::default().opaque(b"client-2").words(&[5]).0;
    let notice = Call { program: NSM, procedure: 6, arguments };
    // Another's notice, whatever name it says, is about itself.
    by_datagram(3, world.address(), &notice).unwrap();
    assert_eq!((one.lock(&lock), two.wait(&lock)), (stat::GRANTED, stat::BLOCKED));
    by_datagram(2, world.address(), &notice).unwrap();
    assert!(world.lockd.next(LONG).is_some());
    assert_eq!(one.lock(&lock), stat::DENIED);
}
