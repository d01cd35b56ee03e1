//! The command line, as its tests start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cowctl::main()
}
