//! A session as a user has it: a tree on one host is linked, synced, provisioned on another, written, refreshed, rewound
//! and copied out as plain files, by the bundled plugin `directory` over ssh and NFS.

use std::time::{Duration, Instant};
use std::{fs, thread};

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

/// Longest that what is begun may take to begin, or to end once it is cancelled.
const PATIENCE: Duration = Duration::from_secs(60);
/// Stands in for rsync on a source host: it hangs for as long as there is a file that says so.
const SLOW_RSYNC: &str = "#!/bin/bash
if [ -e ~/slow ]; then echo >>~/reached; sleep 600; fi
exec ~/rsync \"$@\"
";

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A site with a dSource `tree`, whose hooks make and remove a file `quiet`, and whose syncs hang when there is a file `slow`.
fn slow_site(name: &str) -> Option<Site> {
    let site = site(name)?;
    site.as_deploy("source", "mkdir ~/tree; echo one > ~/tree/file; cp /usr/bin/rsync ~/rsync");
    site.host("source").replace("/usr/bin/rsync", &site.file("slow", SLOW_RSYNC));
    site.bash("source", "chmod 755 /usr/bin/rsync");
    let config = site.file("config.json", r#"{"name": "tree", "path": "/home/deploy/tree"}"#);
    site.done(&format!("source link tree --plugin cow-directory --env source --config-file {}", config.display()));
    for (at, script) in [("pre-sync", "touch ~/quiet"), ("post-sync", "rm -f ~/quiet; echo >>~/resumed")] {
        let script = site.file(at, script);
        site.done(&format!("hook add tree {at} --at {at} --script-file {}", script.display()));
    }
    Some(site)
}

/// Begins something that hangs, once so many did before.
fn begin_slowly(site: &Site, line: &str, before: usize) -> u64 {
    site.as_deploy("source", "touch ~/slow ~/reached");
    site.done(&format!("{line} --detach"));
    wait_until(line, || site.as_deploy("source", "wc -l < ~/reached").trim() == (before + 1).to_string());
    site.newest_job()
}

fn state(site: &Site, job: u64) -> String {
    site.json(&format!("job show {job}"))["progress"]["state"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_sync_that_is_cancelled_or_cut_off_leaves_all_as_it_was_and_runs_its_last_hooks() {
    let Some(mut site) = slow_site("cancel") else { return };
    let (snapshots, datasets) = (site.snapshots("tree"), site.datasets());
    let is_quiet = |site: &Site| !site.as_deploy("source", "ls ~/quiet 2>/dev/null || true").is_empty();
    let as_before = |site: &Site, resumed: usize| {
        assert!(!is_quiet(site), "{}", site.newest_log());
        assert_eq!(site.as_deploy("source", "wc -l < ~/resumed"), format!("{resumed}\n"));
        assert_eq!(
            (site.snapshots("tree"), site.datasets(), site.done("fault")),
            (snapshots.clone(), datasets.clone(), String::new())
        );
    };
    let job = begin_slowly(&site, "source sync tree", 0);
    assert!(is_quiet(&site));
    site.done(&format!("job cancel {job}"));
    assert!(!site.newest_is_done());
    assert_eq!(state(&site, job), "cancelled", "{}", site.newest_log());
    as_before(&site, 1);

    // A new cowd runs the hook that the old one owed, and brings a toolkit that is not its own up to date.
    let job = begin_slowly(&site, "source sync tree", 1);
    assert!(is_quiet(&site));
    let tools = "~/cow-toolkit/Delphix_COMMON_*_host/scripts/bin";
    let toolkit =
        |site: &Site| site.as_deploy("source", &format!("cd {tools}; cat .hash dlpx_db_exec; echo 1 | ./jq ."));
    let kept = toolkit(&site);
    site.as_deploy("source", &format!("cd {tools}; echo another >.hash; echo >dlpx_db_exec; rm jq"));
    site.crash();
    site.restart();
    assert!(!site.newest_is_done());
    assert_eq!(state(&site, job), "failed", "{}", site.newest_log());
    as_before(&site, 2);
    assert_eq!(toolkit(&site), kept);

    site.as_deploy("source", "rm ~/slow");
    site.done("source sync tree");
    assert!(!is_quiet(&site) && site.snapshots("tree").len() == 2);
}

#[test]
fn jobs_that_hang_on_one_host_stop_none_on_another() {
    let Some(site) = slow_site("hang") else { return };
    site.done("vdb provision copy tree --env target --param path=/home/deploy/copy");
    let config = site.lab.folder().join("config.json");
    let link = |name: &str| {
        format!("source link {name} --plugin cow-directory --env source --config-file {}", config.display())
    };
    let mut jobs: Vec<u64> =
        (0..3).map(|number| begin_slowly(&site, &link(&format!("slow{number}")), number)).collect();
    site.done(&format!("{} --detach", link("slow3")));
    jobs.push(site.newest_job());
    assert_eq!(state(&site, jobs[3]), "queued");
    site.done("vdb snapshot copy");
    site.done("vdb refresh copy");
    for job in jobs.iter().rev() {
        site.done(&format!("job cancel {job}"));
    }
    wait_until("all end", || jobs.iter().all(|job| state(&site, *job) == "cancelled"));
    assert_eq!((site.done("fault"), site.datasets().iter().any(|name| name.contains("slow"))), (String::new(), false));
}
