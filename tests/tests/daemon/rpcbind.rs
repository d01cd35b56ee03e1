//! Registered with a real rpcbind, in namespaces of its own: the host's programs find cowd without being told the port.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use cow_api::v1::path;
use cow_tests::daemon::{Daemon, Setup};
use cow_tests::scratch::{Scratch, is_root};
use serde_json::json;

/// A network and a `/run` of its own, with an rpcbind. All of it goes when this does.
struct Host {
    process: Child,
    id: String,
}

impl Host {
    /// `None` where that cannot be had.
    fn new() -> Option<Self> {
        let is_there =
            |program: &str| ["/usr/sbin", "/sbin", "/usr/bin"].iter().any(|at| Path::new(at).join(program).exists());
        let missing =
            ["rpcbind", "showmount", "rpcinfo", "unshare", "nsenter", "ip"].into_iter().find(|name| !is_there(name));
        if !is_root() || missing.is_some() {
            eprintln!("skipped: this needs root, and rpcbind, nfs-common, iproute2 and util-linux");
            return None;
        }
        let script = "echo $$; mount -t tmpfs tmpfs /run && ip link set lo up && exec rpcbind -f";
        let mut process = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", script])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut id = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut id).unwrap();
        let host = Self { process, id: id.trim().to_owned() };
        if host.id.is_empty() {
            eprintln!("skipped: no namespaces can be made here");
            return None;
        }
        // The host's own tree, which is not this one's.
        let socket = Path::new("/proc").join(&host.id).join("root").join("run/rpcbind.sock");
        let until = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < until, "rpcbind does not come up");
            thread::sleep(Duration::from_millis(5));
        }
        Some(host)
    }

    /// A daemon on this host, which is told to register.
    fn setup(&self, scratch: &Scratch, name: &str) -> Setup {
        let folder = scratch.path().join(name);
        fs::create_dir(&folder).unwrap();
        let program = folder.join("cowd");
        let text = format!(
            "#!/bin/sh\nexec nsenter -t {} -n -m -- {} \"$@\"\n",
            self.id,
            env!("CARGO_BIN_EXE_cowd-under-test")
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut setup = Setup::new(program.to_str().unwrap(), &folder);
        setup.config += "[nfs]\nrpcbind = true\n";
        setup.flags = vec!["--nfs".to_owned(), ":0".to_owned()];
        setup
    }

    /// Runs a program on this host; what it printed, if it succeeded.
    fn run(&self, line: &str) -> Result<String, String> {
        let words = line.split_whitespace();
        let command = Command::new("nsenter").args(["-t", &self.id, "-n", "-m", "--"]).args(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if command.status.success() { Ok(text(&command.stdout)) } else { Err(text(&command.stderr)) }
    }

    /// Program, version, network and port of what is registered of NFS, MOUNT, NLM and NSM.
    fn registered(&self) -> Vec<String> {
        let table = self.run("rpcinfo -p 127.0.0.1").unwrap();
        let rows = table.lines().map(|line| line.split_whitespace().take(4).collect::<Vec<_>>().join(" "));
        let mut rows: Vec<String> = rows
            .filter(|row| ["100003", "100005", "100021", "100024"].iter().any(|program| row.starts_with(program)))
            .collect();
        rows.sort();
        rows
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn rows(daemon: &Daemon) -> Vec<String> {
    let programs = ["100003 3 tcp", "100005 3 tcp", "100021 4 tcp", "100024 1 tcp", "100024 1 udp"];
    programs.map(|program| format!("{program} {}", daemon.nfs().port())).to_vec()
}

#[test]
fn the_hosts_programs_find_what_is_registered() {
    let Some(host) = Host::new() else { return };
    let scratch = Scratch::new("rpcbind");
    let daemon = host.setup(&scratch, "one").start();
    assert_eq!(host.registered(), rows(&daemon));
    assert!(
        host.run("rpcinfo").unwrap().lines().filter(|line| line.contains("tcp6") && line.contains("10000")).count()
            >= 4
    );
    assert!(host.run("rpcinfo -T tcp 127.0.0.1 100003 3").is_ok() && host.run("rpcinfo -T tcp6 ::1 100005 3").is_ok());
    for name in ["a", "a/b", "hidden"] {
        daemon.done("POST", path::DATASETS, &json!({ "name": name }).to_string());
    }
    daemon.done("PATCH", &path::share("a/b"), r#"{"rules":["10.1.0.0/16 rw","127.0.0.1 ro"]}"#);
    daemon.done("PATCH", &path::share("hidden"), r#"{"off":true}"#);
    let exports = host.run("showmount -e --no-headers 127.0.0.1").unwrap();
    let exports: Vec<Vec<&str>> = exports.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(exports, [["/a", "127.0.0.0/8,::1/128"], ["/a/b", "10.1.0.0/16,127.0.0.1/32"]]);
    assert_eq!(host.run("showmount -a --no-headers 127.0.0.1").unwrap(), "");
    if let Err(error) = host.run("nfs-ls nfs://127.0.0.1/a?version=3") {
        assert!(error.contains("No such file"), "without the port it is not found: {error}");
        eprintln!("skipped in part: install libnfs-utils for nfs-ls");
        return;
    }
    // That one mounts what is exported below, too.
    assert_eq!(host.run("showmount -a --no-headers 127.0.0.1").unwrap(), "127.0.0.1:/a\n127.0.0.1:/a/b\n");
    assert_eq!(host.run("showmount -d --no-headers 127.0.0.1").unwrap(), "/a\n/a/b\n");
}

#[test]
fn what_nobody_serves_is_replaced_and_what_another_serves_is_not() {
    let Some(mut host) = Host::new() else { return };
    let scratch = Scratch::new("rpcbind-stale");
    let setup = host.setup(&scratch, "one");
    let first = setup.start();
    let port = first.nfs().port();
    first.crash();
    assert_eq!(host.registered().len(), 5);
    let second = setup.start();
    assert!(second.nfs().port() != port);
    assert_eq!(host.registered(), rows(&second));

    let other = host.setup(&scratch, "other").start();
    assert!(other.log().contains("another server has program 100003 registered"), "{}", other.log());
    assert!(other.stop().0.success());
    assert_eq!(host.registered(), rows(&second));

    assert!(second.stop().0.success());
    assert_eq!(host.registered(), Vec::<String>::new());
    assert!(host.run("showmount -e 127.0.0.1").unwrap_err().contains("not registered"));

    // Without rpcbind it serves all the same, and says what that means.
    let holder = Command::new("nsenter")
        .args(["-t", &host.id, "-n", "-m", "--", "sh", "-c", "echo $$; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn();
    let mut holder = holder.unwrap();
    let mut id = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut id).unwrap();
    host.process.kill().unwrap();
    host.process.wait().unwrap();
    host.id = id.trim().to_owned();
    let alone = host.setup(&scratch, "alone").start();
    let log = alone.log();
    assert!(log.contains("WARN") && log.contains("clients must be told port= and mountport="), "{log}");
    drop(alone);
    holder.kill().unwrap();
    holder.wait().unwrap();
}
