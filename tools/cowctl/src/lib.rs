//! The command line of cow: it asks the daemon, and prints what it says.
//!
//! Invariant: results go to stdout and nothing else does; the exit code says what kind of end it was.

mod arguments;
mod client;
mod commands;
mod failure;
mod follow;
mod help;
mod http;
mod output;
mod render;
mod table;

use std::process::ExitCode;

use crate::arguments::{Invocation, parse};
use crate::commands::Session;
use crate::failure::Failure;

/// Does what the command line says, and returns what to exit with.
pub fn main() -> ExitCode {
    let output = output::Output::new(arguments::asks_for_json(std::env::args_os()));
    let ended = parse(std::env::args_os().skip(1)).and_then(|invocation| run(&output, invocation));
    match ended.and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(output.tell(&failure)),
    }
}

fn run(output: &output::Output, invocation: Invocation) -> Result<(), Failure> {
    match invocation {
        Invocation::Help(text) => output.text(&text),
        Invocation::Run { command, globals, given } => {
            let session = Session { client: client::Client::new(&globals)?, output };
            (command.run)(&session, &given)
        }
    }
}
