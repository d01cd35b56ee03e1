//! The program `cowctl`; all of it is in the library, so that tests can build it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    cowctl::main()
}
