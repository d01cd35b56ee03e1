//! The order of every workflow, as the contract has it, with what each operation is given.

use std::fs;

use serde_json::json;

use crate::arguments::{About, Subject};
use crate::workshop::{Workshop, bash};

/// One order of a user's.
struct Step {
    /// For cowctl.
    line: &'static str,
    /// What must come of it: operations as they are called, `[hooks]`, `(what the engine does)`.
    order: &'static str,
    /// What the plugin is told.
    about: About,
}

fn step(line: &'static str, order: &'static str) -> Step {
    Step { line, order, about: About::default() }
}

/// A step whose operations are given a snapshot.
fn of(snapshot: u64, line: &'static str, order: &'static str) -> Step {
    Step { about: About { snapshot: Some(snapshot), ..About::default() }, ..step(line, order) }
}

impl Workshop {
    /// Does the steps, and compares what the job's log and the plugin say with what should be.
    fn play(&self, subject: &mut Subject, steps: Vec<Step>) {
        for Step { line, order, about } in steps {
            self.calls();
            self.site.done(&line.replace("FOLDER", self.site.lab.folder().to_str().unwrap()));
            let (tokens, calls) = (self.order(), self.calls());
            assert_eq!(tokens.join(" "), order, "{line}");
            let mut calls = calls.iter();
            for token in &tokens {
                match token.as_str() {
                    "(mount)" => subject.is_mounted = true,
                    "(unmount)" => subject.is_mounted = false,
                    token if token.starts_with(['(', '[']) => {}
                    operation => {
                        let call = calls.next().unwrap_or_else(|| panic!("{line}: {operation} was not called"));
                        assert_eq!(call["operation"], operation, "{line}");
                        subject.check(call, &about);
                    }
                }
            }
            assert_eq!(calls.next(), None, "{line}");
            let hooked = self.hooked(self.site.lab.host(2)) + &self.hooked(self.site.lab.host(1));
            let hooks: Vec<&str> =
                tokens.iter().filter_map(|token| token.strip_prefix('[')?.strip_suffix(']')).collect();
            assert_eq!(hooked.trim_end(), hooks.join(" "), "{line}");
        }
    }
}

#[test]
fn every_workflow_calls_a_staged_plugin_in_the_order_of_the_contract() {
    let Some(workshop) = Workshop::new("orders-staged") else { return };
    let parameters = json!({ "mounts": [{ "path": "/home/deploy/staged" }] });
    workshop.file("linked.json", &parameters);
    workshop.file("resync.json", &json!({ "resync": true }));
    let mut sales = Subject::new("sales", "staged_source", [1, 2], parameters);
    let mut resync = step(
        "source resync sales --snapshot-param-file FOLDER/resync.json",
        "linked.mount_specification [pre-sync] linked.pre_snapshot (snapshot) linked.post_snapshot [post-sync]",
    );
    resync.about.sync = json!({ "resync": true });
    workshop.play(
        &mut sales,
        vec![step(
            "source link sales --plugin witness-staged --env source --staging target --config found --param-file FOLDER/linked.json",
            "(create) linked.mount_specification (mount) linked.pre_snapshot (snapshot) linked.post_snapshot",
        )],
    );
    workshop.hooks("sales", false);
    workshop.play(
        &mut sales,
        vec![
            step(
                "source sync sales",
                "linked.mount_specification [pre-sync] linked.pre_snapshot (snapshot) linked.post_snapshot [post-sync]",
            ),
            resync,
            step("source disable sales", "linked.stop_staging (unmount) (unshare)"),
            step("source enable sales", "linked.mount_specification (mount) linked.start_staging"),
        ],
    );
    workshop.status(&mut sales, "source status sales", "linked.status linked.source_size");
    workshop.worker();
    sales.check(&workshop.worker(), &About::default());
    workshop.vdb("copy", "witness-staged", true);
    workshop.keeps_datasets("sales");
    workshop.play(&mut sales, vec![step("source unlink sales", "linked.stop_staging (unmount) (forget) (destroy)")]);
    workshop.leaves_nothing();
}

#[test]
fn every_workflow_calls_a_direct_plugin_in_the_order_of_the_contract() {
    let Some(workshop) = Workshop::new("orders-direct") else { return };
    workshop.file("linked.json", &json!({}));
    workshop.file("resync.json", &json!({ "resync": false }));
    let mut sales = Subject::new("sales", "direct_source", [1, 1], json!({}));
    let stored = |mut step: Step| {
        step.about.sync = json!({ "resync": false });
        step
    };
    workshop.play(
        &mut sales,
        vec![stored(step(
            "source link sales --plugin witness-direct --env source --snapshot-param-file FOLDER/resync.json --store",
            "(create) linked.pre_snapshot (snapshot) linked.post_snapshot",
        ))],
    );
    workshop.hooks("sales", false);
    workshop.play(
        &mut sales,
        vec![
            stored(step(
                "source sync sales",
                "[pre-sync] linked.pre_snapshot (snapshot) linked.post_snapshot [post-sync]",
            )),
            step("source disable sales", "(unshare)"),
            step("source enable sales", ""),
        ],
    );
    workshop.vdb("copy", "witness-direct", false);
    workshop.play(&mut sales, vec![step("source unlink sales", "(forget) (destroy)")]);
    workshop.leaves_nothing();
}

#[test]
fn a_source_of_many_mounts_on_many_hosts_comes_and_goes_as_a_whole() {
    let Some(workshop) = Workshop::new("orders-many") else { return };
    let far = "UNIX_HOST_ENVIRONMENT-1";
    let parameters = json!({ "mounts": [
        { "path": "/home/deploy/staged" }, { "path": "/home/deploy/elsewhere", "environment": far },
    ] });
    workshop.file("linked.json", &parameters);
    let mut sales = Subject::new("sales", "staged_source", [1, 2], parameters);
    workshop.play(
        &mut sales,
        vec![
            step(
                "source link sales --plugin witness-staged --env source --staging target --config found --param-file FOLDER/linked.json",
                "(create) linked.mount_specification (mount) (mount) linked.pre_snapshot (snapshot) linked.post_snapshot",
            ),
            step(
                "source sync sales",
                "linked.mount_specification linked.pre_snapshot (snapshot) linked.post_snapshot",
            ),
        ],
    );
    let newest = workshop.number();
    let parameters = json!({ "mounts": [
        { "path": "/home/deploy/copy", "shared": "part" },
        { "path": "/home/deploy/more", "shared": "other/deep" },
        { "path": "/home/deploy/far", "environment": far },
    ] });
    workshop.file("virtual.json", &parameters);
    fs::write(workshop.site.lab.folder().join("hook.sh"), "echo configure-clone >>$HOME/hooks").unwrap();
    let mut copy = Subject::new("copy", "virtual_source", [2, 2], parameters);
    workshop.play(
        &mut copy,
        vec![of(
            newest,
            "vdb provision copy sales --env target --param-file FOLDER/virtual.json --hook configure-clone=FOLDER/hook.sh",
            "(clone) virtual.mount_specification (mount) (mount) (mount) virtual.configure [configure-clone] \
             virtual.pre_snapshot (snapshot) virtual.post_snapshot",
        )],
    );
    let [here, there] = [2, 1].map(|number| workshop.site.lab.host(number));
    bash(here, "su deploy -s /bin/bash -c 'echo mine >/home/deploy/copy/file; echo deep >/home/deploy/more/file'");
    let paths = "cat /home/deploy/far/part/file /home/deploy/far/other/deep/file";
    assert_eq!(bash(there, paths), "mine\ndeep\n");
    let shares = workshop.site.done("share list vdb -H");
    assert!(["198.51.100.101/32 rw", "198.51.100.102/32 rw"].iter().all(|host| shares.contains(host)), "{shares}");
    workshop.play(
        &mut copy,
        vec![
            of(
                newest,
                "vdb refresh copy",
                "virtual.unconfigure (unmount) (unmount) (unmount) (clone) virtual.mount_specification \
                 (mount) (mount) (mount) virtual.configure [configure-clone] \
                 virtual.pre_snapshot (snapshot) virtual.post_snapshot (unshare)",
            ),
            step("vdb disable copy", "virtual.unconfigure (unmount) (unmount) (unmount) (unshare)"),
            of(
                newest + 2,
                "vdb enable copy",
                "virtual.status virtual.mount_specification (mount) (mount) (mount) virtual.reconfigure",
            ),
            step(
                "vdb delete copy",
                "virtual.unconfigure virtual.cleanup (unmount) (unmount) (unmount) (forget) (destroy)",
            ),
        ],
    );
    workshop.play(
        &mut sales,
        vec![step("source unlink sales", "linked.stop_staging (unmount) (unmount) (forget) (destroy)")],
    );
    workshop.leaves_nothing();
}

/// The orders of start and stop hooks around enable and disable, which a plugin may ask for.
const ENABLE: [&str; 2] = [
    "virtual.status virtual.mount_specification (mount) virtual.reconfigure",
    "virtual.status [pre-start] virtual.mount_specification (mount) virtual.reconfigure [post-start]",
];
const DISABLE: [&str; 2] =
    ["virtual.unconfigure (unmount) (unshare)", "[pre-stop] virtual.unconfigure (unmount) [post-stop] (unshare)"];

impl Workshop {
    /// The life of a VDB that is provisioned from the newest snapshot of `sales`.
    fn vdb(&self, name: &'static str, plugin: &str, is_extended: bool) {
        let parameters = json!({ "mounts": [{ "path": "/home/deploy/copy" }] });
        self.file("virtual.json", &parameters);
        let newest = self.number();
        let mut copy = Subject::new(name, "virtual_source", [2, 2], parameters);
        self.play(
            &mut copy,
            vec![of(
                newest,
                "vdb provision copy sales --env target --param-file FOLDER/virtual.json",
                "(clone) virtual.mount_specification (mount) virtual.configure \
                 virtual.pre_snapshot (snapshot) virtual.post_snapshot",
            )],
        );
        self.hooks("copy", true);
        let first = self.number();
        let physical = json!({ "note": "n" });
        self.file("physical.json", &physical);
        let v2p = |snapshot: u64, line, order| {
            let physical = Some((1, physical.clone()));
            Step { about: About { snapshot: Some(snapshot), physical, ..About::default() }, ..step(line, order) }
        };
        let enable = usize::from(is_extended);
        self.play(
            &mut copy,
            vec![
                step(
                    "vdb snapshot copy",
                    "[pre-snapshot] virtual.pre_snapshot (snapshot) virtual.post_snapshot [post-snapshot]",
                ),
                step("vdb stop copy", "[pre-stop] virtual.stop [post-stop]"),
                step("vdb start copy", "[pre-start] virtual.mount_specification virtual.start [post-start]"),
                of(
                    newest,
                    "vdb refresh copy",
                    "[pre-refresh] virtual.unconfigure (unmount) (clone) virtual.mount_specification (mount) \
                     virtual.configure [configure-clone] virtual.pre_snapshot (snapshot) virtual.post_snapshot \
                     [post-refresh] (unshare)",
                ),
            ],
        );
        let to = self.site.snapshots("copy")[0].clone();
        let rewind: &'static str = format!("vdb rewind copy {to}").leak();
        self.play(
            &mut copy,
            vec![
                of(
                    first,
                    rewind,
                    "[pre-rollback] virtual.unconfigure (unmount) (clone) virtual.mount_specification (mount) \
                     virtual.reconfigure virtual.pre_snapshot (snapshot) virtual.post_snapshot [post-rollback] (unshare)",
                ),
                v2p(
                    newest + 4,
                    "v2p copy /home/deploy/plain --env source --param-file FOLDER/physical.json",
                    "virtual.pre_source_to_physical (copy) virtual.source_to_physical",
                ),
                step("vdb disable copy", DISABLE[enable]),
                of(newest + 4, "vdb enable copy", ENABLE[enable]),
            ],
        );
        self.status(&mut copy, "vdb status copy", "virtual.status virtual.source_size");
        self.empty(plugin);
        let mut sales = Subject::new(
            "sales",
            if plugin.ends_with("staged") { "staged_source" } else { "direct_source" },
            [1, if plugin.ends_with("staged") { 2 } else { 1 }],
            serde_json::from_str(&fs::read_to_string(self.site.lab.folder().join("linked.json")).unwrap()).unwrap(),
        );
        sales.is_mounted = plugin.ends_with("staged");
        self.play(
            &mut sales,
            vec![v2p(
                newest,
                "v2p sales /home/deploy/plain --env source --param-file FOLDER/physical.json",
                "linked.pre_source_to_physical (copy) linked.source_to_physical",
            )],
        );
        assert_eq!(bash(self.site.lab.host(1), "ls /home/deploy/plain/arrived"), "/home/deploy/plain/arrived\n");
        self.play(
            &mut copy,
            vec![step(
                "vdb delete copy",
                "[pre-stop] virtual.unconfigure virtual.cleanup [post-stop] (unmount) (forget) (destroy)",
            )],
        );
    }

    /// Neither what a dSource stands on nor what is above it can be changed behind its back.
    fn keeps_datasets(&self, name: &str) {
        let before = self.site.done("list -r -t all -o name -H");
        let snapshot = self.site.snapshots(name)[0].clone();
        let (whole, folder, verb) = (format!("dsource/{name}/1"), format!("dsource/{name}"), "cowctl source unlink");
        for (line, hint) in [
            (format!("destroy -y {whole}"), verb),
            (format!("destroy -y -r {folder}"), verb),
            ("destroy -y -r dsource".to_owned(), verb),
            (format!("destroy -y {snapshot}"), "cowctl help policy"),
            (format!("rename {snapshot} other"), "cowctl bookmark add"),
            (format!("rename {whole} other"), "by any name"),
            ("rename dsource other".to_owned(), "by any name"),
            (format!("rewind {snapshot}"), "cowctl vdb provision"),
        ] {
            let said = self.site.refused(&line);
            assert!(said.contains(&format!("dSource '{name}' needs it")) && said.contains(hint), "{line}: {said}");
        }
        assert_eq!(self.site.done("list -r -t all -o name -H"), before);
    }

    /// The life of a VDB that begins with nothing.
    fn empty(&self, plugin: &str) {
        let parameters = json!({ "mounts": [{ "path": "/home/deploy/fresh" }], "owner": [7, 8] });
        self.file("empty.json", &parameters);
        let mut fresh = Subject::new("fresh", "virtual_source", [2, 2], parameters);
        fresh.owner = "7:8";
        let provision = match plugin {
            "witness-staged" => {
                "vdb provision-empty fresh --plugin witness-staged --env target --param-file FOLDER/empty.json"
            }
            _ => "vdb provision-empty fresh --plugin witness-direct --env target --param-file FOLDER/empty.json",
        };
        self.play(
            &mut fresh,
            vec![
                step(
                    provision,
                    "(create) virtual.mount_specification (mount) virtual.initialize \
                     virtual.pre_snapshot (snapshot) virtual.post_snapshot",
                ),
                step("vdb delete fresh", "virtual.unconfigure virtual.cleanup (unmount) (forget) (destroy)"),
            ],
        );
    }

    /// The number that the plugin said of the newest snapshot of all.
    fn number(&self) -> u64 {
        let text = fs::read_to_string(self.site.lab.folder().join("control/number")).unwrap();
        text.parse().unwrap()
    }

    /// What is asked at once, without a job.
    fn status(&self, subject: &mut Subject, line: &str, order: &str) {
        self.calls();
        let said = self.site.done(line);
        assert!(said.contains("enabled, active, "), "{said}");
        let calls = self.calls();
        let operations: Vec<&str> = calls.iter().map(|call| call["operation"].as_str().unwrap()).collect();
        assert_eq!(operations.join(" "), order);
        calls.iter().for_each(|call| subject.check(call, &About::default()));
    }

    /// No mount, program, dataset or fault is left.
    fn leaves_nothing(&self) {
        for host in [1, 2].map(|number| self.site.lab.host(number)) {
            assert_eq!(bash(host, "grep -c :/ /proc/mounts; pgrep -fc '^witness-' ; true"), "0\n0\n");
        }
        let left = self.site.json("list");
        let names: Vec<&str> =
            left["datasets"].as_array().unwrap().iter().filter_map(|set| set["name"].as_str()).collect();
        assert!(names.iter().all(|name| ["dsource", "vdb"].contains(name)), "{names:?}");
        assert_eq!(self.site.done("fault"), "");
    }
}
