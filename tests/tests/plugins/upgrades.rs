//! Upgrades migrate all data or none, and refuse what would not fit.

use cow_tests::scratch::Scratch;
use cowd::plugins::{Cancel, Language, Object, ObjectKind, migrate, plan};
use serde_json::json;

use crate::arguments::recorder;

fn object(kind: ObjectKind, reference: &str, value: serde_json::Value) -> Object {
    Object { kind, reference: reference.to_owned(), value }
}

#[test]
fn new_migrations_run_in_numeric_order_and_what_they_make_must_fit() {
    let scratch = Scratch::new("plugin-upgrades");
    let Some((runner, new)) = recorder(scratch.path(), Language::Python311, "STAGED") else { return };
    let mut installed = new.clone();
    installed.manifest.migration_ids = vec!["2020.1".to_owned()];
    let ids = plan(&installed, &new).unwrap();
    assert_eq!(ids, ["2020.2", "2020.10"]);
    assert_eq!(plan(&new, &new), Ok(Vec::new()));
    let objects = [
        object(ObjectKind::Repository, "1", json!({ "name": "a" })),
        object(ObjectKind::LinkedSource, "1", json!({ "password": "geheim" })),
        object(ObjectKind::Snapshot, "7", json!({ "number": 3 })),
    ];
    let migrated = migrate(&runner, &new, &ids, &objects, &Cancel::default()).unwrap();
    let supplier = json!({ "type": "NamedPasswordCredential", "username": "db", "password": "geheim" });
    let expected = [
        object(ObjectKind::Repository, "1", json!({ "name": "a+10" })),
        object(ObjectKind::LinkedSource, "1", json!({ "credentials": supplier })),
        object(ObjectKind::Snapshot, "7", json!({ "number": 3 })),
    ];
    assert_eq!(migrated, expected);
    // One that would not fit: the whole is refused, also without migrations.
    let wrong = [objects[0].clone(), object(ObjectKind::VirtualSource, "9", json!({ "colour": "geheim" }))];
    for ids in [ids, Vec::new()] {
        let problem = migrate(&runner, &new, &ids, &wrong, &Cancel::default()).unwrap_err();
        assert!(problem.detail.contains("virtual_source 9 would not fit the new schema"), "{}", problem.detail);
        assert!(problem.detail.contains("colour") && !problem.detail.contains("geheim"), "{}", problem.detail);
    }
    // A migration that raises.
    let none = [object(ObjectKind::LinkedSource, "1", json!({}))];
    let problem = migrate(&runner, &new, &["2020.2".to_owned()], &none, &Cancel::default()).unwrap_err();
    assert!(problem.detail.contains("KeyError: 'password'"), "{}", problem.detail);
}
