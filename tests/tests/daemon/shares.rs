//! Shares: who may mount what, by options that datasets inherit down their names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use cow_api::v1::{Share, path};
use cow_tests::daemon::Daemon;
use cow_tests::nfs_client::{Call, Client, Failure, Handle, Outcome, Set, Stable};
use cow_tests::random::Random;
use cow_tests::scratch::is_root;
use serde_json::{Value, json};

use crate::setup;

const ACCESS: u32 = 13;
const READ_ONLY: u32 = 30;

fn status<T: std::fmt::Debug>(outcome: Outcome<T>) -> u32 {
    match outcome {
        Err(Failure::Status(status)) => status,
        other => panic!("a refusal was expected, and this came: {other:?}"),
    }
}

fn create(daemon: &Daemon, name: &str) {
    daemon.done("POST", "/v1/datasets", &json!({ "name": name, "root": { "mode": "0777" } }).to_string());
}

fn set(daemon: &Daemon, name: &str, change: Value) -> Share {
    serde_json::from_value(daemon.done("PATCH", &path::share(name), &change.to_string())).unwrap()
}

fn shares(daemon: &Daemon) -> Vec<Share> {
    serde_json::from_value(daemon.done("GET", path::SHARES, "")["shares"].take()).unwrap()
}

fn client(daemon: &Daemon, own: &str) -> Client {
    Client::connect_from(own.parse::<SocketAddr>().unwrap(), daemon.nfs()).unwrap()
}

/// Datasets by name, each with the anonymous user of its own share, if it has one; and what was destroyed.
#[derive(Default)]
struct Model {
    live: BTreeMap<String, Option<u32>>,
    destroyed: Vec<(String, Option<u32>)>,
}

impl Model {
    fn below(&self, name: &str) -> Vec<String> {
        let at_or_below = |other: &&String| *other == name || other.starts_with(&format!("{name}/"));
        self.live.keys().filter(at_or_below).cloned().collect()
    }

    /// Each dataset's anonymous user, and where that comes from.
    fn effective(&self) -> Vec<(String, u32, Option<String>)> {
        let of = |name: &String| {
            let mut at = name.as_str();
            loop {
                if let Some(own) = self.live[at] {
                    return (name.clone(), own, Some(at.to_owned()));
                }
                match at.rsplit_once('/') {
                    Some((above, _)) => at = above,
                    None => return (name.clone(), 65_534, None),
                }
            }
        };
        self.live.keys().map(of).collect()
    }

    /// Does something to both, and returns what it was.
    fn act(&mut self, daemon: &Daemon, random: &mut Random, number: u32) -> String {
        let names: Vec<String> = self.live.keys().cloned().collect();
        let (name, other) = match &names[..] {
            [] => (String::new(), String::new()),
            names => (random.pick(names).clone(), random.pick(names).clone()),
        };
        match random.below(10) {
            _ if names.len() < 3 => self.create(daemon, &format!("d{number}")),
            0 | 1 => self.create(daemon, &format!("{name}/d{number}")),
            2 => {
                let to = if random.below(3) == 0 { format!("r{number}") } else { format!("{other}/r{number}") };
                if other == name || other.starts_with(&format!("{name}/")) {
                    return String::new();
                }
                daemon.done("POST", &path::dataset_verb(&name, "rename"), &json!({ "to": to }).to_string());
                for old in self.below(&name) {
                    let own = self.live.remove(&old).unwrap();
                    self.live.insert(format!("{to}{}", &old[name.len()..]), own);
                }
                format!("rename {name} {to}")
            }
            3 => {
                daemon.done("DELETE", &format!("{}?recursive", path::dataset(&name)), "");
                let family = self.below(&name);
                let gone = family.into_iter().map(|name| (name.clone(), self.live.remove(&name).unwrap()));
                self.destroyed.extend(gone.collect::<Vec<_>>());
                format!("destroy {name}")
            }
            4 if !self.destroyed.is_empty() => {
                let (was, own) = self.destroyed.swap_remove(random.below(self.destroyed.len() as u64) as usize);
                let to = format!("{name}/u{number}");
                daemon.done("POST", &path::undelete(&was), &json!({ "to": to }).to_string());
                self.live.insert(to.clone(), own);
                format!("undelete {was} as {to}")
            }
            5 => {
                let (snapshot, to) = (format!("{name}@s{number}"), format!("{other}/c{number}"));
                let taken = json!({ "snapshots": [{ "dataset": name, "name": format!("s{number}") }] });
                daemon.done("POST", path::SNAPSHOTS, &taken.to_string());
                daemon.done("POST", &path::snapshot_verb(&snapshot, "clone"), &json!({ "name": to }).to_string());
                self.live.insert(to.clone(), None);
                format!("clone {snapshot} {to}")
            }
            6 => {
                daemon.done("DELETE", &path::share(&name), "");
                self.live.insert(name.clone(), None);
                format!("clear {name}")
            }
            _ => {
                set(daemon, &name, json!({ "anonuid": number }));
                self.live.insert(name.clone(), Some(number));
                format!("set {name} {number}")
            }
        }
    }

    fn create(&mut self, daemon: &Daemon, name: &str) -> String {
        create(daemon, name);
        self.live.insert(name.to_owned(), None);
        format!("create {name}")
    }
}

#[test]
fn options_are_inherited_down_names_whatever_happens() {
    let (_scratch, setup) = setup("inherited");
    let mut daemon = setup.start();
    let (mut model, mut random, mut done) = (Model::default(), Random::new(4), Vec::new());
    for number in 1..=250 {
        done.push(model.act(&daemon, &mut random, number));
        if number % 100 == 0 {
            daemon.crash();
            daemon = setup.start();
        }
        let found = shares(&daemon);
        let found: Vec<_> = found.into_iter().map(|share| (share.dataset, share.anonuid, share.from)).collect();
        let mut expected = model.effective();
        expected.sort();
        assert_eq!(found, expected, "after {}", done.join("\n"));
    }
    let log = daemon.log();
    assert!(log.contains("set who may mount it") && !log.contains("WARN"), "{log}");
}

#[test]
fn an_address_may_what_its_network_says_also_after_a_restart() {
    let (_scratch, setup) = setup("addresses");
    let daemon = setup.start();
    create(&daemon, "a");
    create(&daemon, "a/b");
    create(&daemon, "other");
    let rules = ["127.0.0.0/8 ro", "127.0.0.2 rw", "127.0.0.3 rw no_root_squash", "127.0.0.4 rw all_squash"];
    let share = set(&daemon, "a", json!({ "rules": rules, "anonuid": 77, "anongid": 78 }));
    assert_eq!(share.rules[1], "127.0.0.2/32 rw root_squash");
    let off = set(&daemon, "a/b", json!({ "off": true }));
    assert_eq!((off.rules.len(), off.from.as_deref()), (0, Some("a/b")));

    check_addresses(&daemon);
    daemon.crash();
    let daemon = setup.start();
    check_addresses(&daemon);

    // What changes counts for a client that is there already, from its next call on.
    let mut first = client(&daemon, "127.0.0.2:0");
    let (root, mut held) = (first.mount("/a").unwrap(), client(&daemon, "127.0.0.9:0"));
    let untouched = held.mount("/other").unwrap();
    set(&daemon, "a", json!({ "rules": ["127.0.0.9"] }));
    assert_eq!(status(first.attributes(&root)), ACCESS);
    // The handle does not help another address, nor one of another dataset.
    assert_eq!(status(client(&daemon, "127.0.0.3:0").attributes(&root)), ACCESS);
    held.attributes(&root).unwrap();
    held.create(&untouched, b"f", true, &Set::default()).unwrap();
    daemon.done("DELETE", &path::share("a"), "");
    first.create(&root, b"now", true, &Set::default()).unwrap();
    assert_eq!(status(first.mount("/a/b")), ACCESS);
    let listed = shares(&daemon);
    assert!(listed.iter().all(|share| share.from.is_none() || share.dataset == "a/b"), "{listed:?}");
}

/// What each address may do in `a`; nobody may mount what is below it.
fn check_addresses(daemon: &Daemon) {
    let owner_of_made = |own: &str, uid: u32| -> Outcome<(u32, u32)> {
        let mut client = client(daemon, own);
        (client.user.uid, client.user.gid) = (uid, uid);
        let root = client.mount("/a").unwrap();
        let name = format!("{own}-{uid}");
        let file: Handle = client.create(&root, name.as_bytes(), false, &Set::default())?;
        client.write(&file, 0, b"x", Stable::File)?;
        let found = client.attributes(&file)?;
        Ok((found.uid, found.gid))
    };
    assert_eq!(status(owner_of_made("127.0.0.1:0", 0)), READ_ONLY);
    assert_eq!(owner_of_made("127.0.0.2:0", 0).unwrap(), (77, 78));
    assert_eq!(owner_of_made("127.0.0.2:0", 1000).unwrap(), (1000, 1000));
    assert_eq!(owner_of_made("127.0.0.3:0", 0).unwrap(), (0, 0));
    assert_eq!(owner_of_made("127.0.0.4:0", 1000).unwrap(), (77, 78));
    for own in ["127.0.0.1:0", "127.0.0.3:0"] {
        assert_eq!(status(client(daemon, own).mount("/a/b")), ACCESS);
    }
}

#[test]
fn who_is_squashed_has_nothing_of_root_not_even_its_groups() {
    let (_scratch, setup) = setup("squashed");
    let daemon = setup.start();
    create(&daemon, "a");
    let mut root = client(&daemon, "127.0.0.1:0");
    let top = root.mount("/a").unwrap();
    let of_the_group = Set { mode: Some(0o070), uid: Some(0), gid: Some(0), ..Set::default() };
    let file = root.create(&top, b"f", true, &of_the_group).unwrap();
    let read = |rule: &str, gid, groups: &[u32]| {
        set(&daemon, "a", json!({ "rules": [rule] }));
        let mut user = client(&daemon, "127.0.0.6:0");
        (user.user.uid, user.user.gid, user.user.groups) = (1000, gid, groups.to_vec());
        user.read(&file, 0, 1).map(drop)
    };
    for (gid, groups) in [(0, &[][..]), (1000, &[7, 0]), (1000, &[0; 16])] {
        read("127.0.0.6 rw no_root_squash", gid, groups).unwrap();
        for rule in ["127.0.0.6 rw", "127.0.0.6 rw root_squash", "127.0.0.6 rw all_squash"] {
            assert_eq!(status(read(rule, gid, groups)), ACCESS, "{rule} {gid} {groups:?}");
        }
    }
    assert_eq!(status(read("127.0.0.6 rw no_root_squash", 1000, &[7])), ACCESS);
}

/// What the table of shares came to beside all that happened at once is what it is made of anew.
#[test]
fn many_at_once_leave_the_table_as_it_is_made_anew() {
    let (_scratch, setup) = setup("at-once");
    let daemon = setup.start();
    for name in ["a", "a/b", "a/b/c", "kept"] {
        create(&daemon, name);
    }
    let mut mounted = client(&daemon, "127.0.0.1:0");
    let root = mounted.mount("/kept").unwrap();
    thread::scope(|scope| {
        let actors: Vec<_> = (0..3)
            .map(|seed| {
                let daemon = &daemon;
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for _ in 0..120 {
                        let names = ["a", "a/b", "a/b/c", "x", "x/b", "kept", "moved"];
                        let (name, to) = (random.pick(&names), random.pick(&names));
                        // Most of it is refused, for others were quicker.
                        match random.below(5) {
                            0 => daemon.ask("POST", path::DATASETS, &json!({ "name": name }).to_string()),
                            1 | 2 => daemon.ask(
                                "POST",
                                &path::dataset_verb(name, "rename"),
                                &json!({ "to": to }).to_string(),
                            ),
                            3 => daemon.ask(
                                "PATCH",
                                &path::share(name),
                                &json!({ "anonuid": random.below(99) }).to_string(),
                            ),
                            _ => daemon.ask("DELETE", &path::share(name), ""),
                        };
                    }
                })
            })
            .collect();
        // Nobody destroys anything, so whoever has something mounted notices nothing.
        while actors.iter().any(|actor| !actor.is_finished()) {
            mounted.attributes(&root).unwrap();
        }
    });
    let before = shares(&daemon);
    daemon.crash();
    assert_eq!(before, shares(&setup.start()));
}

#[test]
fn a_secure_share_asks_for_ports_below_1024() {
    let (_scratch, setup) = setup("secure");
    let daemon = setup.start();
    create(&daemon, "a");
    assert!(set(&daemon, "a", json!({ "secure": true })).secure);
    assert_eq!(status(client(&daemon, "127.0.0.5:0").mount("/a")), ACCESS);
    // Anybody may ask what there is to mount.
    let exports = client(&daemon, "127.0.0.5:0").call(&Call::mounts(5)).unwrap();
    assert!(exports.windows(9).any(|window| window == b"127.0.0.0"));
    if !is_root() {
        eprintln!("skipped in part: only root has ports below 1024");
        return;
    }
    let mut low = client(&daemon, "127.0.0.5:903");
    let root = low.mount("/a").unwrap();
    low.attributes(&root).unwrap();
    assert_eq!(status(client(&daemon, "127.0.0.5:0").attributes(&root)), ACCESS);
    assert!(!set(&daemon, "a", json!({ "secure": false })).secure);
    client(&daemon, "127.0.0.5:0").attributes(&root).unwrap();
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let (_scratch, setup) = setup("senseless");
    let daemon = setup.start();
    create(&daemon, "a");
    for (change, part) in [
        (json!({ "rules": ["host.example rw"] }), "'host.example' is not a network: give an address"),
        (json!({ "rules": ["10.0.0.0/33"] }), "10.0.0.0/33"),
        (json!({ "rules": ["10.0.0.0/8 rx"] }), "is none of rw, ro"),
        (json!({ "rules": ["10.0.0.0/8 rw ro"] }), "contradicts itself"),
        (json!({ "rules": ["10.0.0.0/8", "10.1.0.0/8 rw"] }), "named twice"),
        (json!({ "rules": [] }), "nobody could mount it"),
        (json!({ "off": true, "anonuid": 1 }), "goes with nothing else"),
        (json!({ "anonuid": -1 }), "expected u32"),
        (json!({ "clients": [] }), "clients"),
    ] {
        let problem = daemon.ask("PATCH", &path::share("a"), &change.to_string()).problem();
        assert_eq!(problem.code.as_str(), "invalid_request", "{change}: {problem:?}");
        assert!(problem.detail.contains(part), "{change}: {problem:?}");
    }
    let missing = |method, body| daemon.ask(method, &path::share("missing"), body).problem().code;
    assert_eq!(
        [missing("GET", ""), missing("PATCH", "{}"), missing("DELETE", "")].map(|code| code.as_str()),
        ["not_found"; 3]
    );
    // The property that keeps it is nobody else's, neither to set nor to bring along.
    for (method, path, body) in [
        ("PATCH", "/v1/datasets/a", json!({ "user": { "cow:share": "0.0.0.0/0 rw" } })),
        ("PATCH", "/v1/datasets/a", json!({ "user": { "cow:share": null } })),
        ("POST", "/v1/datasets", json!({ "name": "b", "properties": { "user": { "cow:x": "y" } } })),
    ] {
        let problem = daemon.ask(method, path, &body.to_string()).problem();
        assert!(problem.hint.is_some_and(|hint| hint.contains("cowctl share set")), "{body}");
    }
    assert_eq!(shares(&daemon)[0].from, None);
    set(&daemon, "a", json!({ "anonuid": 5 }));
    assert_eq!(daemon.done("GET", "/v1/datasets/a", "")["properties"]["user"], json!({}));
}
