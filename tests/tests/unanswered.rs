//! A call that was done when the daemon was killed, and whose reply never came, is answered and not run twice.
//!
//! That is what a hard mount does: it sends the call again to the next daemon, which knows it from the log.

use std::io::Write;

use cow_tests::daemon::Setup;
use cow_tests::nfs_client::{Call, Client, Failure, Handle, Outcome, Reader, Set};
use cow_tests::scratch::Scratch;

const NO_ENTRY: u32 = 2;
const EXISTS: u32 = 17;
const NOT_SYNCHRONIZED: u32 = 10_002;

/// A call that would fail, or do harm, if it was run twice.
struct Case {
    name: &'static str,
    call: fn(&mut Client, &Handle, &Handle) -> Call,
    /// What another call of the same kind comes to afterwards.
    again: u32,
}

const CASES: [Case; 9] = [
    Case { name: "create", call: |_, root, _| Call::create(root, b"new", 1, &Set::default()), again: EXISTS },
    Case { name: "mkdir", call: |_, root, _| Call::make_directory(root, b"new", &Set::default()), again: EXISTS },
    Case {
        name: "symlink",
        call: |_, root, _| Call::make_symlink(root, b"new", &Set::default(), b"to"),
        again: EXISTS,
    },
    Case { name: "mknod", call: |_, root, _| Call::make_node(root, b"new", 7, &Set::default()), again: EXISTS },
    Case { name: "link", call: |_, root, file| Call::link(file, root, b"new"), again: EXISTS },
    Case { name: "remove", call: |_, root, _| Call::remove(root, b"old"), again: NO_ENTRY },
    Case { name: "rmdir", call: |_, root, _| Call::remove_directory(root, b"old-directory"), again: NO_ENTRY },
    Case { name: "rename", call: |_, root, _| Call::rename(root, b"old", root, b"new"), again: NO_ENTRY },
    Case { name: "setattr", call: guarded, again: NOT_SYNCHRONIZED },
];

/// SETATTR on condition that nobody else changed the file.
fn guarded(client: &mut Client, _root: &Handle, file: &Handle) -> Call {
    let [_, _, changed] = client.attributes(file).unwrap().times;
    Call::set_attributes(file, &Set { mode: Some(0o640), ..Set::default() }, Some(changed))
}

fn status(results: Outcome<Vec<u8>>) -> u32 {
    let results = results.unwrap();
    match Reader(&results).status() {
        Ok(()) => 0,
        Err(Failure::Status(status)) => status,
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn calls_done_before_a_crash_are_answered_after_it() {
    for Case { name, call, again } in CASES {
        let scratch = Scratch::new(name);
        let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
        let daemon = setup.start();
        daemon.done("POST", "/v1/datasets", r#"{"name":"d"}"#);
        let (mut client, mut other) = (Client::connect(daemon.nfs()).unwrap(), Client::connect(daemon.nfs()).unwrap());
        let root = client.mount("/d").unwrap();
        let file = client.create(&root, b"old", true, &Set::default()).unwrap();
        client.make_directory(&root, b"old-directory", 0o755).unwrap();
        let call = call(&mut client, &root, &file);
        let (_, record) = client.encode(&call);
        let mut present = || [&root, &file].map(|of| other.attributes(of).map(|of| of.times).ok());
        let before = present();
        client.stream().write_all(&record).unwrap();
        // Nobody takes the reply; but the call has been done, and is durable with what another client was promised after it.
        while present() == before {}
        other.make_directory(&root, b"promised", 0o755).unwrap();
        daemon.crash();

        let daemon = setup.start();
        let (mut client, mut other) = (Client::connect(daemon.nfs()).unwrap(), Client::connect(daemon.nfs()).unwrap());
        let listed = other.list(&root, 8192).unwrap();
        for _ in 0..2 {
            client.stream().write_all(&record).unwrap();
            assert_eq!(status(client.receive().unwrap().1), 0, "{name}, sent again");
        }
        assert_eq!(status(other.call(&call)), again, "{name}, another call");
        assert_eq!(other.list(&root, 8192).unwrap(), listed, "{name} was run once");
    }
}
