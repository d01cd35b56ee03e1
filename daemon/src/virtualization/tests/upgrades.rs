//! Upgrades of a plugin, against what jobs of its sources do at the same time.

use super::*;
use crate::clock;
use crate::plugins::Object;
use crate::virtualization::discovery::Tenant;
use crate::virtualization::plugins::{PluginRecord, PluginTenants};
use crate::virtualization::work::Occupied;

/// The plugin, as it is installed.
fn install(site: &Site) -> u64 {
    let record = PluginRecord { package: Package::clone(&site.world.package), installed: clock::time(clock::now()) };
    site.virtualization.state.write(|edit| edit.insert(&record)).unwrap()
}

fn occupied(site: &Site) -> Occupied {
    let virtualization = &site.virtualization;
    virtualization.occupy(&virtualization.made("test").unwrap()).unwrap_or_else(|_| panic!("it is busy"))
}

fn migrated(before: &[Object]) -> Vec<Object> {
    let migrated = |object: &Object| {
        let mut object = object.clone();
        object.value["migrated"] = json!(true);
        object
    };
    before.iter().map(migrated).collect()
}

/// What happens between a migration and the write of what it made, and whether that write must be refused.
type Meanwhile = (fn(&Site) -> Option<Occupied>, bool);

const MEANWHILE: [Meanwhile; 6] = [
    (|_| None, false),
    (|site| Some(occupied(site)), true),
    (
        |site| {
            site.done(site.order("test", SourceOrder::Snapshot));
            None
        },
        true,
    ),
    (
        |site| {
            let parameters = json!({"paths": [{"path": "/more"}]});
            let request = LinkSource { name: "more".to_owned(), parameters, ..site.request() };
            site.done(site.virtualization.link(&request));
            None
        },
        true,
    ),
    (
        |site| {
            site.done(site.order("test", SourceOrder::Delete { force: false }));
            None
        },
        true,
    ),
    // What is as it was may have been anything in between.
    (
        |site| {
            site.done(site.order("test", SourceOrder::Stop));
            None
        },
        false,
    ),
];

#[test]
fn an_upgrade_is_refused_whole_once_its_plugin_is_at_work_or_has_been() {
    for (number, (meanwhile, is_refused)) in MEANWHILE.into_iter().enumerate() {
        let site = Site::new(PluginType::Staged);
        provisioned(&site);
        let (plugin, tenant) = (install(&site), Tenant(site.virtualization.clone()));
        let before = tenant.objects(plugin).unwrap();
        let after = migrated(&before);
        let busy = meanwhile(&site);
        let replace = |edit: &crate::state::Edit<'_>| tenant.replace(edit, plugin, &before, &after);
        let outcome = site.virtualization.state.write(replace);
        drop(busy);
        let now = tenant.objects(plugin).unwrap();
        if is_refused {
            assert_eq!(outcome.unwrap_err().code, Code::Busy, "{number}");
            assert!(now.iter().all(|object| object.value.get("migrated").is_none()), "{number}: {now:?}");
        } else {
            outcome.unwrap();
            // Repositories of two hosts, a dSource and a VDB with their configs, and a snapshot of each.
            assert_eq!((now.len(), &now), (8, &after), "{number}");
        }
    }
}

#[test]
fn a_plugin_at_work_is_not_migrated_and_one_in_use_not_forgotten() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    let (plugin, tenant) = (install(&site), Tenant(site.virtualization.clone()));
    let busy = occupied(&site);
    let problem = tenant.objects(plugin).unwrap_err();
    assert!(problem.code == Code::Busy && problem.detail.contains("test"), "{problem:?}");
    drop(busy);
    assert_eq!(PluginTenants::used_by(&tenant, plugin).unwrap(), ["dSource 'sales'", "VDB 'test'"]);
    let forget = |edit: &crate::state::Edit<'_>| tenant.forget(edit, plugin);
    assert_eq!(site.virtualization.state.write(forget).unwrap_err().code, Code::Conflict);
    for name in ["test", "sales"] {
        site.done(site.order(name, SourceOrder::Delete { force: false }));
    }
    site.virtualization.state.write(forget).unwrap();
    assert_eq!(tenant.objects(plugin).unwrap(), []);
}

#[test]
fn what_is_still_to_be_undone_is_so_by_the_build_that_began_it() {
    // From the call on at which the host goes away, nothing can be undone.
    let mut refused = 0;
    for at in 0.. {
        let site = Site::new(PluginType::Staged);
        provisioned(&site);
        let (plugin, tenant) = (install(&site), Tenant(site.virtualization.clone()));
        site.world.make(Trouble::Kill(at));
        let job = site.ended(site.order("test", SourceOrder::Refresh { to: None }));
        let outcome = tenant.objects(plugin);
        site.world.make(Trouble::None);
        site.virtualization.settle_debts().unwrap();
        tenant.objects(plugin).unwrap();
        if let Err(problem) = outcome {
            assert!(problem.code == Code::Busy && problem.detail.contains("still to be undone"), "{problem:?}");
            refused += 1;
        }
        if job.progress.state == JobState::Done {
            break;
        }
    }
    assert!(refused > 3, "{refused}");
}

#[test]
fn what_was_checked_against_another_build_is_not_begun() {
    let begins: [fn(&Site) -> Answer<v1::Job>; 2] = [
        |site| site.virtualization.link(&LinkSource { name: "more".to_owned(), ..site.request() }),
        |site| {
            site.virtualization
                .provision(&Provision { name: "more".to_owned(), ..site.provision_request(Some("sales")) })
        },
    ];
    for begin in begins {
        let site = Site::new(PluginType::Staged);
        linked(&site);
        let before = site.all();
        // It is asked for to check what was given, and once more when nothing can upgrade it any longer.
        site.world.inner.lock().upgrade_in = Some(1);
        let problem = begin(&site).unwrap_err();
        assert!(problem.code == Code::Busy && problem.detail.contains("was upgraded"), "{problem:?}");
        assert_eq!((site.all(), site.virtualization.busy.lock().len()), (before, 0));
    }
}
