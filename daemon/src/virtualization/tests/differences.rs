//! What is taken away or put there behind cowd's back: after a restart it is mended, or a fault says what it is and what to do.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::*;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

/// A VDB with a timeflow that is over, a disabled one, and a dSource.
fn site() -> Site {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    site.done(site.order("test", SourceOrder::Refresh { to: None }));
    let parameters = json!({"paths": [{"path": "/off"}]});
    let request = Provision { name: "off".to_owned(), parameters, ..site.provision_request(Some("sales")) };
    site.done(site.virtualization.provision(&request));
    site.done(site.order("off", SourceOrder::Disable));
    site
}

impl Site {
    /// Restarts with a change of the world, which must make this fault and no other, or be mended; and then without it.
    fn differs(&mut self, why: &str, subject: Option<&str>, change: impl FnOnce(&mut Seen)) {
        let before = self.world.seen();
        change(&mut self.world.inner.lock().seen);
        let changed = self.world.seen();
        assert_ne!(changed, before, "{why}");
        self.restart();
        let faults = self.virtualization.faults().unwrap().faults;
        let told: Vec<&str> = faults.iter().map(|fault| fault.subject.as_str()).collect();
        assert_eq!(told, subject.into_iter().collect::<Vec<_>>(), "{why}: {faults:?}");
        for fault in &faults {
            assert!(fault.hint.as_ref().is_some_and(|hint| hint.contains('\'')), "{why}: {fault:?}");
        }
        // What no row knows is left as it is.
        let expected = if subject.is_some() { changed } else { before.clone() };
        assert_eq!(self.world.seen(), expected, "{why}");
        // Who mends it need not restart.
        self.world.inner.lock().seen = before;
        self.virtualization.settle_debts().unwrap();
        assert_eq!(self.virtualization.faults().unwrap().faults, [], "{why}");
    }
}

#[test]
fn what_is_missing_is_told_until_it_is_back() {
    let mut site = site();
    let Seen { datasets, snapshots, shares, .. } = site.world.seen();
    // Folders are nobody's timeflows.
    let flows: Vec<&String> = datasets.iter().filter(|name| name.matches('/').count() == 2).collect();
    assert_eq!((flows.len(), snapshots.len(), shares.len()), (4, 4, 2));
    for dataset in flows {
        site.differs(dataset, Some(&format!("dataset {dataset}")), |seen| {
            seen.datasets.remove(dataset);
            // Which go with it.
            seen.snapshots.retain(|name| !name.starts_with(&format!("{dataset}@")));
            seen.shares.remove(dataset);
        });
    }
    for snapshot in &snapshots {
        site.differs(snapshot, Some(&format!("snapshot {snapshot}")), |seen| {
            seen.snapshots.remove(snapshot);
        });
    }
    for dataset in shares.keys() {
        site.differs(dataset, Some(&format!("share of {dataset}")), |seen| {
            seen.shares.remove(dataset);
        });
    }
}

#[test]
fn what_nobody_knows_is_told_and_what_no_host_needs_is_taken_back() {
    let mut site = site();
    for (dataset, told) in [
        ("vdb/gone", Some("vdb/gone")),
        ("vdb/gone/1", Some("vdb/gone")),
        ("dsource/gone/1/below", Some("dsource/gone")),
        ("vdb/test/9", Some("vdb/test/9")),
        ("vdb/test/9/below", Some("vdb/test/9")),
        ("vdb/test/mine", None),
        ("vdb/test/1/mine", None),
        ("other/9", None),
    ] {
        let subject = told.map(|told| format!("dataset {told}"));
        if subject.is_none() {
            site.world.inner.lock().seen.datasets.insert(dataset.to_owned());
            site.restart();
            assert_eq!(site.virtualization.faults().unwrap().faults, [], "{dataset}");
            continue;
        }
        site.differs(dataset, subject.as_deref(), |seen| {
            seen.datasets.insert(dataset.to_owned());
            seen.datasets.insert(told.unwrap_or(dataset).to_owned());
        });
    }
    for dataset in ["vdb/test/1", "vdb/off/1"] {
        site.differs(dataset, None, |seen| {
            seen.shares.insert(dataset.to_owned(), vec![HOST]);
        });
    }
    let scratch = site.directory.join("scratch");
    let left = |path: &Path, name: &str| (path.to_owned(), name.to_owned());
    for name in ["sync-1", "sync-99", "physical-1", "physical-99", "unknown"] {
        site.differs(name, None, |seen| {
            seen.mounts_here.extend([left(&scratch.join(name), "vdb/test/1")]);
        });
    }
    let stuck = scratch.join("sync-1");
    site.differs("stuck", Some(&format!("mount at {}", stuck.display())), |seen| {
        seen.mounts_here.extend([left(&stuck, "stuck")]);
    });
    // A user's own.
    site.world.inner.lock().seen.mounts_here.extend([left(Path::new("/mnt"), "vdb/test/1")]);
    site.restart();
    assert_eq!((site.virtualization.faults().unwrap().faults, site.world.seen().mounts_here.len()), (Vec::new(), 1));
}

#[test]
fn what_a_job_works_on_or_is_to_destroy_is_no_difference() {
    let site = site();
    let seen = |change: fn(&mut Seen)| change(&mut site.world.inner.lock().seen);
    let row = site.virtualization.made("test").unwrap();
    let busy = site.virtualization.occupy(&row).unwrap_or_else(|_| panic!("it is busy"));
    seen(|seen| {
        seen.datasets.insert("vdb/test/9".to_owned());
        seen.shares.insert("vdb/test/1".to_owned(), vec![HOST]);
        seen.shares.remove("vdb/test/2");
    });
    let before = site.world.seen();
    site.virtualization.compare().unwrap();
    assert_eq!((site.world.seen(), site.virtualization.faults().unwrap().faults), (before, Vec::new()));
    drop(busy);
    site.virtualization.compare().unwrap();
    let told: Vec<String> =
        site.virtualization.faults().unwrap().faults.into_iter().map(|fault| fault.subject).collect();
    assert_eq!(told, ["dataset vdb/test/9", "share of vdb/test/2"]);
}
