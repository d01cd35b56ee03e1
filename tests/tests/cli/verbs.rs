//! Each verb against the real daemon: what it does, what it prints, and the shape of its JSON.

use std::fs;
use std::os::unix::fs::MetadataExt;

use cow_api::v1::{
    Dataset, Destroyed, Diff, Job, Jobs, Listing, Rewound, Snapshot, Snapshots, Space, Status, Undeleted,
};
use cow_tests::daemon::Daemon;
use cow_tests::host_tree;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{done, json, run, start};

/// Runs cowctl with `--json`, which must print what `T` is under this kind.
fn typed<T: DeserializeOwned>(daemon: &Daemon, kind: &str, line: &str) -> T {
    let (found, data) = json(daemon, line);
    assert_eq!(found, kind, "cowctl {line}");
    serde_json::from_value(data).unwrap_or_else(|error| panic!("cowctl {line}: {error}"))
}

#[test]
fn datasets_are_made_listed_set_and_renamed() {
    let (_scratch, daemon) = start("cli-datasets");
    assert_eq!(done(&daemon, "create bank"), "Created bank, shared as /bank\n");
    let made: Dataset =
        typed(&daemon, "dataset", "create bank/eu/de --parents --profile postgres -o quota=1G -o team:owner=x");
    assert_eq!((made.properties.block_size, made.properties.quota), (8 << 10, Some(1 << 30)));
    done(&daemon, "set bank/eu/de quota=none readonly=on compression=zstd:3 team:owner=");
    let set: Dataset = typed(&daemon, "dataset", "get bank/eu/de");
    assert_eq!((set.properties.quota, set.properties.readonly, set.properties.user.len()), (None, true, 0));
    assert_eq!(done(&daemon, "get -H bank/eu/de readonly compression"), "readonly\ton\ncompression\tzstd:3\n");
    assert_eq!(done(&daemon, "rename bank/eu/de bank/at"), "Renamed bank/eu/de to bank/at\n");
    let renamed: Dataset = typed(&daemon, "dataset", "rename bank/at bank/de");
    assert_eq!((renamed.id, renamed.share.as_deref()), (made.id, Some("/bank/de")));

    assert_eq!(done(&daemon, "list -Ho name"), "bank\nbank/de\nbank/eu\n");
    assert_eq!(done(&daemon, "list -Ho name bank"), "bank\n");
    assert_eq!(done(&daemon, "list -r -H -o name,type bank/eu bank/de"), "bank/de\tdataset\nbank/eu\tdataset\n");
    assert_eq!(done(&daemon, "list -Ho name,blocksize -s -blocksize"), "bank\t16K\nbank/eu\t16K\nbank/de\t8K\n");
    let table = done(&daemon, "list -o name,referenced");
    assert_eq!(table, "NAME     REFERENCED\nbank            0 B\nbank/de         0 B\nbank/eu         0 B\n");
    let listing: Listing = typed(&daemon, "listing", "list -t all");
    assert_eq!((listing.datasets.len(), listing.snapshots.len()), (3, 0));
}

#[test]
fn snapshots_are_taken_cloned_rewound_held_and_destroyed() {
    let (_scratch, daemon) = start("cli-snapshots");
    done(&daemon, "create a");
    done(&daemon, "create a/b");
    assert_eq!(done(&daemon, "snapshot -r a@one"), "a@one\na/b@one\n");
    let taken: Snapshots = typed(&daemon, "snapshots", "snapshot a a/b@two");
    let names: Vec<&str> = taken.snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
    assert!(names[0].starts_with("a@20") && names[1] == "a/b@two", "named by the time: {names:?}");
    assert_eq!(done(&daemon, "rename a/b@two @three"), "Renamed a/b@two to a/b@three\n");
    let renamed: Snapshot = typed(&daemon, "snapshot", "rename a/b@three a/b@two");
    assert_eq!(renamed.id, taken.snapshots[1].id);
    assert_eq!(done(&daemon, "list -t snapshot -Ho name a/b"), "a/b@one\na/b@two\n");

    assert_eq!(done(&daemon, "clone a@one c"), "Cloned a@one to c, shared as /c\n");
    let cloned: Dataset = typed(&daemon, "dataset", "clone a@one d -o readonly=on");
    assert!(cloned.properties.readonly && cloned.origin.is_some());
    assert!(done(&daemon, "rewind a@one").starts_with("Rewound a to a@one\nWhat it had is saved: 'cowctl rewind a@"));
    let rewound: Rewound = typed(&daemon, "rewound", "rewind c --to a@one");
    assert!(rewound.saved.automatic && rewound.dataset.name == "c");

    assert_eq!(done(&daemon, "hold a@one keep"), "Holding a@one for keep\n");
    assert_eq!(run(&daemon.socket(), "destroy a@one").code, 6);
    assert_eq!(done(&daemon, "get -H a@one holds"), "holds\tkeep\n");
    let released: Snapshot = typed(&daemon, "snapshot", "release a@one keep");
    assert!(released.holds.is_empty());

    // Nothing goes when it is only asked what would.
    let listing = done(&daemon, "list -t all");
    let foreseen: Vec<Destroyed> = typed(&daemon, "destroyed", "destroy -rn a");
    assert_eq!((foreseen.len(), foreseen[0].dry_run, foreseen[0].datasets.len()), (1, true, 2));
    assert!(done(&daemon, "destroy -n c d").contains("would destroy d\nwould free "));
    assert_eq!(run(&daemon.socket(), "destroy c d nope").code, 4);
    assert_eq!(done(&daemon, "list -t all"), listing);

    let destroyed: Vec<Destroyed> = typed(&daemon, "destroyed", "destroy -r a");
    assert!(destroyed[0].undelete_until.is_some());
    assert_eq!(done(&daemon, "list -Ho name"), "c\nd\n");
    assert!(done(&daemon, "list --destroyed -Ho name").lines().any(|name| name == "a"));
    let undeleted: Undeleted = typed(&daemon, "undeleted", "undelete a");
    assert_eq!(undeleted.name, "a");
    done(&daemon, "destroy a@one");
    assert_eq!(done(&daemon, "undelete a@one"), "Brought back a@one\n");
    assert!(done(&daemon, "destroy --now --yes d").starts_with("Destroyed d, "));
    assert_eq!(run(&daemon.socket(), "undelete d").code, 4);
}

#[test]
fn trees_go_in_and_out_as_jobs() {
    let (scratch, daemon) = start("cli-transfer");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    host_tree::make(&from, 200, 3 << 20, 4);
    let imported = done(&daemon, &format!("import {} tree --profile tree -o dedup=off", from.display()));
    assert!(imported.starts_with("Imported 20") && imported.contains(" files, "), "{imported}");
    let made: Dataset = typed(&daemon, "dataset", "get tree");
    assert_eq!((made.properties.extent_size, made.properties.dedup), (128 << 10, false));
    done(&daemon, "snapshot tree@in");
    let again: Job = typed(&daemon, "job", &format!("import {} tree", from.display()));
    assert!(again.report.is_some());
    let exported: Job = typed(&daemon, "job", &format!("export tree@in {}", to.display()));
    assert!(exported.progress.percent == Some(100.0) && exported.report.is_some());
    host_tree::assert_same(&host_tree::describe(&from), &host_tree::describe(&to));
    assert_eq!(fs::metadata(&to).unwrap().mode(), fs::metadata(&from).unwrap().mode());

    let detached: Job = typed(&daemon, "job", &format!("import {} other --detach", from.display()));
    let id = detached.id;
    let followed: Job = typed(&daemon, "job", &format!("job follow {id}"));
    assert!(followed.report.is_some());
    assert!(done(&daemon, &format!("job show {id}")).starts_with("Imported "));
    let jobs: Jobs = typed(&daemon, "jobs", "job list");
    assert_eq!((jobs.jobs.len(), jobs.jobs[0].id), (4, id));
    assert_eq!(done(&daemon, "job -H").lines().count(), 4);
}

#[test]
fn the_daemon_and_its_space_are_told() {
    let (_scratch, daemon) = start("cli-status");
    done(&daemon, "create a");
    let status: Status = typed(&daemon, "status", "status");
    assert_eq!((status.datasets, status.nfs), (1, Some(daemon.nfs().to_string())));
    let told = done(&daemon, "status");
    assert!(told.starts_with("cowd: ") && told.contains(" serving, version "), "{told}");
    let space: Space = typed(&daemon, "space", "space");
    assert_eq!(space.datasets.len(), 1);
    assert_eq!(done(&daemon, "space -H a").split('\t').next(), Some("a"));
    assert!(done(&daemon, "space").contains("\n\nPool: "));
}

#[test]
fn differences_are_listed_and_everything_is_checked() {
    let (scratch, daemon) = start("cli-diff");
    let from = scratch.path().join("from");
    fs::create_dir(&from).unwrap();
    for name in ["stays", "goes", "changes", "moves"] {
        fs::write(from.join(name), name).unwrap();
    }
    let import = format!("import {} d", from.display());
    done(&daemon, &import);
    done(&daemon, "snapshot d@then");
    fs::remove_file(from.join("goes")).unwrap();
    fs::write(from.join("changes"), "changed").unwrap();
    fs::write(from.join("comes"), "new").unwrap();
    done(&daemon, &import);
    let told = done(&daemon, "diff d@then");
    let mut lines: Vec<&str> = told.lines().map(|line| line.split("  (").next().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["+ /comes", "- /goes", "M /changes"]);
    let diff: Diff = typed(&daemon, "diff", "diff d@then d --limit 1");
    assert!(diff.truncated && diff.differences.len() == 1 && diff.newer == "d");
    done(&daemon, "clone d@then c");
    assert_eq!(done(&daemon, "diff d@then c"), "");

    assert!(done(&daemon, "verify").starts_with("All is well: "));
    for line in ["verify d@then", "verify --dataset d@then", "verify --dataset d"] {
        let job: Job = typed(&daemon, "job", line);
        assert!(job.report.is_some() && line.ends_with(&job.subject), "{job:?}");
    }
    assert_eq!(run(&daemon.socket(), "verify d --dataset d").code, 2);
    for line in ["scrub", "scrub nonsense", "scrub pause --anew", "scrub status --wait"] {
        assert_eq!(run(&daemon.socket(), line).code, 2, "{line}");
    }
}

#[test]
fn a_daemon_is_found_by_flags_and_by_the_environment() {
    let (_scratch, daemon) = start("cli-socket");
    let with = |variable: &str, value: &str| crate::program().env(variable, value).arg("list").output().unwrap();
    let socket = daemon.socket();
    assert!(with("COW_SOCKET", socket.to_str().unwrap()).status.success());
    assert_eq!(with("COW_URL", "http://127.0.0.1:9").status.code(), Some(9));
    let (kind, problem) = crate::envelope(&run(&socket, "--json get nope").stdout);
    assert_eq!((kind.as_str(), &problem["code"]), ("problem", &Value::from("not_found")));
}
