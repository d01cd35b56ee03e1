//! What happens on a terminal only: colours, questions, a bar, and Ctrl-C.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::stand_in::{StandIn, job};
use crate::{done, start};

/// A program that runs on a terminal of its own, and the other side of that terminal.
struct OnTerminal {
    child: Child,
    master: File,
}

/// Runs cowctl on a terminal.
fn on_terminal(socket: &Path, line: &str) -> Option<OnTerminal> {
    on_terminal_with(&["--socket", socket.to_str().unwrap()], line, None)
}

/// util-linux's `setsid` makes the terminal the one that Ctrl-C is heard on.
fn on_terminal_with(flags: &[&str], line: &str, no_color: Option<&str>) -> Option<OnTerminal> {
    let setsid = Path::new("/usr/bin/setsid");
    if !setsid.exists() {
        eprintln!("skipped: there is no {}", setsid.display());
        return None;
    }
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).and_then(|()| unlockpt(&master)).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let side = || open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut command = Command::new(setsid);
    command.args(["--ctty", env!("CARGO_BIN_EXE_cowctl-under-test")]).args(flags).args(line.split(' '));
    command.env("TERM", "xterm").env_remove("NO_COLOR").envs(no_color.map(|value| ("NO_COLOR", value)));
    let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
    Some(OnTerminal { child, master: File::from(master) })
}

/// Types keys once their prompt is to be read, and returns all that the terminal showed, and the exit code.
fn talk(mut on: OnTerminal, prompts: &[(&str, &str)]) -> (String, i32) {
    let (mut shown, mut buffer) = (String::new(), [0; 4096]);
    let mut prompts = prompts.iter();
    let mut next = prompts.next();
    // A terminal whose program has ended fails to be read.
    while let Ok(length @ 1..) = on.master.read(&mut buffer) {
        shown += &String::from_utf8_lossy(&buffer[..length]);
        while let Some((_, keys)) = next.filter(|(prompt, _)| shown.contains(prompt)) {
            on.master.write_all(keys.as_bytes()).unwrap();
            next = prompts.next();
        }
    }
    assert!(next.is_none(), "{next:?} did not come up in {shown:?}");
    (shown, on.child.wait().unwrap().code().unwrap())
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
    let (shown, _) = talk(on_terminal(&daemon.socket(), "nope").unwrap(), &[]);
    assert!(shown.contains("\u{1b}[1;31mcowctl:\u{1b}[0m there is no command"), "{shown}");
    let (plain, _) = talk(on_terminal_with(&[], "help nope", Some("1")).unwrap(), &[]);
    assert!(plain.contains("there is no command") && !plain.contains('\u{1b}'), "{plain}");
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
