//! What somebody did behind cowd's back, as a real cowd tells and mends it when it starts.

use std::thread;
use std::time::{Duration, Instant};

use cow_tests::site::Site;

use crate::upgrades::in_use;
use crate::workshop::{Workshop, bash};

/// Hosts are asked before the comparison.
const PATIENCE: Duration = Duration::from_secs(60);

impl Workshop {
    /// Starts cowd anew, and waits until it tells of these and no others.
    fn tells(&mut self, subjects: &[&str]) -> String {
        self.site.crash();
        self.site.restart();
        let until = Instant::now() + PATIENCE;
        loop {
            let told = self.site.json("fault");
            let faults = told["faults"].as_array().unwrap().iter();
            let mut found: Vec<&str> = faults.filter_map(|fault| fault["subject"].as_str()).collect();
            found.sort_unstable();
            if found == subjects {
                return told.to_string();
            }
            assert!(Instant::now() < until, "{subjects:?}: {told:#}\n{}", self.site.daemon().log());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

fn is_shared(site: &Site, dataset: &str) -> bool {
    let shares = site.json(&format!("share list {dataset}"));
    shares["shares"][0]["rules"].as_array().is_some_and(|rules| !rules.is_empty())
}

#[test]
fn strays_and_missing_shares_are_told_and_shares_and_mounts_for_nobody_are_taken_back() {
    let Some(mut workshop) = in_use("differences") else { return };
    let copies = workshop.site.daemon().socket().with_file_name("cow-copies");
    workshop.site.done("vdb refresh copy");
    workshop.tells(&[]);
    let site = &workshop.site;
    for line in [
        "create --parents vdb/gone/1",
        "create vdb/copy/9",
        "create vdb/copy/mine",
        "share set vdb/copy/1 10.0.0.0/8 rw",
    ] {
        site.done(line);
    }
    let left = copies.join("sync-1");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::create_dir(copies.join("physical-999")).unwrap();
    site.done(&format!("mount vdb/copy/1 {}", left.display()));
    site.done("share set vdb/copy/2 off");
    assert!(is_shared(site, "vdb/copy/1") && !is_shared(site, "vdb/copy/2"));

    let told = workshop.tells(&["dataset vdb/copy/9", "dataset vdb/gone", "share of vdb/copy/2"]);
    for hint in ["cowctl destroy -r vdb/gone", "cowctl rename vdb/copy/9 NAME", "cowctl vdb disable copy"] {
        assert!(told.contains(hint), "{hint}: {told}");
    }
    let site = &workshop.site;
    assert!(!is_shared(site, "vdb/copy/1"), "nobody is to mount what is over");
    assert_eq!(std::fs::read_dir(&copies).unwrap().count(), 0);
    assert_eq!(site.json("mount")["mounts"].as_array().map(Vec::len), Some(0));
    assert!(site.datasets().contains(&"vdb/copy/9".to_owned()), "it may be all that is left of something");

    // As the hints say.
    for line in ["destroy -y -r vdb/gone", "rename vdb/copy/9 kept", "vdb disable copy", "vdb enable copy"] {
        site.done(line);
    }
    workshop.tells(&[]);
    assert!(is_shared(&workshop.site, "vdb/copy/2"));
    bash(workshop.site.lab.host(2), "test -e /home/deploy/copy/configured");
}
