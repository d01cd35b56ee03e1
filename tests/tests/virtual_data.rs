//! A session as a user has it: a tree on one host is linked, synced, provisioned on another, written, refreshed, rewound
//! and copied out as plain files, by the bundled plugin `directory` over ssh and NFS.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use cow_tests::daemon::Daemon;
use cow_tests::hosts::{Host, Lab};
use cow_tests::plugins::{interpreter, settings};
use cowd::plugins::Language;
use serde_json::Value;

struct Cowctl(Daemon);

impl Cowctl {
    fn ended(&self, line: &str) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
        command.arg("--socket").arg(self.0.socket()).args(line.split_whitespace()).stdin(Stdio::null());
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
                self.0.log()
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

/// A lab with a source and a target whose kernel's NFS client is stood in for, and a cowd that has the plugin.
fn site(name: &str) -> Option<(Lab, Cowctl)> {
    let settings = settings(Language::Python311)?;
    let lab = Lab::new(name, 2)?;
    let mut setup = lab.setup(env!("CARGO_BIN_EXE_cowd-under-test"), &lab.folder().join("cow"));
    setup.config += &format!("[plugins]\npython311 = \"{}\"\n", interpreter(Language::Python311)?.display());
    let sdk = setup.folder.join("pool/state/plugins/sdk");
    let daemon = setup.start();
    fs::create_dir_all(&sdk).unwrap();
    symlink(settings.directory.join("sdk/python311"), sdk.join("python311")).unwrap();
    let cowctl = Cowctl(daemon);
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
    Some((lab, cowctl))
}

fn bash(host: &Host, text: &str) -> String {
    host.run(text).unwrap_or_else(|said| panic!("{text}: {said}"))
}

#[test]
fn a_tree_is_linked_provisioned_written_refreshed_rewound_and_copied_out() {
    let Some((lab, cowctl)) = site("vdb") else { return };
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
