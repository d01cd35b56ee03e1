//! A plugin that fails at each operation of each workflow in turn: its author's words reach the user, and hosts, shares,
//! datasets and state are as before.

use std::env;

use serde_json::json;

use crate::workshop::{Workshop, bash};

/// Set to anything, each operation fails before its work and again after it; otherwise in one of the two ways by turns.
const ALL: &str = "COW_WORKFLOW_FAILURES";

/// An order, the operations of it that fail in turn, and whether it is then carried out.
type Row = (&'static str, &'static str, bool);

const SNAPSHOT: &str = "virtual.pre_snapshot virtual.post_snapshot";

const STAGED: &[Row] = &[
    (
        "source link sales --plugin witness-staged --env source --staging target --config found --param-file FOLDER/linked.json",
        "linked.mount_specification linked.pre_snapshot linked.post_snapshot",
        true,
    ),
    ("source sync sales", "linked.mount_specification linked.pre_snapshot linked.post_snapshot", true),
    ("source disable sales", "", true),
    ("source enable sales", "linked.mount_specification linked.start_staging", true),
    // Only what was enabled once was started: a failure puts it in use again.
    ("source disable sales", "linked.stop_staging", false),
    (
        "vdb provision copy sales --env target --param-file FOLDER/virtual.json",
        "virtual.mount_specification virtual.configure virtual.pre_snapshot virtual.post_snapshot",
        true,
    ),
    ("vdb disable copy", "virtual.unconfigure", true),
    ("vdb enable copy", "virtual.status virtual.mount_specification virtual.reconfigure", true),
    ("v2p sales /home/deploy/plain --env source", "linked.pre_source_to_physical linked.source_to_physical", false),
    ("source unlink sales", "linked.stop_staging", true),
];

const DIRECT: &[Row] = &[
    (
        "source link sales --plugin witness-direct --env source --param-file FOLDER/empty.json",
        "linked.pre_snapshot linked.post_snapshot",
        true,
    ),
    ("source sync sales", "linked.pre_snapshot linked.post_snapshot", false),
    (
        "vdb provision-empty copy --plugin witness-direct --env target --param-file FOLDER/virtual.json",
        "virtual.mount_specification virtual.initialize virtual.pre_snapshot virtual.post_snapshot",
        false,
    ),
    ("vdb provision copy sales --env target --param-file FOLDER/virtual.json", "", true),
    ("vdb snapshot copy", SNAPSHOT, true),
    ("vdb stop copy", "virtual.stop", true),
    ("vdb start copy", "virtual.mount_specification virtual.start", true),
    (
        "vdb refresh copy",
        "virtual.unconfigure virtual.mount_specification virtual.configure virtual.pre_snapshot virtual.post_snapshot",
        true,
    ),
    (
        "vdb rewind copy",
        "virtual.unconfigure virtual.mount_specification virtual.reconfigure virtual.pre_snapshot virtual.post_snapshot",
        false,
    ),
    ("v2p copy /home/deploy/plain --env source", "virtual.pre_source_to_physical virtual.source_to_physical", false),
    ("vdb delete copy", "virtual.unconfigure virtual.cleanup", true),
];

impl Workshop {
    /// All that must be as before: what hosts have mounted, run and store, and what cowd tells of itself.
    fn world(&self) -> String {
        // Left out: what the engine made to mount on, the toolkit, and what a failed V2P had copied.
        let on_host = "grep ' fuse\\|nfs' /proc/mounts | grep ':/' | sort; pgrep -a '' | cut -d' ' -f2- | grep '^witness-' | sort; \
                       cd /home/deploy; find . -mindepth 1 -maxdepth 2 -path ./cow-toolkit -prune -o -path ./plain -prune -o \
                       -type d -empty -prune -o -print | sort";
        let mut world = [1, 2].map(|number| bash(self.site.lab.host(number), on_host)).concat();
        for line in ["list -r -t all -o name -H", "share list -H", "source list -H", "vdb list -H", "fault"] {
            world += &format!("{line}:\n{}", self.site.done(line));
        }
        for (verb, source) in [("source", "sales"), ("vdb", "copy")] {
            if world.contains(&format!("\n{source}\t")) {
                let lines = [format!("--json {verb} show {source}"), format!("--json timeline {source}")];
                world.extend(lines.map(|line| self.site.done(&line)));
            }
        }
        world
    }

    fn fails_everywhere(&self, rows: &[Row]) {
        let ways: &[&str] = if env::var_os(ALL).is_some() { &["before", "after"] } else { &["by turns"] };
        let mut count = 0;
        for (line, operations, is_carried_out) in rows {
            let line = line.replace("FOLDER", self.site.lab.folder().to_str().unwrap());
            let before = self.world();
            for operation in operations.split_whitespace() {
                for way in ways {
                    count += 1;
                    let way = if *way == "by turns" { ["before", "after"][count % 2] } else { *way };
                    self.fails_once(&line, operation, way, &before);
                }
            }
            if *is_carried_out {
                self.site.done(&line);
            }
        }
        println!("{count} failures");
        assert_eq!(self.site.done("fault"), "");
    }

    fn fails_once(&self, line: &str, operation: &str, way: &str, before: &str) {
        self.fail(operation, way);
        let said = self.site.refused(line);
        let told = || format!("{line}: {operation} fails {way} its work: {said}\n{}", self.site.newest_log());
        assert!(!self.takes_failure_back(), "it was not called: {}", told());
        for words in [format!("the spring of {operation} is broken"), "wind it up".to_owned(), "creak".to_owned()] {
            assert!(said.contains(&words), "{}", told());
        }
        let after = self.world();
        assert!(before == after, "{}\nbefore:\n{before}\nafter:\n{after}", told());
    }
}

fn tries(name: &str, rows: &[Row]) {
    let Some(workshop) = Workshop::new(name) else { return };
    workshop.file("linked.json", &json!({ "mounts": [{ "path": "/home/deploy/staged" }] }));
    workshop.file("virtual.json", &json!({ "mounts": [{ "path": "/home/deploy/copy" }] }));
    workshop.file("empty.json", &json!({}));
    // What holds the datasets of all dSources and VDBs stays.
    workshop.site.done("create dsource");
    workshop.site.done("create vdb");
    workshop.fails_everywhere(rows);
}

/// Hooks that fail in turn, by order.
const HOOKS: &[(&str, &str, &str, bool)] = &[
    ("source", "sales", "sync pre-sync post-sync", false),
    ("vdb", "copy", "snapshot pre-snapshot post-snapshot", false),
    ("vdb", "copy", "refresh pre-refresh configure-clone post-refresh", false),
    ("vdb", "copy", "rewind pre-rollback post-rollback", false),
    ("vdb", "copy", "stop pre-stop post-stop", true),
    ("vdb", "copy", "start pre-start post-start", false),
    ("vdb", "copy", "delete pre-stop post-stop", false),
];

#[test]
fn a_hook_that_fails_fails_its_operation_and_all_is_as_before() {
    let Some(workshop) = Workshop::new("failures-hooks") else { return };
    workshop.file("virtual.json", &json!({ "mounts": [{ "path": "/home/deploy/copy" }] }));
    let site = &workshop.site;
    site.done("source link sales --plugin witness-direct --env source");
    let parameters = site.lab.folder().join("virtual.json");
    site.done(&format!("vdb provision copy sales --env target --param-file {}", parameters.display()));
    for (kind, name, words, is_carried_out) in HOOKS {
        let mut points = words.split(' ');
        let line = format!("{kind} {} {name}", points.next().unwrap());
        for at in points {
            let last = words.split(' ').next_back().unwrap();
            let before = workshop.world();
            // What comes after runs whatever happened, where the contract says so.
            let is_told = at != last && ["post-sync", "post-snapshot"].contains(&last);
            if is_told {
                workshop.add_hook(name, last, &format!("echo {last} >>$HOME/hooks"));
            }
            workshop.add_hook(name, at, "echo 'the hook says why'; exit 7");
            let said = site.refused(&line);
            let log = site.newest_log();
            assert!(said.contains(&format!("hook {at} of {name} exited with 7")), "{line}: {said}");
            assert!(log.contains("the hook says why"), "{line}: {log}");
            let hooked = [1, 2].map(|number| workshop.hooked(site.lab.host(number))).concat();
            assert_eq!(hooked.trim_end(), if is_told { last } else { "" }, "{line}: {at}");
            site.done(&format!("hook remove {name} {at}"));
            if is_told {
                site.done(&format!("hook remove {name} {last}"));
            }
            let after = workshop.world();
            assert!(before == after, "{line}: {at}: {said}{log}\nbefore:\n{before}\nafter:\n{after}");
        }
        if *is_carried_out {
            site.done(&line);
        }
    }
    assert_eq!(site.done("fault"), "");
}

#[test]
fn whatever_a_staged_plugin_fails_at_is_told_and_undone() {
    tries("failures-staged", STAGED);
}

#[test]
fn whatever_a_direct_plugin_fails_at_is_told_and_undone() {
    tries("failures-direct", DIRECT);
}
