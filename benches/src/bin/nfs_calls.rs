//! Calls of NFS over the loopback, served from the model in memory: what the protocol itself costs.
//!
//! Prints calls and megabytes a second for each kind of call, one at a time and 32 in flight. An
//! argument is the seconds for each line.

use std::time::{Duration, Instant};

use cow_tests::nfs_client::{Call, Client, Handle, Reader, Set, Stable};
use cow_tests::served::serve_model;

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().expect("an address")).expect("a connection");
    let root = client.mount("/model").expect("a mount");
    let file = client.create(&root, b"file", true, &Set::default()).expect("a file");
    for megabyte in 0..64 {
        client.write(&file, megabyte << 20, &vec![megabyte as u8 + 1; 1 << 20], Stable::No).expect("a write");
    }
    for depth in [1, 32] {
        println!("{depth} in flight");
        for (name, length, make) in kinds() {
            let made = make(&root, &file);
            run(&mut client, name, length, depth, Duration::from_secs_f64(seconds), &*made);
        }
    }
}

/// Makes the call of a number.
type Make = Box<dyn Fn(u64) -> Call>;

/// Name, bytes of data, and how to make calls on a directory and a file.
type Kind = (&'static str, usize, fn(&Handle, &Handle) -> Make);

fn kinds() -> [Kind; 7] {
    [
        ("getattr", 0, |_, file| boxed(file, |file, _| Call::get_attributes(file))),
        ("lookup", 0, |root, _| boxed(root, |root, _| Call::lookup(root, b"file"))),
        ("read", 8 << 10, |_, file| boxed(file, |file, n| Call::read(file, n * 7 % 8192 * 8192, 8 << 10))),
        ("read", 1 << 20, |_, file| boxed(file, |file, n| Call::read(file, n % 64 * (1 << 20), 1 << 20))),
        ("write", 8 << 10, |_, file| {
            boxed(file, |file, n| Call::write(file, n * 7 % 8192 * 8192, &[n as u8 | 1; 8 << 10], Stable::No))
        }),
        ("write", 1 << 20, |_, file| {
            boxed(file, |file, n| Call::write(file, n % 64 * (1 << 20), &vec![n as u8 | 1; 1 << 20], Stable::No))
        }),
        ("commit", 0, |_, file| boxed(file, |file, _| Call::commit(file))),
    ]
}

fn boxed(handle: &Handle, make: fn(&Handle, u64) -> Call) -> Make {
    let handle = handle.clone();
    Box::new(move |number| make(&handle, number))
}

fn run(client: &mut Client, name: &str, length: usize, depth: usize, time: Duration, make: &dyn Fn(u64) -> Call) {
    let (began, mut count) = (Instant::now(), 0);
    let calls = (0..).map_while(|number| (began.elapsed() < time).then(|| make(number)));
    let outcome = client.pipeline(depth, calls, |_, results| {
        count += 1;
        Reader(&results?).status()
    });
    outcome.expect("calls succeed");
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    println!("  {name:8} {length:8} bytes  {rate:8.0}/s  {:8.1} MB/s", rate * length as f64 / 1e6);
}
