//! A session as a user has it: a tree on one host is linked, synced, provisioned on another, written, refreshed, rewound
//! and copied out as plain files, by the bundled plugin `directory` over ssh and NFS.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::hosts::{Host, Lab, SERVER};
use cow_tests::plugins::{interpreter, settings};
use cowd::plugins::Language;
use serde_json::Value;

/// Runs cowctl at a daemon, which is there but for the moment after its death.
struct Cowctl(Option<Daemon>);

impl Cowctl {
    fn daemon(&self) -> &Daemon {
        self.0.as_ref().unwrap()
    }
}

impl Cowctl {
    fn ended(&self, line: &str) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
        command.arg("--socket").arg(self.daemon().socket()).args(line.split_whitespace()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    fn done(&self, line: &str) -> String {
        self.ended(line).unwrap_or_else(|said| {
            let jobs = self.ended("job list -H").unwrap_or_default();
            let last = jobs.split('\t').next().unwrap_or("1").to_owned();
            panic!(
                "cowctl {line}: {said}\n{}\n{}",
                self.ended(&format!("job log {last}")).unwrap_or_default(),
                self.daemon().log()
            )
        })
    }

    fn json(&self, line: &str) -> Value {
        let mut envelope: Value = serde_json::from_str(&self.done(&format!("--json {line}"))).unwrap();
        envelope["data"].take()
    }

    /// The full names of a source's snapshots, the oldest first.
    fn snapshots(&self, name: &str) -> Vec<String> {
        let timeline = self.json(&format!("timeline {name}"));
        let flows = timeline["timeflows"].as_array().unwrap().clone();
        let names = flows.iter().flat_map(|flow| flow["snapshots"].as_array().unwrap().clone());
        names.map(|snapshot| snapshot["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What every snapshot's tree hashes to.
    fn hashes(&self, snapshots: &[String]) -> Vec<Value> {
        let one = |name: &String| self.json(&format!("get {name}"))["root_hash"].clone();
        snapshots.iter().map(one).collect()
    }
}

impl Cowctl {
    /// Gives an order, kills cowd so many milliseconds later, starts it again, and says whether the order was done in the
    /// end.
    fn killed(&mut self, setup: &Setup, order: &str, millis: u64) -> bool {
        self.done(&format!("{order} --detach"));
        thread::sleep(Duration::from_millis(millis));
        self.0.take().unwrap().crash();
        self.0 = Some(setup.start());
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let jobs = self.done("job list -H");
            let newest: Vec<&str> = jobs.lines().next().unwrap().split('\t').collect();
            match newest[2] {
                "done" => return true,
                "failed" | "cancelled" => return false,
                state => assert!(Instant::now() < until, "{state}: {jobs}"),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A lab with a source and a target whose kernel's NFS client is stood in for, and a cowd that has the plugin.
fn site(name: &str) -> Option<(Lab, Setup, Cowctl)> {
    let settings = settings(Language::Python311)?;
    let lab = Lab::new(name, 2)?;
    let mut setup = lab.setup(env!("CARGO_BIN_EXE_cowd-under-test"), &lab.folder().join("cow"));
    setup.config += &format!("[plugins]\npython311 = \"{}\"\n", interpreter(Language::Python311)?.display());
    // A port of its own kind: mounts find the next cowd there.
    setup.flags = vec!["--nfs".to_owned(), format!("{SERVER}:2049")];
    let sdk = setup.folder.join("pool/state/plugins/sdk");
    let daemon = setup.start();
    fs::create_dir_all(&sdk).unwrap();
    symlink(settings.directory.join("sdk/python311"), sdk.join("python311")).unwrap();
    let cowctl = Cowctl(Some(daemon));
    for (number, environment) in [(1, "source"), (2, "target")] {
        let host = lab.host(number);
        host.replace("/sbin/mount.nfs", Path::new(env!("CARGO_BIN_EXE_nfs-mount")));
        let (address, key) = (host.address(), lab.key().display().to_string());
        cowctl.done(&format!("env add {environment} --host {address} --user deploy --key {key}"));
    }
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/plugins");
    cowctl.done(&format!("plugin install {}", plugins.join("directory").display()));
    for environment in ["source", "target"] {
        cowctl.done(&format!("env refresh {environment}"));
    }
    Some((lab, setup, cowctl))
}

fn bash(host: &Host, text: &str) -> String {
    host.run(text).unwrap_or_else(|said| panic!("{text}: {said}"))
}

#[test]
fn a_tree_is_linked_provisioned_written_refreshed_rewound_and_copied_out() {
    let Some((lab, _, cowctl)) = site("vdb") else { return };
    let (source, target) = (lab.host(1), lab.host(2));
    bash(
        source,
        "mkdir -p /home/deploy/tree/sub; echo one > /home/deploy/tree/file; seq 100000 > /home/deploy/tree/sub/big; chown -R deploy /home/deploy/tree",
    );
    let config = lab.folder().join("config.json");
    fs::write(&config, r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
    cowctl.done(&format!("source link tree --plugin cow-directory --env source --config-file {}", config.display()));
    assert_eq!(cowctl.snapshots("tree").len(), 1);

    cowctl.done("vdb provision copy tree --env target --param path=/home/deploy/copy");
    assert_eq!(bash(target, "cat /home/deploy/copy/file; wc -l < /home/deploy/copy/sub/big"), "one\n100000\n");
    assert!(bash(target, "df /home/deploy/copy").contains(":/vdb/copy/1"));
    bash(
        target,
        "su deploy -s /bin/bash -c 'echo mine > /home/deploy/copy/mine; echo changed > /home/deploy/copy/file'",
    );
    cowctl.done("vdb snapshot copy");

    bash(source, "echo two > /home/deploy/tree/file; rm /home/deploy/tree/sub/big");
    cowctl.done("source sync tree");
    let of_source = cowctl.snapshots("tree");
    let hashes = cowctl.hashes(&of_source);
    assert!(of_source.len() == 2 && hashes[0] != hashes[1]);

    cowctl.done("vdb refresh copy");
    assert_eq!(bash(target, "cat /home/deploy/copy/file; ls /home/deploy/copy"), "two\nfile\nsub\n");
    let of_copy = cowctl.snapshots("copy");
    assert_eq!(of_copy.len(), 3);
    cowctl.done(&format!("vdb rewind copy {}", of_copy[1]));
    assert_eq!(bash(target, "cat /home/deploy/copy/file /home/deploy/copy/mine"), "changed\nmine\n");
    let drawn = cowctl.done("timeline copy");
    assert!(drawn.contains("* 3 vdb/copy/3  rewind from vdb/copy/1@"), "{drawn}");
    assert!(of_copy.iter().all(|snapshot| cowctl.snapshots("copy").contains(snapshot)), "rewind destroys nothing");

    cowctl.done("vdb disable copy");
    assert_eq!(bash(target, "ls -A /home/deploy/copy; grep -c vdb /proc/mounts || true"), "0\n");
    cowctl.done("vdb enable copy");
    assert_eq!(bash(target, "cat /home/deploy/copy/file"), "changed\n");
    assert!(cowctl.done("vdb status copy").starts_with("copy: enabled, active"));
    cowctl.done(&format!("v2p {} /home/deploy/plain --env target", of_source[0].replace("dsource/tree/1@", "tree@")));
    assert_eq!(bash(target, "cat /home/deploy/plain/file; wc -l < /home/deploy/plain/sub/big"), "one\n100000\n");

    cowctl.done("vdb delete copy");
    assert_eq!(bash(target, "grep -c vdb /proc/mounts || true"), "0\n");
    assert_eq!(cowctl.hashes(&of_source), hashes, "what was provisioned from is as it was");
    assert!(cowctl.ended("env remove source").unwrap_err().contains("dSource 'tree'"));
    cowctl.done("source unlink tree");
    cowctl.done("env remove source");
    assert_eq!(cowctl.done("fault"), "");
    let left = cowctl.json("list");
    let names: Vec<&str> =
        left["datasets"].as_array().unwrap().iter().map(|dataset| dataset["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dsource", "vdb"]);
}

/// How long after a provision or refresh was ordered cowd is killed, in milliseconds: a whole one takes about a second.
const KILLED_AFTER: [u64; 8] = [0, 60, 150, 250, 350, 500, 700, 1000];

#[test]
fn a_killed_cowd_leaves_vdbs_as_before_or_as_after_and_says_which() {
    let Some((lab, setup, mut cowctl)) = site("killed") else { return };
    let (source, target) = (lab.host(1), lab.host(2));
    bash(source, "mkdir /home/deploy/tree; echo one > /home/deploy/tree/file; chown -R deploy /home/deploy/tree");
    let config = lab.folder().join("config.json");
    fs::write(&config, r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
    cowctl.done(&format!("source link tree --plugin cow-directory --env source --config-file {}", config.display()));
    let (mut done, mut undone) = (0, 0);
    for (round, millis) in KILLED_AFTER.into_iter().enumerate() {
        let (name, path) = (format!("copy{round}"), format!("/home/deploy/copy{round}"));
        let provision = format!("vdb provision {name} tree --env target --param path={path}");
        let is_there = cowctl.killed(&setup, &provision, millis);
        let mounts = bash(target, "cat /proc/mounts");
        let datasets = cowctl.done("list -H");
        assert_eq!(mounts.contains(&format!(":/vdb/{name}/1 {path} ")), is_there, "{millis} ms: {mounts}");
        assert_eq!(datasets.contains(&format!("vdb/{name}")), is_there, "{millis} ms: {datasets}");
        assert_eq!(cowctl.ended(&format!("vdb show {name}")).is_ok(), is_there);
        if is_there {
            done += 1
        } else {
            undone += 1
        }
        if !is_there {
            cowctl.done(&provision);
        }
        assert_eq!(bash(target, &format!("cat {path}/file")), "one\n");
        bash(target, &format!("su deploy -s /bin/bash -c 'echo mine > {path}/file'"));

        let is_refreshed = cowctl.killed(&setup, &format!("vdb refresh {name}"), millis);
        let shown = bash(target, &format!("cat {path}/file; findmnt -no SOURCE {path} | wc -l"));
        assert_eq!(shown, if is_refreshed { "one\n1\n" } else { "mine\n1\n" }, "{millis} ms");
        if is_refreshed {
            done += 1
        } else {
            undone += 1
        }
        cowctl.done(&format!("vdb delete {name}"));
    }
    println!("{done} were done, {undone} undone");
    assert_eq!(
        (cowctl.done("fault"), bash(target, "grep -c vdb /proc/mounts || true").as_str()),
        (String::new(), "0\n")
    );
}
