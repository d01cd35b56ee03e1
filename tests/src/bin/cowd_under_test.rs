//! The daemon, as its tests start it: with `COW_TEST_TIED` set, it ends when its input does, so with the test that
//! started it, even one that was killed. With `COW_TEST_CLOCK` set, schedules are ahead of time by as many seconds as
//! the file of that name says, and need not be waited for.

use std::io::{self, Read};
use std::process::{self, ExitCode};
use std::time::Duration;
use std::{env, fs, thread};

use cow_api::time::Time;
use cowd::virtualization::Clock;

fn main() -> ExitCode {
    if env::var_os("COW_TEST_TIED").is_some() {
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(3);
        });
    }
    match env::var_os("COW_TEST_CLOCK") {
        None => cowd::program::main(),
        Some(_) => cowd::program::main_by(Clock { now: ahead, rest_max: Duration::from_millis(50) }),
    }
}

/// The present, and what the file says.
fn ahead() -> Time {
    let now = cowd::clock::time(cowd::clock::now());
    let text = env::var_os("COW_TEST_CLOCK").and_then(|file| fs::read_to_string(file).ok());
    let seconds: i64 = text.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Time { seconds: now.seconds + seconds, ..now }
}
