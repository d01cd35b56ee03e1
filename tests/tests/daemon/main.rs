//! The daemon as a whole: its command line, its API, its ends and beginnings.

mod api;
mod clients;
mod hostile;
mod lifetime;
mod rpcbind;
mod shares;
mod transfers;
mod verbs;

use cow_tests::daemon::Setup;
use cow_tests::scratch::Scratch;

/// A daemon in a folder of its own.
fn setup(name: &str) -> (Scratch, Setup) {
    let scratch = Scratch::new(name);
    let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    (scratch, setup)
}
