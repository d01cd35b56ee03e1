//! The verbs over the API, and what NFS clients see of each.

use cow_tests::daemon::Daemon;
use cow_tests::nfs_client::{Client, Failure, Handle, Set, Stable, User};
use serde_json::{Value, json};

use crate::setup;

/// NFS's and MOUNT's word for what is not there, for a handle of what is gone, and for what takes no writes.
const MISSING: u32 = 2;
const STALE: u32 = 70;
const READ_ONLY: u32 = 30;

fn status<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> u32 {
    match outcome {
        Err(Failure::Status(status)) => status,
        other => panic!("a refusal was expected, and this came: {other:?}"),
    }
}

/// Writes `text` to the file `f` of a dataset, durably.
fn write(client: &mut Client, dataset: &str, text: &str) -> Handle {
    let root = client.mount(&format!("/{dataset}")).unwrap();
    let file = client.create(&root, b"f", false, &Set { size: Some(0), ..Set::default() }).unwrap();
    client.write(&file, 0, text.as_bytes(), Stable::File).unwrap();
    file
}

/// What the file `f` of a dataset, or at another path in it, holds.
fn read(client: &mut Client, dataset: &str, path: &str) -> String {
    let root = client.mount(&format!("/{dataset}")).unwrap();
    let file = client.walk(&root, path).unwrap();
    String::from_utf8(client.read(&file, 0, 1000).unwrap().0).unwrap()
}

fn post(daemon: &Daemon, path: &str, body: Value) -> Value {
    daemon.done("POST", path, &body.to_string())
}

fn snapshot(daemon: &Daemon, dataset: &str, name: &str) {
    post(daemon, "/v1/snapshots", json!({ "snapshots": [{ "dataset": dataset, "name": name }] }));
}

fn names(daemon: &Daemon, path: &str, kind: &str) -> Vec<String> {
    let listing = daemon.done("GET", path, "");
    listing[kind].as_array().unwrap().iter().map(|found| found["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn snapshots_clones_and_rewinds_are_seen_at_once() {
    let (_scratch, setup) = setup("verbs");
    let daemon = setup.start();
    let mut client = Client::connect(daemon.nfs()).unwrap();
    let made = post(&daemon, "/v1/datasets", json!({ "name": "prod", "profile": "postgres" }));
    assert_eq!((&made["share"], &made["properties"]["blocksize"]), (&json!("/prod"), &json!(8192)));
    write(&mut client, "prod", "monday");
    snapshot(&daemon, "prod", "mon");
    let held = write(&mut client, "prod", "tuesday");
    snapshot(&daemon, "prod", "tue");
    let diff = daemon.done("GET", "/v1/diff?older=prod%40mon&newer=prod%40tue", "");
    assert_eq!(diff["differences"], json!([{ "kind": "modified", "path": "/f", "changed_bytes": 8192 }]));
    assert_eq!(daemon.done("GET", "/v1/diff?older=prod%40mon&newer=prod%40tue&limit=0", "")["truncated"], true);
    let clone = post(&daemon, "/v1/snapshots/prod%40mon/clone", json!({ "name": "dev" }));
    assert_eq!((&clone["share"], &clone["origin"]["name"]), (&json!("/dev"), &json!("prod@mon")));
    assert_eq!(read(&mut client, "dev", "f"), "monday");
    write(&mut client, "dev", "changed");
    assert_eq!(read(&mut client, "prod", "f"), "tuesday");
    assert_eq!(read(&mut client, "prod", ".snapshot/mon/f"), "monday");
    assert_eq!(read(&mut client, "prod", ".snapshot/tue/f"), "tuesday");

    let rewound = post(&daemon, "/v1/datasets/prod/rewind", json!({ "to": "prod@mon" }));
    assert_eq!(read(&mut client, "prod", "f"), "monday");
    // The same file in time: its handle leads to what it was.
    assert_eq!(client.read(&held, 0, 100).unwrap().0, b"monday");
    let saved = rewound["saved"]["name"].as_str().unwrap();
    assert_eq!(rewound["saved"]["automatic"], true);
    post(&daemon, "/v1/datasets/prod/rewind", json!({ "to": saved }));
    assert_eq!(read(&mut client, "prod", "f"), "tuesday");
    // A clone goes back to what its origin was.
    post(&daemon, "/v1/datasets/dev/rewind", json!({ "to": "prod@mon" }));
    assert_eq!(read(&mut client, "dev", "f"), "monday");
}

#[test]
fn what_can_be_mounted_follows_names_and_ends() {
    let (_scratch, setup) = setup("shares");
    let daemon = setup.start();
    let mut client = Client::connect(daemon.nfs()).unwrap();
    post(&daemon, "/v1/datasets", json!({ "name": "a/b/c", "parents": true }));
    assert_eq!(names(&daemon, "/v1/datasets", "datasets"), ["a", "a/b", "a/b/c"]);
    let file = write(&mut client, "a/b/c", "deep");
    snapshot(&daemon, "a/b/c", "s");

    post(&daemon, "/v1/datasets/a%2Fb/rename", json!({ "to": "x" }));
    assert_eq!(names(&daemon, "/v1/datasets", "datasets"), ["a", "x", "x/c"]);
    assert_eq!(read(&mut client, "x/c", "f"), "deep");
    assert_eq!(client.read(&file, 0, 100).unwrap().0, b"deep");
    assert_eq!(status(client.mount("/a/b/c")), MISSING);

    let foreseen = daemon.done("DELETE", "/v1/datasets/x?recursive&dry_run", "");
    assert_eq!((&foreseen["dry_run"], &foreseen["datasets"]), (&json!(true), &json!(["x", "x/c"])));
    assert_eq!(foreseen["snapshots"], json!(["x/c@s"]));
    assert_eq!(read(&mut client, "x/c", "f"), "deep");
    let destroyed = daemon.done("DELETE", "/v1/datasets/x?recursive", "");
    assert_eq!(destroyed["datasets"], foreseen["datasets"]);
    assert!(destroyed["undelete_until"].is_string());
    assert_eq!(names(&daemon, "/v1/datasets", "datasets"), ["a"]);
    assert_eq!(status(client.mount("/x/c")), MISSING);
    assert_eq!(status(client.read(&file, 0, 100)), STALE);

    assert_eq!(names(&daemon, "/v1/destroyed", "datasets"), ["x", "x/c"]);
    post(&daemon, "/v1/destroyed/x%2Fc/undelete", json!({ "to": "back" }));
    assert_eq!(read(&mut client, "back", "f"), "deep");
    assert_eq!(read(&mut client, "back", ".snapshot/s/f"), "deep");
    assert_eq!(client.read(&file, 0, 100).unwrap().0, b"deep");
    let paths: Vec<Value> = daemon.done("GET", "/v1/shares", "")["shares"].as_array().unwrap().clone();
    assert_eq!(paths.iter().map(|share| share["path"].as_str().unwrap()).collect::<Vec<_>>(), ["/a", "/back"]);
    assert_eq!(paths[0]["rules"], json!(["127.0.0.0/8 rw no_root_squash", "::1/128 rw no_root_squash"]));
    let clients = daemon.done("GET", "/v1/clients", "");
    assert_eq!(clients["clients"][0]["address"], "127.0.0.1");
}

#[test]
fn a_dataset_belongs_to_whom_it_was_made_for() {
    let (_scratch, mut setup) = setup("owner");
    setup.config += "[exports]\nrules = [\"127.0.0.1 rw root_squash\"]\n";
    let daemon = setup.start();
    post(&daemon, "/v1/datasets", json!({ "name": "roots" }));
    post(&daemon, "/v1/datasets", json!({ "name": "ours", "root": { "uid": 999, "gid": 998, "mode": "0750" } }));
    let wrong = json!({ "name": "x", "root": { "mode": "rwx" } }).to_string();
    assert_eq!(daemon.ask("POST", "/v1/datasets", &wrong).problem().code.as_str(), "invalid_request");
    let mut client = Client::connect(daemon.nfs()).unwrap();
    for (user, dataset, expected) in
        [(0, "roots", false), (999, "roots", false), (0, "ours", false), (999, "ours", true)]
    {
        client.user = User { uid: user, gid: user, groups: Vec::new() };
        let root = client.mount(&format!("/{dataset}")).unwrap();
        let made = client.create(&root, b"f", true, &Set::default());
        assert_eq!(made.is_ok(), expected, "user {user} in {dataset}: {made:?}");
    }
    let root = client.mount("/ours").unwrap();
    let attributes = client.attributes(&root).unwrap();
    assert_eq!((attributes.uid, attributes.gid, attributes.mode), (999, 998, 0o750));
}

#[test]
fn properties_holds_and_snapshots_of_several() {
    let (_scratch, setup) = setup("properties");
    let daemon = setup.start();
    let mut client = Client::connect(daemon.nfs()).unwrap();
    for name in ["a", "a/b", "c"] {
        post(&daemon, "/v1/datasets", json!({ "name": name }));
    }
    let file = write(&mut client, "a", "text");
    let set = daemon.done("PATCH", "/v1/datasets/a", r#"{"readonly":true,"quota":1048576,"user":{"team:of":"x"}}"#);
    assert_eq!((&set["properties"]["quota"], &set["properties"]["user"]["team:of"]), (&json!(1 << 20), &json!("x")));
    assert_eq!(status(client.write(&file, 0, b"no", Stable::File)), READ_ONLY);
    let set = daemon.done("PATCH", "/v1/datasets/a", r#"{"readonly":false,"quota":null,"user":{"team:of":null}}"#);
    assert_eq!((&set["properties"]["quota"], &set["properties"]["user"]), (&Value::Null, &json!({})));
    client.write(&file, 0, b"yes!", Stable::File).unwrap();

    let taken = post(&daemon, "/v1/snapshots", json!({ "snapshots": [{ "dataset": "a" }], "recursive": true }));
    let taken: Vec<&Value> = taken["snapshots"].as_array().unwrap().iter().collect();
    assert_eq!(taken.len(), 2);
    assert_eq!(taken[0]["created"], taken[1]["created"]);
    let part = |name: &Value| name.as_str().unwrap().split_once('@').unwrap().1.to_owned();
    assert_eq!(part(&taken[0]["name"]), part(&taken[1]["name"]));
    // A second one in the same second has another name.
    post(&daemon, "/v1/snapshots", json!({ "snapshots": [{ "dataset": "a" }] }));
    snapshot(&daemon, "c", "s");
    assert_eq!(daemon.done("PUT", "/v1/snapshots/c%40s/holds/x", "")["holds"], json!(["x"]));
    assert_eq!(daemon.ask("DELETE", "/v1/snapshots/c%40s?now", "").problem().code.as_str(), "held");
    assert_eq!(daemon.done("DELETE", "/v1/snapshots/c%40s/holds/x", "")["holds"], json!([]));
    assert_eq!(post(&daemon, "/v1/snapshots/c%40s/rename", json!({ "to": "t" }))["name"], "c@t");
    daemon.done("DELETE", "/v1/snapshots/c%40t", "");
    assert_eq!(names(&daemon, "/v1/datasets?under=c", "snapshots"), [""; 0]);
    assert_eq!(post(&daemon, "/v1/destroyed/c%40t/undelete", json!({ "to": "u" }))["name"], "c@u");
    assert_eq!(names(&daemon, "/v1/datasets?under=c", "snapshots"), ["c@u"]);
    // What is destroyed now does not come back.
    assert_eq!(daemon.done("DELETE", "/v1/datasets/c?now", "")["undelete_until"], Value::Null);
    let gone = |daemon: &Daemon| names(daemon, "/v1/destroyed", "datasets").is_empty();
    assert!((0..500).any(|_| gone(&daemon) || {
        std::thread::sleep(std::time::Duration::from_millis(10));
        false
    }));
    let space = daemon.done("GET", "/v1/space?under=a", "");
    assert_eq!(space["datasets"].as_array().unwrap().len(), 2);
    assert_eq!(space["datasets"][0]["snapshots"], 2);
}
