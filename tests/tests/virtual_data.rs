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
