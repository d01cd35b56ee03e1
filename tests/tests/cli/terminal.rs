//! What happens on a terminal only: colours, questions, a bar, and Ctrl-C.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::stand_in::{StandIn, job};
use crate::{done, start};

/// util-linux's `script` runs a program on a terminal of its own.
fn on_terminal(socket: &Path, line: &str) -> Option<Child> {
    if !Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: there is no /usr/bin/script");
        return None;
    }
    let program = env!("CARGO_BIN_EXE_cowctl-under-test");
    let mut command = Command::new("/usr/bin/script");
    command.args(["-q", "-e", "-c", &format!("{program} --socket {} {line}", socket.display()), "/dev/null"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    Some(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

/// Types `keys` once `prompt` is to be read, and returns all that the terminal showed, and the exit code.
fn talk(mut child: Child, prompts: &[(&str, &str)]) -> (String, i32) {
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut shown, mut buffer) = (String::new(), [0; 4096]);
    let mut prompts = prompts.iter();
    let mut next = prompts.next();
    loop {
        let length = stdout.read(&mut buffer).unwrap_or(0);
        if length == 0 {
            break;
        }
        shown += &String::from_utf8_lossy(&buffer[..length]);
        while let Some((prompt, keys)) = next.filter(|(prompt, _)| shown.contains(prompt)) {
            let _ = prompt;
            stdin.write_all(keys.as_bytes()).unwrap();
            next = prompts.next();
        }
    }
    assert!(next.is_none(), "{next:?} did not come up in {shown:?}");
    (shown, child.wait().unwrap().code().unwrap())
}

#[test]
fn destroy_asks_first() {
    let (_scratch, daemon) = start("cli-asks");
    done(&daemon, "create a");
    done(&daemon, "create b");
    let Some(child) = on_terminal(&daemon.socket(), "destroy a b") else { return };
    let (shown, code) = talk(child, &[("Go on? [y/N] ", "\n")]);
    assert!(shown.contains("would destroy b, ") && shown.contains("nothing was destroyed"), "{shown}");
    assert_eq!((code, done(&daemon, "list -Ho name").as_str()), (1, "a\nb\n"));
    let child = on_terminal(&daemon.socket(), "destroy a").unwrap();
    let (shown, code) = talk(child, &[("Go on? [y/N] ", "y\n")]);
    assert!(shown.contains("Destroyed a, "), "{shown}");
    assert_eq!((code, done(&daemon, "list -Ho name").as_str()), (0, "b\n"));
    let (shown, code) = talk(on_terminal(&daemon.socket(), "destroy --yes b").unwrap(), &[]);
    assert!(code == 0 && !shown.contains("Go on?"), "{shown}");
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let (_scratch, daemon) = start("cli-colours");
    done(&daemon, "create a");
    assert!(!done(&daemon, "list").contains('\u{1b}'));
    let Some(child) = on_terminal(&daemon.socket(), "list") else { return };
    assert!(talk(child, &[]).0.contains("\u{1b}[1mNAME"));
    let mut child = on_terminal(&daemon.socket(), "nope").unwrap();
    child.stdin.take();
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(shown.contains("\u{1b}[1;31mcowctl:\u{1b}[0m there is no command"), "{shown}");
    child.wait().unwrap();
    let plain = Command::new("/usr/bin/script")
        .args(["-q", "-e", "-c"])
        .arg(format!("NO_COLOR=1 {} help nope", env!("CARGO_BIN_EXE_cowctl-under-test")))
        .arg("/dev/null")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!plain.stdout.contains(&0x1b), "{}", plain.stdout.escape_ascii());
}

/// A job that runs until it is cancelled, or until its state was asked for `looks` times.
fn long_job(looks: u64) -> (StandIn, Arc<AtomicBool>) {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (heard, asked) = (Arc::clone(&cancelled), AtomicU64::new(0));
    let stand_in = StandIn::new(move |method, target| {
        if method == "DELETE" {
            heard.store(true, Ordering::Relaxed);
        }
        if target.starts_with("/v1/jobs/1?wait") {
            thread::sleep(Duration::from_millis(50));
            asked.fetch_add(1, Ordering::Relaxed);
        }
        let state = match (heard.load(Ordering::Relaxed), asked.load(Ordering::Relaxed) >= looks) {
            (true, _) => "cancelled",
            (false, true) => "done",
            (false, false) => "running",
        };
        (200, job("import", state, Value::Null))
    });
    (stand_in, cancelled)
}

#[test]
fn a_bar_shows_how_far_a_job_is() {
    let (stand_in, _) = long_job(5);
    let Some(child) = on_terminal(stand_in.socket(), "import / d") else { return };
    let (shown, code) = talk(child, &[]);
    assert!(shown.contains("[############------------------]  42.0%  42 B  1 B/s"), "{shown}");
    assert!(code == 0 && shown.ends_with("job 1: something, done 42%\r\n"), "{shown}");
}

#[test]
fn ctrl_c_asks_whether_the_job_goes_on() {
    let (stand_in, cancelled) = long_job(u64::MAX);
    let Some(child) = on_terminal(stand_in.socket(), "import / d") else { return };
    let (shown, code) = talk(child, &[("42.0%", "\x03"), ("[c/f/L] ", "\n")]);
    assert!(shown.contains("Job 1 goes on. Follow it with 'cowctl job follow 1'"), "{shown}");
    assert!(code == 1 && !cancelled.load(Ordering::Relaxed));

    let child = on_terminal(stand_in.socket(), "job follow 1").unwrap();
    let (shown, code) = talk(child, &[("42.0%", "\x03"), ("[c/f/L] ", "c\n")]);
    assert!(shown.contains("job 1 was cancelled"), "{shown}");
    assert!(code == 1 && cancelled.load(Ordering::Relaxed));

    let (stand_in, cancelled) = long_job(30);
    let child = on_terminal(stand_in.socket(), "job follow 1").unwrap();
    let (shown, code) = talk(child, &[("42.0%", "\x03"), ("[c/f/L] ", "f\n")]);
    assert!(code == 0 && shown.ends_with("job 1: something, done 42%\r\n"), "{shown}");
    assert!(!cancelled.load(Ordering::Relaxed));
}
