//! How clients misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::nfs_client::{Call, Client, Failure, Handle, Set, Stable};
use cow_tests::random::Random;
use rustix::net::sockopt::set_socket_linger;

use crate::{BAD, CALL_TIME_MAX, Siege};

/// An attack; it says what it did.
type Attack = fn(&Siege) -> String;

/// All of them, by name.
pub const ATTACKS: [(&str, Attack); 9] = [
    ("nothing", nothing),
    ("resets", resets),
    ("giants", giants),
    ("half-records", half_records),
    ("slow-writers", slow_writers),
    ("idle-connections", idle_connections),
    ("no-takers", no_takers),
    ("random-calls", random_calls),
    ("replays", replays),
];

/// Bytes of records that are announced: the longest there are, and such as fit beside many of them.
const ANNOUNCED_LENS: [u32; 2] = [1 << 20, 60 << 10];
/// Bytes of them that are sent.
const SENT_LEN: usize = 20 << 10;

fn nothing(siege: &Siege) -> String {
    while siege.goes_on() {
        thread::sleep(Duration::from_millis(10));
    }
    "nothing is done".to_owned()
}

/// Connects and resets at once.
fn resets(siege: &Siege) -> String {
    let mut count = 0;
    while siege.goes_on() {
        if let Some(mut client) = siege.client(count % BAD.len()) {
            let _ = set_socket_linger(client.stream(), Some(Duration::ZERO));
        }
        count += 1;
    }
    format!("{count} connections are reset")
}

/// Announces more than anybody can hold, in several ways.
fn giants(siege: &Siege) -> String {
    let heads: [&[u8]; 4] = [&[0xff; 8], &[0x7f, 0xff, 0xff, 0xff], &[0x80, 0x20, 0, 0], &[0; 4096]];
    let mut count = 0;
    while siege.goes_on() {
        if let Some(mut client) = siege.client(count % BAD.len()) {
            let _ = client.stream().write_all(heads[count % heads.len()]);
        }
        count += 1;
    }
    format!("{count} giants are announced")
}

/// Announces long records, and sends but their front: from all addresses, far more than fits in memory.
fn half_records(siege: &Siege) -> String {
    let mut open = Vec::new();
    for number in 0..400 {
        let mark = (ANNOUNCED_LENS[number / 200] | 1 << 31).to_be_bytes();
        let Some(mut client) = siege.client(number % BAD.len()) else { continue };
        let _ = client.stream().set_nonblocking(true);
        let _ = client.stream().write(&mark).and_then(|_| client.stream().write(&[0; SENT_LEN]));
        open.push(client);
    }
    // Long enough that who has to wait for them is seen to.
    nothing(&Siege { until: siege.until + CALL_TIME_MAX, ..*siege });
    format!("{} records are begun", open.len())
}

/// Sends a whole call, byte by byte.
fn slow_writers(siege: &Siege) -> String {
    let mut writers: Vec<(Client, Vec<u8>)> = (0..60)
        .filter_map(|number| siege.client(number % BAD.len()))
        .map(|mut client| {
            let record = client.encode(&Call::mount(1, &[b'/'; 900])).1;
            (client, record)
        })
        .collect();
    let mut sent = 0;
    while siege.goes_on() {
        for (client, record) in &mut writers {
            sent += client.stream().write(&record[sent % record.len()..][..1]).unwrap_or(0);
        }
        thread::sleep(Duration::from_millis(5));
    }
    format!("{} connections sent {sent} bytes one by one", writers.len())
}

/// Holds connections and does nothing with them.
fn idle_connections(siege: &Siege) -> String {
    let open: Vec<Client> = (0..1000).filter_map(|number| siege.client(number % 2)).collect();
    nothing(siege);
    format!("{} connections are idle", open.len())
}

/// Asks for much and takes none of it.
fn no_takers(siege: &Siege) -> String {
    let (mut client, _, file) = mounted(siege, 0).expect("an attacker may mount");
    client.write(&file, 0, &vec![7; 1 << 20], Stable::No).expect("and write");
    let mut greedy: Vec<Client> = (0..40).filter_map(|number| siege.client(number % 2)).collect();
    let mut asked = 0;
    for client in &mut greedy {
        let _ = client.stream().set_write_timeout(Some(Duration::from_millis(20)));
        asked += (0..64).take_while(|_| client.send(&Call::read(&file, 0, 1 << 20)).is_ok()).count();
    }
    nothing(siege);
    format!("{} connections asked for {asked} MiB", greedy.len())
}

/// A client that has a directory and a file of its own.
fn mounted(siege: &Siege, attacker: usize) -> Option<(Client, Handle, Handle)> {
    let mut client = siege.client(attacker)?;
    let root = client.mount("/kept").ok()?;
    let name = format!("of-attacker-{attacker}");
    let directory = client.make_directory(&root, name.as_bytes(), 0o755).or_else(|_| client.walk(&root, &name)).ok()?;
    let file = client.create(&directory, b"file", false, &Set::default()).ok()?;
    Some((client, directory, file))
}

/// Calls with random arguments, many of which begin with a good handle.
fn random_calls(siege: &Siege) -> String {
    let mut random = Random::new(5);
    let (mut client, directory, file) = mounted(siege, 0).expect("an attacker may mount");
    let (mut answered, mut closed) = (0, 0);
    // As many as are asked for, however long each may take.
    while siege.goes_on() || answered < 10_000 {
        let length = random.below(200) as usize;
        let mut arguments = random.bytes(length);
        if random.below(2) == 0 {
            let handle = &random.pick(&[&directory, &file]).0;
            arguments.splice(0..0, [&(handle.len() as u32).to_be_bytes()[..], handle].concat());
        }
        for word in arguments.chunks_exact_mut(4).skip(12) {
            if random.below(2) == 0 {
                word.copy_from_slice(&[0, 0, 0, word[3] % 8]);
            }
        }
        let program = *random.pick(&[100_003, 100_003, 100_003, 100_005, 100_021, 100_024, 100_227]);
        match client.call(&Call { program, procedure: random.below(24) as u32, arguments }) {
            Ok(_) | Err(Failure::Refused(..)) => answered += 1,
            Err(_) => {
                closed += 1;
                client = siege.client(0).expect("an attacker may connect");
            }
        }
    }
    format!("{answered} random calls were answered, {closed} ended their connection")
}

/// Sends all calls of a client again: on its own connection, on new ones, and from another address.
fn replays(siege: &Siege) -> String {
    let captured = capture(siege);
    let mut count = 0;
    while siege.goes_on() || count == 0 {
        for attacker in [0, 1, 2] {
            for calls in captured.chunks(16) {
                let Some(mut client) = siege.client(attacker) else { continue };
                for call in calls {
                    count += usize::from(client.stream().write_all(call).is_ok());
                }
                drain(client.stream());
            }
        }
    }
    format!("{} captured calls were sent again, {count} times in all", captured.len())
}

/// The records of a client that makes, writes, renames and removes.
fn capture(siege: &Siege) -> Vec<Vec<u8>> {
    let (mut client, directory, file) = mounted(siege, 0).expect("an attacker may mount");
    let mut calls = vec![Call::null(), Call::mount(1, b"/kept"), Call::mounts(5), Call::commit(&file)];
    for number in 0..40 {
        let (name, other) = (format!("n{number}"), format!("m{number}"));
        let (name, other) = (name.as_bytes(), other.as_bytes());
        calls.push(Call::create(&directory, name, 1, &Set::default()));
        calls.push(Call::write(&file, number * 4096, &[number as u8; 4096], Stable::File));
        calls.push(Call::rename(&directory, name, &directory, other));
        calls.push(Call::link(&file, &directory, name));
        calls.push(Call::remove(&directory, if number % 3 == 0 { name } else { other }));
        calls.push(Call::read_directory_plus(&directory, 0, 0, 4096, 8192));
        calls.push(Call::set_attributes(&file, &Set { size: Some(number * 1000), ..Set::default() }, None));
    }
    let records: Vec<Vec<u8>> = calls.iter().map(|call| client.encode(call).1).collect();
    for record in &records {
        client.stream().write_all(record).expect("the calls can be made");
        let _ = client.receive().expect("and are answered");
    }
    records
}

/// Takes what is answered within a moment.
fn drain(stream: &mut TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(5)));
    let (began, mut buffer) = (Instant::now(), [0; 16 << 10]);
    while began.elapsed() < Duration::from_millis(50) && stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}
