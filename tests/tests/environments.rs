//! `cowctl env` with the real daemon and hosts with an sshd each: made known, looked at, forgotten, and no secret anywhere.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use cow_api::v1::{Environment, Environments};
use cow_tests::daemon::Daemon;
use cow_tests::hosts::{Lab, PASSWORD};
use serde_json::{Value, json};

/// What bash of a run came to.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// cowctl's runs at a daemon, and all that it ever printed.
struct Cowctl<'d> {
    daemon: &'d Daemon,
    printed: std::cell::RefCell<String>,
}

impl Cowctl<'_> {
    fn run(&self, line: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
        command.arg("--socket").arg(self.daemon.socket()).args(line.split_whitespace()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        *self.printed.borrow_mut() += &format!("{}{}", ended.stdout, ended.stderr);
        ended
    }

    fn done(&self, line: &str) -> String {
        let ended = self.run(line);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "cowctl {line}: {}", ended.stdout);
        ended.stdout
    }

    fn refused(&self, line: &str, code: i32) -> String {
        let ended = self.run(line);
        assert_eq!(ended.code, Some(code), "cowctl {line}: {}{}", ended.stdout, ended.stderr);
        ended.stderr
    }

    fn show(&self, name: &str) -> Environment {
        let text = self.done(&format!("--json env show {name}"));
        let mut envelope: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(envelope["data"].take()).unwrap()
    }
}

#[test]
fn hosts_are_made_known_looked_at_and_forgotten_and_nothing_secret_is_seen() {
    let Some(lab) = Lab::new("env", 2) else { return };
    let setup = lab.setup(env!("CARGO_BIN_EXE_cowd-under-test"), &lab.folder().join("cow"));
    let (key, password) = (lab.key().display().to_string(), lab.folder().join("password").display().to_string());
    let wrong = lab.folder().join("wrong").display().to_string();
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    fs::write(&wrong, "a wrong one\n").unwrap();
    let [one, two] = [1, 2].map(|number| lab.host(number).address());
    let daemon = setup.start();
    let cowctl = Cowctl { daemon: &daemon, printed: String::new().into() };

    assert_eq!(cowctl.done("env list"), "");
    lab.host(2).allow("deploy ALL=(root) NOPASSWD: /usr/bin/mount, /bin/mount, /usr/bin/mkdir, /bin/mkdir\n");
    let added = cowctl.done(&format!("env add one --host {one} --user deploy --key {key}"));
    assert!(added.starts_with(&format!("Added one: deploy@{one}:22, ")) && !added.contains("missing"), "{added}");
    let added = cowctl.done(&format!("env add two --host {two} --user deploy --password-file {password}"));
    assert!(added.contains("missing: sudo does not allow umount, rmdir, chown: docs/environments.md"), "{added}");
    let shown = cowctl.show("one");
    assert_eq!((shown.reference.as_str(), shown.facts.hostname.as_str()), ("UNIX_HOST_ENVIRONMENT-1", "h1"));
    assert_eq!(shown.toolkit, "/home/deploy/cow-toolkit");
    let tools = fs::read_dir(lab.host(1).folder().join("home/deploy/cow-toolkit")).unwrap().count();
    assert_eq!(tools, 2, "programs and scratch");
    assert!(shown.host_key.starts_with("SHA256:") && cowctl.done("env show one").contains(&shown.host_key));
    lab.host(2).allow("deploy ALL=(root) NOPASSWD: ALL\n");
    assert!(!cowctl.done("env refresh two").contains("missing"));

    // What cannot be is refused, and leaves nothing.
    cowctl.refused(&format!("env add one --host {one} --user deploy --key {key}"), 5);
    cowctl.refused(&format!("env add a/b --host {one} --user deploy --key {key}"), 2);
    cowctl.refused(&format!("env add -- x --host {one}"), 2);
    let said = cowctl.refused(&format!("env add three --host {one} --user deploy --password-file {wrong}"), 1);
    assert!(said.contains("does not let 'deploy' in"), "{said}");
    let said = cowctl.refused(&format!("env add three --host {one} --port 23 --user deploy --key {key}"), 1);
    assert!(said.contains("cannot be reached"), "{said}");
    let said = cowctl.refused(&format!("env add three --host {one} --user deploy --key {key} --toolkit /usr/cow"), 1);
    assert!(said.contains("toolkit"), "{said}");
    cowctl.refused("env show three", 4);
    // Nor does an answer repeat what it was sent.
    let body = json!({ "name": "x", "address": one, "user": "u", "credential": PASSWORD }).to_string();
    let answer = daemon.ask("POST", "/v1/environments", &body);
    assert!(answer.status == 400 && !answer.text().contains(PASSWORD), "{}", answer.text());

    cowctl.done(&format!("env user add one root --password-file {password}"));
    cowctl.refused(&format!("env user add one nobody --password-file {password}"), 1);
    assert_eq!(cowctl.done("env user list one -H"), "deploy\tkey\nroot\tpassword\n");
    cowctl.done(&format!("env user add one root --key {key}"));
    cowctl.refused("env user remove one deploy", 5);
    cowctl.done("env user remove one root");
    assert_eq!(cowctl.show("one").users.len(), 1);

    // Another key is told of, until it is accepted.
    lab.host(1).change_key();
    let printed = cowctl.printed.take().into();
    daemon.crash();
    assert!(ends_soon(&setup.folder), "connections outlive the daemon");
    let daemon = setup.start();
    let cowctl = Cowctl { daemon: &daemon, printed };
    let said = cowctl.refused("env refresh one", 1);
    assert!(said.contains(&shown.host_key) && said.contains("cowctl env accept-key one"), "{said}");
    assert!(cowctl.done("env refresh two").starts_with("Refreshed two"));
    cowctl.done("env accept-key one");
    assert_ne!(cowctl.show("one").host_key, shown.host_key);
    cowctl.done("env refresh one");

    let seen = secrets_in_processes(&lab);
    assert!(seen.is_empty(), "{seen:?}");
    cowctl.done("env remove two");
    let left = fs::read_dir(lab.host(2).folder().join("home/deploy")).unwrap().count();
    assert_eq!(left, 0);
    // One that is gone can be forgotten all the same.
    lab.cut(1);
    cowctl.done("env remove one");
    let environments: Environments = serde_json::from_value(daemon.done("GET", "/v1/environments", "")).unwrap();
    assert!(environments.environments.is_empty());
    let (printed, log) = (cowctl.printed.take(), daemon.log());
    assert!(daemon.stop().0.success() && ends_soon(&setup.folder));
    for secret in secrets(&lab) {
        assert!(!printed.contains(&secret) && !log.contains(&secret), "{printed}{log}");
        let found = Command::new("grep").args(["-rlaF", &secret]).arg(&setup.folder).output().unwrap();
        assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    }
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

/// The password, and a line of the key that is of no other key.
fn secrets(lab: &Lab) -> [String; 2] {
    let key = fs::read_to_string(lab.key()).unwrap();
    [PASSWORD.to_owned(), key.lines().nth(4).unwrap().to_owned()]
}

/// What processes of this machine show of them.
fn secrets_in_processes(lab: &Lab) -> Vec<String> {
    let secrets = secrets(lab);
    let of = |entry: fs::DirEntry| {
        let shown = ["cmdline", "environ"].map(|file| fs::read(entry.path().join(file)).unwrap_or_default()).concat();
        String::from_utf8_lossy(&shown).into_owned()
    };
    let shown = fs::read_dir("/proc").unwrap().flatten().map(of);
    shown.filter(|text| secrets.iter().any(|secret| text.contains(secret))).collect()
}

/// Whether no program is there any more that uses a folder's connections.
fn ends_soon(folder: &Path) -> bool {
    let sockets = folder.join("cow-ssh").display().to_string();
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let uses = |entry: fs::DirEntry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&sockets)
        };
        if !fs::read_dir("/proc").unwrap().flatten().any(uses) {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}
