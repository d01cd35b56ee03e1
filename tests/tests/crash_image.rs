//! A copy of a pool's files, made while cowd is at work on them, opens with all that was acknowledged before.
//!
//! Stopped by a signal, the daemon leaves what a crash of it would. A copy that is made while it runs has files of
//! different moments, which no crash leaves: that one opens sound, or is refused in words, and never has other bytes.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cow_api::v1::path;
use cow_storage::error::ErrorKind;
use cow_tests::daemon::{Daemon, Setup};
use cow_tests::nfs_client::{Client, Outcome, Set, Stable};
use cow_tests::pooled::Pooled;
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;
use rustix::process::Signal;

const ROUNDS: u64 = 6;
const WRITERS: u64 = 2;
const FILE_LEN: usize = 96 << 10;
const WARM_UP: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_copy_of_a_pool_at_work_opens() {
    let scratch = Scratch::new("crash-image");
    let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    let daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"d"}"#);
    let (acknowledged, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let (mut whole, mut torn, mut refused) = (0, 0, 0);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for writer in 0..WRITERS {
            let (daemon, acknowledged, stop) = (&daemon, &acknowledged, &stop);
            scope.spawn(move || write_files(daemon, writer, acknowledged, stop).unwrap());
        }
        let snapshots = scope.spawn(|| take_snapshots(&daemon, &stop));
        for round in 0..ROUNDS {
            wait_for_more(&acknowledged);
            let before = acknowledged.lock().unwrap().clone();
            let copy = scratch.path().join(format!("copy-{round}"));
            let stopped = round % 2 == 0;
            copy_pool(&daemon, &scratch.path().join("pool"), &copy, stopped);
            match Pooled::open(&copy) {
                Ok(pooled) if stopped => {
                    check(&pooled, &before, true);
                    pooled.assert_sound();
                    whole += 1;
                }
                Ok(pooled) => {
                    check(&pooled, &before, false);
                    torn += 1;
                }
                Err(error) => {
                    assert!(!stopped && error.kind() == ErrorKind::Corrupt, "round {round}: {error:?}");
                    refused += 1;
                }
            }
            fs::remove_dir_all(&copy).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(snapshots.join().unwrap() > 2, "too few snapshots");
    });
    println!("{whole} images open, of {} loose copies {torn}", torn + refused);
    assert_eq!(whole, ROUNDS.div_ceil(2));
    assert!(acknowledged.into_inner().unwrap().len() > 20, "too few files to prove anything");
}

/// Ends the threads whatever happens.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file, by what its name and bytes come from.
type Written = (u64, u64);

fn name_of((writer, number): Written) -> String {
    format!("file-{writer}-{number}")
}

fn content_of((writer, number): Written) -> Vec<u8> {
    Random::new(writer << 32 | number).bytes(FILE_LEN)
}

/// Writes one file after another, and notes those whose COMMIT was answered.
fn write_files(daemon: &Daemon, writer: u64, acknowledged: &Mutex<Vec<Written>>, stop: &AtomicBool) -> Outcome<()> {
    let mut client = Client::connect(daemon.nfs())?;
    let root = client.mount("/d")?;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let written = (writer, number);
        let file = client.create(&root, name_of(written).as_bytes(), true, &Set::default())?;
        client.write(&file, 0, &content_of(written), Stable::No)?;
        client.commit(&file)?;
        acknowledged.lock().unwrap().push(written);
    }
    Ok(())
}

/// Takes snapshots and destroys them, so that space is freed and used again.
fn take_snapshots(daemon: &Daemon, stop: &AtomicBool) -> u64 {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return number;
        }
        daemon.done("POST", "/v1/snapshots", &format!(r#"{{"snapshots":[{{"dataset":"d","name":"s{number}"}}]}}"#));
        if number > 3 {
            daemon.done("DELETE", &path::snapshot(&format!("d@s{}", number - 3)), "");
        }
        thread::sleep(Duration::from_millis(5));
    }
    0
}

fn wait_for_more(acknowledged: &Mutex<Vec<Written>>) {
    let (count, until) = (acknowledged.lock().unwrap().len(), Instant::now() + PATIENCE);
    thread::sleep(WARM_UP);
    while acknowledged.lock().unwrap().len() <= count + 2 {
        assert!(Instant::now() < until, "the writers do not go on");
        thread::sleep(Duration::from_millis(5));
    }
}

fn copy_pool(daemon: &Daemon, from: &Path, to: &Path, stopped: bool) {
    fs::create_dir(to).unwrap();
    if stopped {
        daemon.signal(Signal::STOP);
        thread::sleep(Duration::from_millis(20));
    }
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // What cowd itself remembers is no part of the pool's image: SQLite's own tests are about that.
        if path.is_dir() {
            continue;
        }
        let copied = fs::copy(&path, to.join(path.file_name().unwrap()));
        // A segment may be freed while a loose copy is made.
        assert!(copied.is_ok() || !stopped, "{}: {copied:?}", path.display());
    }
    if stopped {
        daemon.signal(Signal::CONT);
    }
}

/// Compares the files with what was written; `all` of them must be there.
fn check(pooled: &Pooled, acknowledged: &[Written], all: bool) {
    let mut client = Client::connect(pooled.url("d").server).unwrap();
    let root = client.mount("/d").unwrap();
    for written in acknowledged {
        let name = name_of(*written);
        let read = client.lookup(&root, name.as_bytes()).and_then(|(file, _)| client.read(&file, 0, FILE_LEN as u32));
        match read {
            Ok((bytes, _)) if all || bytes.len() == FILE_LEN => {
                assert!(bytes == content_of(*written), "{name} is not what was acknowledged");
            }
            other => assert!(!all, "{name}: {:?}", other.map(|(bytes, _)| bytes.len())),
        }
    }
}
