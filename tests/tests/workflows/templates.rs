//! The SDK's own templates, as `dvp init` and `dvp build` of each generation make them, live through every workflow.

use std::fs;
use std::path::Path;

use cow_tests::plugins::template;
use cow_tests::site::Site;
use cowd::plugins::Language;

use crate::workshop::{PROGRAMS, bash};

/// What is done with a dSource `s` and VDBs `v` and `w` of a template, after it was linked. TIME is that of `v`'s second
/// snapshot.
const LIFE: &[&str] = &[
    "source sync s",
    "source resync s",
    "source disable s",
    "source enable s",
    "source status s",
    "vdb provision v s --env target",
    "vdb snapshot v",
    "vdb refresh v",
    "vdb rewind v TIME",
    "vdb stop v",
    "vdb start v",
    "vdb disable v",
    "vdb enable v",
    "vdb status v",
    "vdb provision w v --env source",
    "v2p v /home/deploy/plain --env source",
    "v2p s /home/deploy/other --env source",
    "vdb delete w",
    "vdb delete v",
    "source unlink s",
];

/// Where a VDB is mounted.
fn mounted(site: &Site, name: &str) -> String {
    let shown = site.json(&format!("vdb show {name}"));
    shown["mounts"][0].as_str().and_then(|mount| mount.split_once(':')).unwrap().1.to_owned()
}

/// Installs a template from a folder or artifact, and does all that can be done with it.
fn lives(site: &Site, from: &Path, plugin: &str, is_staged: bool) {
    site.done(&format!("plugin install {}", from.display()));
    let config = site.lab.folder().join("config.json");
    fs::write(&config, r#"{"name": "by hand"}"#).unwrap();
    let staging = if is_staged { "--staging target" } else { "" };
    let link = format!("source link s --plugin {plugin} --env source {staging} --config-file {}", config.display());
    site.done(&link);
    let target = site.lab.host(2);
    for line in LIFE {
        let time = || site.snapshots("v")[1].clone();
        let line = if line.contains("TIME") { line.replace("TIME", &time()) } else { (*line).to_owned() };
        // What is written before the snapshot is gone after the refresh, and back after the rewind.
        let is_there = |right: &str| {
            let found = bash(target, &format!("cat {}/mine 2>/dev/null || echo none", mounted(site, "v")));
            assert_eq!(found.trim_end(), right, "{plugin}: before {line}");
        };
        match line.split(' ').nth(1) {
            Some("snapshot") => {
                let path = mounted(site, "v");
                bash(target, &format!("su deploy -s /bin/bash -c 'echo mine >{path}/mine'"));
            }
            Some("rewind") => is_there("none"),
            Some("stop" | "disable") if line.ends_with('v') => is_there("mine"),
            Some("status") if line.ends_with('v') => is_there("mine"),
            _ => {}
        }
        site.done(&line);
    }
    assert_eq!(bash(site.lab.host(1), "cat /home/deploy/plain/mine; rm -r /home/deploy/plain"), "mine\n");
    let said = site.refused(&format!("vdb provision-empty e --plugin {plugin} --env target"));
    assert!(said.contains("cannot make an empty VDB"), "{said}");
    site.done(&format!("plugin remove {plugin}"));
    assert!(!site.done("source discovered source").contains(plugin), "what it had found is forgotten");
    for host in [1, 2] {
        assert_eq!(bash(site.lab.host(host), "grep -c :/ /proc/mounts; true"), "0\n");
    }
    assert_eq!(site.done("fault"), "");
}

/// The templates of a language live: STAGED and DIRECT, each from its artifact and, if that is asked for, from its source.
fn all_live(language: Language, from_source: bool) {
    let folders = ["STAGED", "DIRECT"].map(|kind| template(language, kind));
    let [Some(staged), Some(direct)] = folders else { return };
    let name = format!("templates-{}", language.as_str().to_lowercase());
    let Some(site) = Site::new(&name, PROGRAMS, &["source", "target"], &[]) else { return };
    for (folder, is_staged) in [(staged, true), (direct, false)] {
        let plugin = folder.file_name().unwrap().to_str().unwrap().to_owned();
        lives(&site, &folder.join("artifact.json"), &plugin, is_staged);
        if from_source {
            lives(&site, &folder, &plugin, is_staged);
        }
    }
}

#[test]
fn templates_of_sdk_5_2_live_from_their_source_and_their_artifact() {
    all_live(Language::Python311, true);
}

#[test]
fn artifacts_of_sdk_4_1_live_in_python_3_8() {
    all_live(Language::Python38, false);
}

#[test]
fn artifacts_of_sdk_3_1_live_in_python_2_7() {
    all_live(Language::Python27, false);
}
