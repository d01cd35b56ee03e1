//! The daemon: see [`cowd::program`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cowd::program::main()
}
