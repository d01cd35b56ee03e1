//! A session as a user has it: a tree on one host is linked, synced, provisioned on another, written, refreshed, rewound
//! and copied out as plain files, by the bundled plugin `directory` over ssh and NFS.

use std::fs;

use cow_tests::hosts::Host;
use cow_tests::site::{Programs, Site};

const PROGRAMS: Programs = Programs {
    cowd: env!("CARGO_BIN_EXE_cowd-under-test"),
    cowctl: env!("CARGO_BIN_EXE_cowctl-under-test"),
    mount: env!("CARGO_BIN_EXE_nfs-mount"),
};

fn site(name: &str) -> Option<Site> {
    Site::new(name, PROGRAMS, &["source", "target"], &["directory"])
}

fn bash(host: &Host, text: &str) -> String {
    host.run(text).unwrap_or_else(|said| panic!("{text}: {said}"))
}

#[test]
fn a_tree_is_linked_provisioned_written_refreshed_rewound_and_copied_out() {
    let Some(site) = site("vdb") else { return };
    let (source, target) = (site.lab.host(1), site.lab.host(2));
    bash(
        source,
        "mkdir -p /home/deploy/tree/sub; echo one > /home/deploy/tree/file; seq 100000 > /home/deploy/tree/sub/big; chown -R deploy /home/deploy/tree",
    );
    let config = site.lab.folder().join("config.json");
    fs::write(&config, r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
    site.done(&format!("source link tree --plugin cow-directory --env source --config-file {}", config.display()));
    assert_eq!(site.snapshots("tree").len(), 1);

    site.done("vdb provision copy tree --env target --param path=/home/deploy/copy");
    assert_eq!(bash(target, "cat /home/deploy/copy/file; wc -l < /home/deploy/copy/sub/big"), "one\n100000\n");
    assert!(bash(target, "df /home/deploy/copy").contains(":/vdb/copy/1"));
    bash(
        target,
        "su deploy -s /bin/bash -c 'echo mine > /home/deploy/copy/mine; echo changed > /home/deploy/copy/file'",
    );
    site.done("vdb snapshot copy");

    bash(source, "echo two > /home/deploy/tree/file; rm /home/deploy/tree/sub/big");
    site.done("source sync tree");
    let of_source = site.snapshots("tree");
    let hashes = site.hashes(&of_source);
    assert!(of_source.len() == 2 && hashes[0] != hashes[1]);

    site.done("vdb refresh copy");
    assert_eq!(bash(target, "cat /home/deploy/copy/file; ls /home/deploy/copy"), "two\nfile\nsub\n");
    let of_copy = site.snapshots("copy");
    assert_eq!(of_copy.len(), 3);
    site.done(&format!("vdb rewind copy {}", of_copy[1]));
    assert_eq!(bash(target, "cat /home/deploy/copy/file /home/deploy/copy/mine"), "changed\nmine\n");
    let drawn = site.done("timeline copy");
    assert!(drawn.contains("* 3 vdb/copy/3  rewind from vdb/copy/1@"), "{drawn}");
    assert!(of_copy.iter().all(|snapshot| site.snapshots("copy").contains(snapshot)), "rewind destroys nothing");

    site.done("vdb disable copy");
    assert_eq!(bash(target, "ls -A /home/deploy/copy; grep -c vdb /proc/mounts || true"), "0\n");
    site.done("vdb enable copy");
    assert_eq!(bash(target, "cat /home/deploy/copy/file"), "changed\n");
    assert!(site.done("vdb status copy").starts_with("copy: enabled, active"));
    site.done(&format!("v2p {} /home/deploy/plain --env target", of_source[0].replace("dsource/tree/1@", "tree@")));
    assert_eq!(bash(target, "cat /home/deploy/plain/file; wc -l < /home/deploy/plain/sub/big"), "one\n100000\n");

    site.done("vdb delete copy");
    assert_eq!(bash(target, "grep -c vdb /proc/mounts || true"), "0\n");
    assert_eq!(site.hashes(&of_source), hashes, "what was provisioned from is as it was");
    assert!(site.ended("env remove source").unwrap_err().contains("dSource 'tree'"));
    site.done("source unlink tree");
    site.done("env remove source");
    assert_eq!(site.done("fault"), "");
    let left = site.json("list");
    let names: Vec<&str> =
        left["datasets"].as_array().unwrap().iter().map(|dataset| dataset["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dsource", "vdb"]);
}

/// How long after a provision or refresh was ordered cowd is killed, in milliseconds: a whole one takes about a second.
const KILLED_AFTER: [u64; 8] = [0, 60, 150, 250, 350, 500, 700, 1000];

#[test]
fn a_killed_cowd_leaves_vdbs_as_before_or_as_after_and_says_which() {
    let Some(mut site) = site("killed") else { return };
    bash(
        site.lab.host(1),
        "mkdir /home/deploy/tree; echo one > /home/deploy/tree/file; chown -R deploy /home/deploy/tree",
    );
    let config = site.lab.folder().join("config.json");
    fs::write(&config, r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
    site.done(&format!("source link tree --plugin cow-directory --env source --config-file {}", config.display()));
    let (mut done, mut undone) = (0, 0);
    for (round, millis) in KILLED_AFTER.into_iter().enumerate() {
        let (name, path) = (format!("copy{round}"), format!("/home/deploy/copy{round}"));
        let provision = format!("vdb provision {name} tree --env target --param path={path}");
        let is_there = site.killed(&provision, millis);
        let mounts = bash(site.lab.host(2), "cat /proc/mounts");
        let datasets = site.done("list -H");
        assert_eq!(mounts.contains(&format!(":/vdb/{name}/1 {path} ")), is_there, "{millis} ms: {mounts}");
        assert_eq!(datasets.contains(&format!("vdb/{name}")), is_there, "{millis} ms: {datasets}");
        assert_eq!(site.ended(&format!("vdb show {name}")).is_ok(), is_there);
        if is_there {
            done += 1
        } else {
            undone += 1
        }
        if !is_there {
            site.done(&provision);
        }
        assert_eq!(bash(site.lab.host(2), &format!("cat {path}/file")), "one\n");
        bash(site.lab.host(2), &format!("su deploy -s /bin/bash -c 'echo mine > {path}/file'"));

        let is_refreshed = site.killed(&format!("vdb refresh {name}"), millis);
        let shown = bash(site.lab.host(2), &format!("cat {path}/file; findmnt -no SOURCE {path} | wc -l"));
        assert_eq!(shown, if is_refreshed { "one\n1\n" } else { "mine\n1\n" }, "{millis} ms");
        if is_refreshed {
            done += 1
        } else {
            undone += 1
        }
        site.done(&format!("vdb delete {name}"));
    }
    println!("{done} were done, {undone} undone");
    assert_eq!(
        (site.done("fault"), bash(site.lab.host(2), "grep -c vdb /proc/mounts || true").as_str()),
        (String::new(), "0\n")
    );
}
