//! What happens by itself, through the real cowd: a tree is synced and its copy snapshotted by schedule, over a time when
//! cowd did not run; snapshots are thinned, a bookmark keeps its own; and who asked for what can be read afterwards.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::hosts::Host;
use cow_tests::site::{Programs, Site};

const PROGRAMS: Programs = Programs {
    cowd: env!("CARGO_BIN_EXE_cowd-under-test"),
    cowctl: env!("CARGO_BIN_EXE_cowctl-under-test"),
    mount: env!("CARGO_BIN_EXE_nfs-mount"),
};

/// Longest that what is due may take.
const DUE_TIME_MAX: Duration = Duration::from_secs(60);

fn bash(host: &Host, text: &str) -> String {
    host.run(text).unwrap_or_else(|said| panic!("{text}: {said}"))
}

/// Lets schedules be so many hours ahead of time.
fn set_clock(site: &Site, hours: u64) {
    fs::write(site.lab.folder().join("clock"), (hours * 3600).to_string()).unwrap();
}

/// Waits until what is due has been done.
fn await_that(site: &Site, what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + DUE_TIME_MAX;
    while !is_so() {
        let jobs = || site.ended("job list").unwrap_or_default();
        assert!(Instant::now() < until, "{what} does not come:\n{}\n{}", jobs(), site.daemon().log());
        thread::sleep(Duration::from_millis(50));
    }
}

fn await_snapshots(site: &Site, name: &str, count: usize) {
    await_that(site, &format!("snapshot {count} of {name}"), || site.snapshots(name).len() == count);
}

/// A tree and a copy of it, synced and snapshotted every hour.
fn scheduled(site: &Site) {
    bash(
        site.lab.host(1),
        "mkdir /home/deploy/tree; echo one > /home/deploy/tree/file; chown -R deploy /home/deploy/tree",
    );
    let folder = site.lab.folder().display().to_string();
    fs::write(format!("{folder}/config.json"), r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
    site.done(&format!("source link tree --plugin cow-directory --env source --config-file {folder}/config.json"));
    site.done("vdb provision copy tree --env target --param path=/home/deploy/copy");
    fs::write(format!("{folder}/hook.sh"), "echo hook-was-here-secretly >> hooked\n").unwrap();
    site.done(&format!("hook add copy mark --at pre-snapshot --script-file {folder}/hook.sh"));
    assert!(site.done("hook list copy").contains("pre-snapshot"));
    assert!(site.done("hook show copy mark").contains("hook-was-here-secretly"));
    assert!(site.refused("hook add tree mark --at pre-stop --script-file /dev/null").contains("pre-stop"));

    site.done("policy add hourly sync --schedule @hourly --zone Europe/Berlin");
    site.done("policy apply hourly tree");
    site.done("policy add often snapshot --schedule @hourly");
    site.done("policy apply often copy");
    assert!(site.refused("policy apply often tree").contains("dSource 'tree'"));
    assert!(site.refused("policy add never sync --schedule @reboot").contains("fields"));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(site.snapshots("tree").len(), 1, "nothing is due yet");
}

#[test]
fn what_is_due_is_done_and_what_no_policy_keeps_goes() {
    let clock = |lab: &cow_tests::hosts::Lab| {
        vec![("COW_TEST_CLOCK".to_owned(), lab.folder().join("clock").display().to_string())]
    };
    let site = Site::with_variables("policies", PROGRAMS, &["source", "target"], &["directory"], clock);
    let Some(mut site) = site else { return };
    scheduled(&site);
    set_clock(&site, 1);
    await_snapshots(&site, "tree", 2);
    await_snapshots(&site, "copy", 2);
    assert!(bash(site.lab.host(2), "cat /home/deploy/hooked").contains("secretly"));
    let first = site.snapshots("tree")[0].clone();
    site.done(&format!("bookmark add first {first}"));
    assert!(site.done("timeline tree").contains("[first]"));
    assert!(site.done(&format!("get {first} holds")).contains("bookmark:first"));
    site.refused(&format!("destroy {first}"));

    // Ten hours without cowd are made up for by one sync.
    site.crash();
    set_clock(&site, 11);
    site.restart();
    await_snapshots(&site, "tree", 3);
    await_snapshots(&site, "copy", 3);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(site.snapshots("tree").len(), 3);
    assert!(site.daemon().log().contains("missed"), "{}", site.daemon().log());

    // What fails is a fault until it works again.
    bash(site.lab.host(1), "mv /home/deploy/tree /home/deploy/away");
    set_clock(&site, 12);
    await_that(&site, "the fault", || site.done("fault").contains("policy hourly on tree"));
    await_snapshots(&site, "copy", 4);
    bash(
        site.lab.host(1),
        "mv /home/deploy/away /home/deploy/tree; head -c 1M /dev/urandom > /home/deploy/tree/random",
    );
    set_clock(&site, 13);
    await_snapshots(&site, "tree", 4);
    await_snapshots(&site, "copy", 5);
    await_that(&site, "the end of the fault", || site.done("fault").is_empty());

    let jobs = site.json("job list")["jobs"].as_array().unwrap().clone();
    let newest = jobs.iter().find(|job| job["kind"] == "sync" && job["progress"]["state"] == "done").unwrap();
    let stored = newest["report"]["stored"].as_u64().unwrap();
    assert!((1 << 20..3 << 20).contains(&stored), "{newest}");

    thinned(&site, &first);
    recorded(&site);
    assert!(site.refused("source unlink tree").contains("bookmark first"));
    site.done("bookmark remove first");
    site.done("vdb delete copy");
    site.done("source unlink tree");
    assert_eq!(site.done("fault"), "");
}

fn thinned(site: &Site, first: &str) {
    site.done("policy add thin retention --schedule @yearly --keep-last 1");
    site.done("policy apply thin tree copy");
    let before = site.snapshots("tree");
    let told = site.done("policy run thin -n");
    assert!(
        told.contains(&format!("keep   {first}  (bookmark first, last)")) || told.contains("(bookmark first)"),
        "{told}"
    );
    assert!(told.contains(&format!("keep   {}  (newest, last)", before[3])), "{told}");
    assert!(
        told.contains(&format!("remove {}", before[1])) && told.contains(&format!("remove {}", before[2])),
        "{told}"
    );
    assert_eq!(site.snapshots("tree"), before);
    site.done("policy run thin");
    assert_eq!(site.snapshots("tree"), [first.to_owned(), before[3].clone()]);
    assert_eq!(site.snapshots("copy").len(), 1);
    for gone in &before[1..3] {
        site.refused(&format!("get {gone}"));
    }
    site.done("vdb refresh copy first");
    assert!(site.done("vdb show copy").contains(first));
}

/// What was asked for, and nothing that was secret in it; looking leaves no record.
fn recorded(site: &Site) {
    let all = site.json("action list --count 1000");
    site.done("policy list");
    site.done("policy run thin -n");
    assert_eq!(site.json("action list --count 1000"), all);
    let shown = site.done("action list --count 1000");
    for record in ["POST /v1/sources/link", "POST /v1/sources/copy/hooks", "POST /v1/bookmarks", "policy hourly"] {
        assert!(shown.contains(record), "{record}: {shown}");
    }
    let key = fs::read_to_string(site.lab.key()).unwrap();
    let secrets = ["secretly", "PRIVATE KEY", key.lines().nth(1).unwrap()];
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    let failed = site.done("action list --failed");
    assert!(failed.contains("POST /v1/destroy") && failed.contains("names=dsource/tree/1@"), "{failed}");
    assert!(failed.lines().all(|line| !line.contains("  done  ")), "{failed}");
    let by_schedule = site.json("action list --who policy --about tree");
    let by_schedule = by_schedule["actions"].as_array().unwrap().clone();
    assert!(by_schedule.len() >= 4 && by_schedule.iter().all(|action| action["job"].is_u64()), "{by_schedule:?}");
    let by_hand = site.json("action list --about thin/run");
    assert!(by_hand["actions"][0]["job"].is_u64() && by_hand["actions"][0]["job_state"] == "done", "{by_hand}");
    let whose = &all["actions"][0]["who"];
    assert_eq!(whose, &format!("uid {}", rustix::process::getuid().as_raw()));
}
