//! The daemon, as its tests start it: with `COW_TEST_TIED` set, it ends when its input does, so with the test that
//! started it, even one that was killed.

use std::env;
use std::io::{self, Read};
use std::process::{self, ExitCode};
use std::thread;

fn main() -> ExitCode {
    if env::var_os("COW_TEST_TIED").is_some() {
        thread::spawn(|| {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            process::exit(3);
        });
    }
    cowd::program::main()
}
