//! cowctl as a program: each verb against the real daemon, each way to end, and what it does on a terminal.

mod ends;
mod help;
mod lock;
mod scrub;
mod share;
mod stand_in;
mod terminal;
mod verbs;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::scratch::Scratch;
use serde_json::Value;

/// A daemon in a folder of its own.
fn start(name: &str) -> (Scratch, Daemon) {
    let scratch = Scratch::new(name);
    let daemon = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path()).start();
    (scratch, daemon)
}

/// The program, without anything of this process's environment that it heeds.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
    for variable in ["COW_SOCKET", "COW_URL", "NO_COLOR", "TERM"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// How a run of cowctl ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        let code = output.status.code().expect("it was not killed");
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs cowctl with the words of `line` at a socket.
fn run(socket: &Path, line: &str) -> Ended {
    program().arg("--socket").arg(socket).args(line.split_whitespace()).output().expect("it starts").into()
}

/// Runs cowctl, which must succeed and say nothing on stderr, and returns what it printed.
fn done(daemon: &Daemon, line: &str) -> String {
    let ended = run(&daemon.socket(), line);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "cowctl {line}");
    ended.stdout
}

/// Runs cowctl with `--json`, and returns what the envelope's kind and data are.
fn json(daemon: &Daemon, line: &str) -> (String, Value) {
    envelope(&done(daemon, &format!("--json {line}")))
}

fn envelope(text: &str) -> (String, Value) {
    let mut envelope: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(envelope["version"], 1, "{text}");
    assert_eq!(envelope.as_object().unwrap().len(), 3, "{text}");
    (envelope["kind"].as_str().unwrap().to_owned(), envelope["data"].take())
}
