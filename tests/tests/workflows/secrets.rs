//! Secrets of parameters, credentials, hooks and environments are given to plugins and hosts, and stand nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cow_api::v1::path;
use cow_tests::hosts::PASSWORD;
use cow_tests::secrets::found_in;
use serde_json::{Value, json};

use crate::workshop::Workshop;

/// What must not be seen: of a dSource's and a VDB's parameters, their credentials, a hook, and the hosts' users.
const SECRETS: [&str; 7] = [
    "geheim-linked-4711",
    "geheim-supplier-0815",
    "geheim-virtual-2342",
    "geheim-keys-1010",
    "geheim-hook-9999",
    "geheim-resync-3131",
    PASSWORD,
];

/// What processes of this machine are seen to have in their arguments and, but for those on hosts, in their variables.
fn seen_in_processes() -> BTreeSet<String> {
    let here = fs::read_link("/proc/self/ns/pid").unwrap();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let is_here = fs::read_link(entry.path().join("ns/pid")).is_ok_and(|of| of == here);
        let shown = [read("cmdline"), if is_here { read("environ") } else { Vec::new() }].concat();
        let text = String::from_utf8_lossy(&shown);
        seen.extend(
            SECRETS.iter().filter(|secret| text.contains(**secret)).map(|secret| format!("{secret} in {text}")),
        );
    }
    seen
}

/// Looks at processes until it is told to stop. Returns what it saw.
fn watch(is_over: &AtomicBool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !is_over.load(Ordering::Acquire) {
        seen.extend(seen_in_processes());
        thread::sleep(Duration::from_millis(10));
    }
    seen
}

impl Workshop {
    /// The session. Returns all that cowctl said.
    fn uses_secrets(&self) -> String {
        let supplier =
            |secret: &str| json!({ "type": "NamedPasswordCredential", "username": "db", "password": secret });
        let keys = json!({
            "type": "NamedKeyPairCredential", "username": "db", "privateKey": "geheim-keys-1010", "publicKey": "open",
        });
        let mounts = |path: &str| json!([{ "path": path }]);
        self.file(
            "linked.json",
            &json!({
                "mounts": mounts("/home/deploy/staged"), "password": SECRETS[0], "credentials": supplier(SECRETS[1]),
                "tells": true,
            }),
        );
        self.file(
            "virtual.json",
            &json!({
                "mounts": mounts("/home/deploy/copy"), "password": SECRETS[2], "credentials": keys, "tells": true,
            }),
        );
        self.file("resync.json", &json!({ "token": SECRETS[5] }));
        let folder = self.site.lab.folder().display();
        let mut said = String::new();
        let mut order = |line: &str| {
            let answered = self.site.ended(line);
            said += &answered.unwrap_or_else(|said| said);
            said += &self.site.newest_log();
        };
        // A value of a wrong type is not quoted.
        self.file("wrong.json", &json!({ "password": [SECRETS[0]], "credentials": { "password": SECRETS[1] } }));
        let link = "source link sales --plugin witness-staged --env source --staging target --config found";
        order(&format!("{link} --param-file {folder}/wrong.json"));
        order(&format!("{link} --param-file {folder}/linked.json"));
        self.add_hook("sales", "pre-sync", &format!("TOKEN={}; [ -n $TOKEN ]", SECRETS[4]));
        order(&format!("source resync sales --snapshot-param-file {folder}/resync.json"));
        order(&format!("vdb provision copy sales --env target --param-file {folder}/virtual.json"));
        order("vdb snapshot copy");
        self.fail("virtual.stop", "after");
        order("vdb stop copy");
        self.fail("virtual.configure", "before");
        order("vdb refresh copy");
        order("vdb rewind copy");
        order("vdb disable copy");
        order("vdb enable copy");
        order("vdb status copy");
        for line in
            ["source list", "vdb list", "--json source show sales", "--json vdb show copy", "timeline copy", "fault"]
        {
            order(line);
        }
        said
    }

    /// All that the API tells: of each noun the list and one, and what happened.
    fn told_by_the_api(&self) -> String {
        let daemon = self.site.daemon();
        self.site.done("bookmark add kept sales");
        self.site.done("policy add nightly sync --schedule @daily");
        let jobs = daemon.done("GET", path::JOBS, "");
        let ids: Vec<u64> = jobs["jobs"].as_array().unwrap().iter().filter_map(|job| job["id"].as_u64()).collect();
        let lists = [path::ACTIONS, path::BOOKMARKS, path::ENVIRONMENTS, path::FAULTS, path::JOBS, path::MOUNTS];
        let others = [path::PLUGINS, path::POLICIES, path::SHARES, path::SOURCES, path::STATUS, "/metrics"];
        let mut paths: Vec<String> = [lists, others].as_flattened().iter().map(|&path| path.to_owned()).collect();
        paths.extend(["source", "target"].map(path::discovered));
        paths.extend([path::environment("source"), path::plugin("witness-staged"), path::policy("nightly")]);
        for source in ["sales", "copy"] {
            paths.push(path::source(source));
            paths.extend(["hooks", "status", "timeline"].map(|part| path::source_part(source, part)));
        }
        paths.extend(ids.iter().flat_map(|id| [path::job(*id), path::job_log(*id)]));
        let told = paths.iter().map(|path| {
            let answer = daemon.ask("GET", path, "");
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.text()
        });
        let told: Vec<String> = told.collect();
        told.concat() + &self.told_by_events()
    }

    /// What the stream of events tells, from the oldest that it has to the one that is waited for.
    fn told_by_events(&self) -> String {
        let mut stream = UnixStream::connect(self.site.daemon().socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nLast-Event-ID: 0\r\n\r\n").unwrap();
        let last = format!("\"id\":{},", self.site.newest_job());
        let (mut told, mut buffer) = (String::new(), [0; 65536]);
        while !told.contains(&last) {
            let len = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {told}"));
            assert!(len > 0, "the stream ends: {told}");
            told += &String::from_utf8_lossy(&buffer[..len]);
        }
        told
    }
}

#[test]
fn secrets_of_sources_credentials_and_hooks_are_seen_nowhere() {
    let Some(workshop) = Workshop::new("secrets") else { return };
    let site = &workshop.site;
    let is_over = AtomicBool::new(false);
    let (said, seen) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&is_over));
        let said = workshop.uses_secrets();
        is_over.store(true, Ordering::Release);
        (said, watcher.join().unwrap())
    });
    assert!(seen.is_empty(), "{seen:#?}");
    // The plugin had them, and tried to tell.
    let calls: Vec<Value> = workshop.calls();
    let text = Value::Array(calls).to_string();
    for secret in SECRETS.iter().filter(|secret| !secret.contains("hook") && **secret != PASSWORD) {
        assert!(text.contains(secret), "the plugin was not given {secret}");
    }
    assert!(said.contains("[hidden]"), "nothing was told: {said}");
    for (what, text) in [("cowctl", said), ("the API", workshop.told_by_the_api()), ("the log", site.daemon().log())] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{what} tells {secret}: {text}");
        }
    }
    // All of the pool, the state, its plugins and the sockets' folder; what the test itself wrote lies beside them.
    assert_eq!(found_in(&site.setup.folder, SECRETS), "");
}
