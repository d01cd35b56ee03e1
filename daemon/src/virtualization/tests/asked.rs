//! What is asked at once, without a job, and what is refused for a dSource's or VDB's sake.

use super::*;
use crate::plugins::{Credentials, Operation, SchemaKind, Secret as Proof};
use crate::virtualization::guard::Deed;
use crate::virtualization::hidden::Hidden;

#[test]
fn a_status_that_does_not_come_is_given_up() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    assert_eq!(site.virtualization.source_status("test").unwrap().is_active, Some(true));
    site.world.make(Trouble::Hang);
    let problem = site.virtualization.source_status("test").unwrap_err();
    assert!(problem.code == Code::HostFailed && problem.detail.contains("took longer"), "{problem:?}");
    site.world.make(Trouble::None);
    site.virtualization.source_status("test").unwrap();
}

#[test]
fn what_a_source_stands_on_is_kept_and_who_asks_is_told_the_verb() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    site.done(site.order("test", SourceOrder::Refresh { to: None }));
    let snapshot = site.virtualization.timeline("test").unwrap().timeflows[0].snapshots[0].name.clone();
    let on = &site.virtualization;
    let all = [Deed::Destroy, Deed::Rename, Deed::Rewind];
    for (dataset, hit) in [
        ("vdb/test/1", &all[..]),
        ("vdb/test/2", &all),
        ("vdb/test", &all),
        ("vdb", &all[..2]),
        ("dsource/sales/1", &all),
        ("vdb/test/1/mine", &[]),
        ("vdb/tes", &[]),
        ("other", &[]),
    ] {
        for deed in all {
            let refused = on.check_dataset(dataset, deed);
            assert_eq!(refused.is_err(), hit.contains(&deed), "{deed:?} of {dataset}: {refused:?}");
        }
    }
    let hint = |deed| on.check_dataset("vdb/test/1", deed).unwrap_err().hint.unwrap();
    assert!(hint(Deed::Destroy).contains("cowctl vdb delete test") && hint(Deed::Rewind).contains("cowctl vdb rewind"));
    assert!(on.check_snapshot(&snapshot, Deed::Destroy).unwrap_err().detail.contains("VDB 'test' needs it"));
    assert!(on.check_snapshot("vdb/test/1@mine", Deed::Destroy).is_ok());
    site.done(site.order("test", SourceOrder::Delete { force: false }));
    assert!(
        on.check_dataset("vdb/test/1", Deed::Destroy).is_ok() && on.check_snapshot(&snapshot, Deed::Rename).is_ok()
    );
}

#[test]
fn secrets_are_taken_out_of_what_a_plugin_tells() {
    let mut package = Package::clone(&World::new(PluginType::Staged).package);
    let schema = json!({ "type": "object", "properties": {
        "user": { "type": "string" }, "password": { "type": "string", "format": "password" },
        "more": { "type": "array", "items": { "type": "string", "format": "password" } },
        "pin": { "type": "integer", "format": "password" }, "all": { "format": "password" },
    } });
    package.schemas.set(SchemaKind::LinkedSource, schema);
    let hidden = Hidden::default();
    let all = json!({ "any": ["deep", 1.25, true] });
    let value = json!({
        "user": "scott", "password": "tiger", "more": ["tigerlily", "abc"], "pin": 471_147, "all": all,
    });
    hidden.add(&package, SchemaKind::LinkedSource, &value);
    hidden.add_credentials(&Credentials {
        username: "db".to_owned(),
        secret: Proof::KeyPair { private_key: "BEGIN\n  line one\nend".to_owned(), public_key: String::new() },
    });
    for (said, shown) in [
        ("scott/tiger", "scott/[hidden]"),
        ("tigerlilytiger", "[hidden][hidden]"),
        ("abc", "abc"),
        ("pin 471147, true", "pin [hidden], true"),
        ("so deep: 1.25", "so [hidden]: [hidden]"),
        ("line one, end", "[hidden], end"),
    ] {
        assert_eq!(hidden.mask(said), shown);
    }
    let problem = Problem::new(Code::PluginFailed, "tiger").with_hint("no tiger").with_output("a tiger\nb");
    let masked = hidden.mask_problem(problem.clone());
    assert_eq!((masked.hint.as_deref(), masked.output.as_deref()), (Some("no [hidden]"), Some("a [hidden]\nb")));
    assert_eq!((masked.detail.as_str(), masked.code), ("[hidden]", problem.code));
}

#[test]
fn what_is_no_job_fetches_nothing_and_leaves_nothing() {
    let site = Site::new(PluginType::Direct);
    linked(&site);
    let before = site.all();
    site.world.inner.lock().fetches_in = Operation::LinkedSourceSize;
    let problem = site.virtualization.source_status("sales").unwrap_err();
    assert!(problem.detail.contains("run_sync fills DIRECT dSources while they are synced"), "{problem:?}");
    assert_eq!(site.all(), before);
    assert!(!journal::debtors(&site.virtualization.state).unwrap().contains(&0), "nothing would settle that");
}

#[test]
fn what_a_plugin_is_told_of_a_snapshot_in_confidence_it_does_not_tell() {
    let site = Site::new(PluginType::Staged);
    provisioned(&site);
    let to_host = |name: &str| {
        let (environment, directory) = ("h2".to_owned(), "/plain".to_owned());
        let order = SourceOrder::Physical { from: None, environment, user: None, directory, parameters: json!({}) };
        site.done(site.order(name, order));
    };
    to_host("sales");
    to_host("test");
    for order in [SourceOrder::Refresh { to: None }, SourceOrder::Rewind { to: None }, SourceOrder::Disable] {
        site.done(site.order("test", order));
    }
    site.done(site.order("test", SourceOrder::Enable));
    let jobs = &site.virtualization.jobs;
    let logs: String = jobs.list().iter().map(|job| format!("{:?}\n", jobs.log(job.id).unwrap())).collect();
    let told = |operation: &str| logs.matches(&format!("{operation} {{")).count();
    assert_eq!((told("VirtualConfigure"), told("VirtualReconfigure")), (2, 2));
    assert_eq!((told("LinkedSourceToPhysical"), told("VirtualPreSourceToPhysical")), (1, 1));
    // Each operation that is given a snapshot, of those; V2P has two.
    assert!(!logs.contains(&world::PIN.to_string()) && logs.matches("[hidden]").count() == 8, "{logs}");
}
