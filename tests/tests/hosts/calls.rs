//! What a command may be, and what comes back of it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use cowd::hosts::{Command, Finished, Patient, Why};

use crate::{Bench, Deadline};

#[test]
fn commands_come_back_as_they_ended() {
    let Some(bench) = Bench::new("calls", 1) else { return };
    let target = bench.deploy(1);
    let profile = bench.lab.host(1).folder().join("home/deploy/.bash_profile");
    fs::write(&profile, "echo noise; echo noise >&2; export FROM_PROFILE=yes\n").unwrap();
    fs::write(profile.with_file_name(".bashrc"), "echo more noise; echo more noise >&2\n").unwrap();
    let long = "x'\"$\\\n".repeat(2500);
    let many: String = (0..1_000_000).map(|at| char::from(b'!' + (at % 90) as u8)).collect();
    let all: Vec<u8> = (0..=255).collect();
    let login = |text: &str| Command { use_login_shell: true, ..Command::new(text) };
    for (command, exit_code, stdout, stderr) in [
        (Command::new("echo out; echo err >&2; exit 7"), 7, b"out\n".to_vec(), b"err\n".to_vec()),
        (Command::new("pwd; id -un; echo $BASH | grep -o bash"), 0, b"/home/deploy\ndeploy\nbash\n".to_vec(), vec![]),
        (Command::new("exit 255"), 255, vec![], vec![]),
        (Command::new("kill -9 $BASHPID"), 137, vec![], vec![]),
        (Command::new("printf x"), 0, b"x".to_vec(), vec![]),
        (Command::new(""), 0, vec![], vec![]),
        (Command::new("false # no newline"), 1, vec![], vec![]),
        (Command::new("cat"), 0, vec![], vec![]),
        (Command::new("exec cat /dev/null"), 0, vec![], vec![]),
        (Command { input: all.clone(), ..Command::new("cat") }, 0, all, vec![]),
        (Command { input: vec![b'y'; 300_000], ..Command::new("true") }, 0, vec![], vec![]),
        (Command::new("printf '\\0\\377\\n'"), 0, vec![0, 255, 10], vec![]),
        (
            Command::new("printf %s \"$a\"; env | grep -c ^a=").with("a", &long),
            0,
            [long.as_bytes(), b"1\n"].concat(),
            vec![],
        ),
        (Command::new("printf %s \"$a\"; /bin/true").with("a", &many), 0, many.clone().into_bytes(), vec![]),
        (Command::new("echo ${#a}").with("a", ""), 0, b"0\n".to_vec(), vec![]),
        (Command::new("echo $FROM_PROFILE"), 0, b"\n".to_vec(), vec![]),
        (login("echo $FROM_PROFILE; shopt -q login_shell"), 0, b"yes\n".to_vec(), vec![]),
        (login("cat; echo \"$a\"; exit 9").with("a", "é ☃"), 9, "é ☃\n".as_bytes().to_vec(), vec![]),
    ] {
        let finished = bench.run(&target, &command);
        assert!(finished == Finished { exit_code, stdout, stderr }, "{}: {}", command.text, shown(&finished));
    }
    // What bash cannot parse is its error, with what stood before it done.
    let finished = bench.run(&target, &Command::new("echo before\nif then"));
    assert!(finished.exit_code == 2 && finished.stdout == b"before\n", "{}", shown(&finished));
    assert!(String::from_utf8_lossy(&finished.stderr).contains("syntax error"), "{}", shown(&finished));
}

fn shown(finished: &Finished) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    format!("{} {:?} {:?}", finished.exit_code, text(&finished.stdout), text(&finished.stderr))
}

#[test]
fn much_comes_back_and_too_much_is_refused() {
    let Some(bench) = Bench::new("much", 1) else { return };
    let target = bench.deploy(1);
    let finished = bench.run(&target, &Command::new("head -c 100000000 /dev/zero | tr '\\0' '\\36'; echo end >&2"));
    assert_eq!((finished.exit_code, finished.stdout.len(), finished.stderr), (0, 100_000_000, b"end\n".to_vec()));
    assert!(finished.stdout.iter().all(|byte| *byte == 0o36));
    let error = bench.hosts.run(&target, &Command::new("echo $$ >pid; exec yes"), &Patient).unwrap_err();
    assert!(matches!(error.why, Why::TooMuch(_)), "{error}");
    await_end(&bench, "pid");
}

/// Waits until the process whose number is in that file of deploy's is gone from h1.
fn await_end(bench: &Bench, file: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    let text = format!("! kill -0 $(cat /home/deploy/{file})");
    while bench.lab.host(1).run(&text).is_err() {
        let shown = || bench.lab.host(1).run("ps -eo pid,pgid,sid,stat,args").unwrap_or_default();
        assert!(Instant::now() < until, "it runs on:\n{}", shown());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn children_that_stay_hold_nobody_up() {
    let Some(bench) = Bench::new("stay", 1) else { return };
    let target = bench.deploy(1);
    let began = Instant::now();
    // More of them than sshd allows sessions.
    for number in 0..15 {
        let text = format!("(trap '' PIPE; sleep 600; echo late) & echo $! >child; echo {number}");
        let command = Command::new(text).within(Duration::from_secs(20));
        assert_eq!(bench.run(&target, &command).stdout, format!("{number}\n").into_bytes());
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(bench.said(&target, "kill -0 $(cat child) && echo lives"), "lives\n");
}

#[test]
fn a_call_ends_when_its_caller_wants_no_more_and_so_does_the_command() {
    let Some(bench) = Bench::new("cancel", 1) else { return };
    let target = bench.deploy(1);
    bench.said(&target, "true");
    let command = Command::new("trap '' TERM; echo $$ >pid; sleep 600 & echo $! >child; while :; do sleep 1; done");
    let began = Instant::now();
    let error = bench.hosts.run(&target, &command, &Deadline(began + Duration::from_secs(1))).unwrap_err();
    assert!(error.is_cancelled() && began.elapsed() < Duration::from_millis(1800), "{error} {:?}", began.elapsed());
    ["pid", "child"].into_iter().for_each(|file| await_end(&bench, file));
    bench.said(&target, "rm pid child");
    let began = Instant::now();
    let error = bench.hosts.run(&target, &command.within(Duration::from_secs(1)), &Patient).unwrap_err();
    assert!(matches!(error.why, Why::TimedOut(_)) && began.elapsed() < Duration::from_millis(1800), "{error}");
    ["pid", "child"].into_iter().for_each(|file| await_end(&bench, file));
}

#[test]
fn many_call_at_once_and_none_is_refused() {
    let Some(bench) = Bench::new("crowd", 1) else { return };
    let target = bench.deploy(1);
    thread::scope(|scope| {
        for number in 0..24 {
            let (bench, target) = (&bench, &target);
            scope.spawn(move || {
                let said = bench.said(target, &format!("sleep 0.3; echo {number}"));
                assert_eq!(said, format!("{number}\n"));
            });
        }
    });
    let began = Instant::now();
    (0..20).for_each(|_| assert_eq!(bench.said(&target, "echo x"), "x\n"));
    eprintln!("a small command takes {:?}", began.elapsed() / 20);
}
