//! Starting, refusing to start, stopping, starting again.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cow_tests::daemon::answer;
use cow_tests::nfs_client::{Client, Set, Stable};
use rustix::process::{Pid, Signal, kill_process};

use crate::setup;

#[test]
fn mistakes_end_with_one_line_that_says_what_to_do() {
    let (scratch, setup) = setup("mistakes");
    let config = scratch.path().join("wrong.toml");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let token = scratch.path().join("token");
    fs::write(&token, "short").unwrap();
    let token = token.to_str().unwrap();
    let cases: [(&str, &[&str], i32, &str); 11] = [
        ("", &["--pol", "/x"], 2, "there is no flag --pol; did you mean --pool?"),
        ("", &["frobnicate"], 2, "there is no command 'frobnicate'"),
        ("[nfs]\nlisen = 1\n", &[], 2, "wrong.toml:2: there is no key 'lisen' in [nfs]; did you mean 'listen'?"),
        ("[nfs\n", &[], 2, "wrong.toml:1: "),
        ("", &["--nfs", "nowhere"], 2, "--nfs: 'nowhere' is not an address and a port"),
        ("", &["--http", "127.0.0.1:0"], 2, "control.http needs control.token_file"),
        ("", &["--http", "127.0.0.1:0", "--token-file", token], 1, "token"),
        ("", &["--nfs", &taken], 1, "cannot listen at nfs"),
        ("", &["--control", "/nonexistent/socket"], 1, "cannot listen at the control socket /nonexistent/socket"),
        ("", &["--pool", "/proc/nowhere"], 1, "(give a directory that cowd may write to with --pool)"),
        ("", &["--pool", "/usr"], 1, "/usr is no place for a pool: it holds other files"),
    ];
    for (text, flags, code, expected) in cases {
        fs::write(&config, text).unwrap();
        let (ended, _, said) = setup.run(setup.command().arg("--config").arg(&config).args(flags));
        let told: Vec<&str> = said.lines().filter(|line| line.starts_with("cowd: ")).collect();
        assert_eq!(ended, Some(code), "{flags:?} {text:?}: {said}");
        assert!(told.len() == 1 && told[0].contains(expected), "{flags:?} {text:?}: {said}");
    }
    // None of them left a socket that the next start would stumble upon.
    assert!(setup.start().stop().0.success());
}

#[test]
fn the_default_configuration_checks_and_help_is_help() {
    let (scratch, setup) = setup("defaults");
    let plain = || Command::new(&setup.program);
    let (code, text, _) = setup.run(plain().arg("default-config"));
    assert_eq!(code, Some(0));
    let file = scratch.path().join("default.toml");
    fs::write(&file, &text).unwrap();
    let (code, said, _) = setup.run(plain().arg("check-config").arg("--config").arg(&file));
    assert_eq!((code, said.as_str()), (Some(0), "the configuration is good\n"));
    fs::write(&file, text + "[log]\n").unwrap();
    assert_eq!(setup.run(plain().arg("check-config").arg("--config").arg(&file)).0, Some(2));
    for flag in ["--help", "--version", "help"] {
        let (code, said, _) = setup.run(plain().arg(flag));
        assert!(code == Some(0) && said.contains("cowd"), "{flag}: {said}");
    }
}

#[test]
fn one_pool_has_one_daemon() {
    let (scratch, setup) = setup("one");
    let daemon = setup.start();
    let (code, _, said) = setup.run(&mut setup.command());
    assert!(code == Some(1) && said.contains("is another cowd running?"), "{said}");
    let elsewhere = scratch.path().join("other pool");
    let (code, _, said) = setup.run(setup.command().arg("--pool").arg(elsewhere));
    assert!(code == Some(1) && said.contains("another daemon listens there"), "{said}");
    assert_eq!(daemon.ask("GET", "/v1/status", "").status, 200);
}

#[test]
fn a_restart_keeps_everything() {
    let (_scratch, mut setup) = setup("restart");
    setup.config += "[control]\nsocket_mode = \"0600\"\n";
    let daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"a","properties":{"blocksize":8192,"user":{"team:of":"x"}}}"#);
    let mut client = Client::connect(daemon.nfs()).unwrap();
    let root = client.mount("/a").unwrap();
    let file = client.create(&root, b"file", true, &Set::default()).unwrap();
    client.write(&file, 0, b"as it was", Stable::No).unwrap();
    client.commit(&file).unwrap();
    daemon.done("POST", "/v1/snapshots", r#"{"snapshots":[{"dataset":"a","name":"s"}]}"#);
    daemon.done("PUT", "/v1/snapshots/a%40s/holds/keep", "");
    daemon.done("POST", "/v1/snapshots/a%40s/clone", r#"{"name":"b"}"#);
    daemon.done("DELETE", "/v1/datasets/b", "");
    let (listing, destroyed) = (daemon.done("GET", "/v1/datasets", ""), daemon.done("GET", "/v1/destroyed", ""));
    let mut daemon = Some(daemon);
    for end in [Some(Signal::TERM), Some(Signal::INT), None, Some(Signal::HUP)] {
        let before = daemon.take().unwrap();
        if let Some(signal) = end {
            let (status, took) = before.stop_by(signal);
            assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
        } else {
            before.crash();
        }
        let again = setup.start();
        assert!(again.took < Duration::from_secs(5), "after {end:?}, it took {:?} to start again", again.took);
        assert_eq!(again.done("GET", "/v1/datasets", ""), listing, "after {end:?}");
        assert_eq!(again.done("GET", "/v1/destroyed", ""), destroyed, "after {end:?}");
        // The handle is as good as before, without mounting again.
        let mut client = Client::connect(again.nfs()).unwrap();
        assert_eq!(client.read(&file, 0, 100).unwrap().0, b"as it was");
        daemon = Some(again);
    }
    assert!(!daemon.unwrap().log().contains("ERROR"));
}

#[test]
fn a_lost_superblock_comes_back() {
    let (scratch, setup) = setup("lost");
    let superblock = scratch.path().join("pool/superblock");
    let recover = || setup.run(setup.command().arg("recover-superblock"));
    assert_eq!(recover().0, Some(1), "there is no pool yet");
    let mut daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"a"}"#);
    for is_gone in [false, true] {
        let (code, _, said) = recover();
        assert!(code == Some(1) && said.contains("is another cowd running?"), "{said}");
        let mut client = Client::connect(daemon.nfs()).unwrap();
        let root = client.mount("/a").unwrap();
        let file = client.create(&root, b"file", false, &Set::default()).unwrap();
        client.write(&file, 0, &[u8::from(is_gone); 100], Stable::No).unwrap();
        client.commit(&file).unwrap();
        daemon.crash();
        let (code, _, said) = recover();
        assert!(code == Some(1) && said.contains("has a whole slot"), "{said}");
        match is_gone {
            true => fs::remove_file(&superblock).unwrap(),
            false => fs::write(&superblock, vec![0x55; 128 << 10]).unwrap(),
        }
        let (code, _, said) = setup.run(&mut setup.command());
        assert!(code == Some(1) && said.contains("'cowd recover-superblock --pool "), "{said}");
        let (code, said, _) = recover();
        assert!(code == Some(0) && said.contains("it names commit "), "{said}");
        daemon = setup.start();
        let mut client = Client::connect(daemon.nfs()).unwrap();
        assert_eq!(client.read(&file, 0, 100).unwrap().0, [u8::from(is_gone); 100]);
    }
}

#[test]
fn the_service_manager_is_told() {
    let (scratch, mut setup) = setup("notify");
    let path = scratch.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let heard = |wanted: &str| {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < until, "{wanted:?} never came");
            let mut buffer = [0; 512];
            let length = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted:?} never came: {error}"));
            if String::from_utf8_lossy(&buffer[..length]).contains(wanted) {
                return;
            }
        }
    };
    setup.environment.push(("NOTIFY_SOCKET".into(), path.to_str().unwrap().into()));
    setup.environment.push(("WATCHDOG_USEC".into(), "300000".into()));
    let daemon = setup.start();
    heard("STATUS=opening the pool");
    heard("READY=1");
    (0..3).for_each(|_| heard("WATCHDOG=1"));
    daemon.signal(Signal::TERM);
    heard("STOPPING=1");
}

#[test]
fn a_socket_of_the_service_managers_is_served_and_left_to_it() {
    let (scratch, setup) = setup("activated");
    let path = scratch.path().join("activated.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // The shell moves the socket to where systemd would put it, and is replaced by the daemon.
    let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0 </dev/null";
    let plain = setup.command();
    let start = || {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh"]).arg(plain.get_program()).args(plain.get_args());
        command.stdin(OwnedFd::from(listener.try_clone().unwrap())).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    for _ in 0..2 {
        let mut child = start();
        // Who connects before the daemon serves waits for it.
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.0\r\n\r\n").unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(answer(&received).unwrap().status, 200);
    }
    assert!(path.exists() && !setup.socket().exists());
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let (scratch, _) = setup("units");
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/systemd");
    let read = |name: &str| fs::read_to_string(units.join(name)).unwrap();
    let copy = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    // The program is not installed here.
    let service = copy("cowd.service", &read("cowd.service").replace("/usr/bin/cowd", "/bin/true"));
    let socket = copy("cowd.socket", &read("cowd.socket"));
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").arg(service).arg(socket).output() else {
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let faults: Vec<&str> = said.lines().filter(|line| line.contains("cowd.")).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
