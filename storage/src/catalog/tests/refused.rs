//! What cannot be done says so, and changes nothing.

use crate::catalog::tests::*;
use crate::error::{ErrorKind, Result};
use crate::format::SnapshotId;

fn user(pairs: &[(&str, &str)]) -> Properties {
    let user = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Properties { user, ..Properties::default() }
}

#[test]
fn impossible_names_and_properties_are_refused() {
    let catalog = Catalog::new();
    let check =
        |name: &str, properties: &Properties| catalog.check_new_dataset(name, properties).map_err(|error| error.kind());
    let usual = Properties::default();
    for name in ["", "/", "a/", "/a", "a//b", ".", "..", "a/..", "a@b", "a b", "ä", "a\0", "a\\b"] {
        assert_eq!(check(name, &usual), Err(ErrorKind::Invalid), "{name:?}");
    }
    for name in ["a", "A_9.:-", "...", &"a".repeat(255)] {
        assert_eq!(check(name, &usual), Ok(()), "{name:?}");
    }
    assert_eq!(check(&"a".repeat(256), &usual), Err(ErrorKind::NameTooLong));
    assert_eq!(check("a/b", &usual), Err(ErrorKind::NotFound));

    let sizes = |block_size, extent_size| Properties { block_size, extent_size, ..Properties::default() };
    let level = |level| Properties { compression: Compression::Zstd(level), ..Properties::default() };
    let long = "v".repeat(65536);
    for properties in [
        sizes(2048, 65536),
        sizes(12288, 65536),
        sizes(131072, 131072),
        sizes(16384, 0),
        sizes(16384, 8192),
        sizes(16384, 40960),
        sizes(16384, 262144),
        level(-8),
        level(20),
        user(&[("nocolon", "v")]),
        user(&[("a:b c", "v")]),
        user(&[("a:b", &long)]),
    ] {
        assert_eq!(check("a", &properties), Err(ErrorKind::Invalid), "{properties:?}");
    }
    for properties in [sizes(4096, 131072), sizes(65536, 65536), level(-7), level(19), user(&[("a:b", &long[8..])])] {
        assert_eq!(check("a", &properties), Ok(()));
    }
}

/// Expects a refusal that changes nothing.
fn refused<T>(catalog: &mut Catalog, kind: ErrorKind, act: impl FnOnce(&mut Catalog) -> Result<T>) {
    catalog.take_edits();
    let before = catalog.clone();
    let error = act(catalog).err().expect("this is refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    catalog.take_edits();
    assert_eq!(*catalog, before);
}

#[test]
fn refusals_change_nothing() {
    let (catalog, none) = (&mut Catalog::new(), PropertyChange::default());
    let (a, b) = (create(catalog, "a"), create(catalog, "b"));
    let below = create(catalog, &format!("a/{}", "x".repeat(200)));
    let s = catalog.snapshot_head(a, "s", Birth(1), at(1)).unwrap();
    let other = catalog.snapshot_head(b, "s", Birth(1), at(1)).unwrap();
    catalog.hold(s, "tag").unwrap();
    let gone = create(catalog, "gone");
    catalog.destroy_dataset(gone, false, at(1)).unwrap();
    let wide = PropertyChange { extent_size: Some(1 << 20), ..PropertyChange::default() };
    let (missing, nowhere) = (SnapshotId(999), DatasetId(999));

    use ErrorKind::*;
    refused(catalog, Exists, |c| c.snapshot_head(a, "s", Birth(2), at(2)));
    refused(catalog, Invalid, |c| c.snapshot_head(a, "s/t", Birth(2), at(2)));
    refused(catalog, NotFound, |c| c.snapshot_head(gone, "s", Birth(2), at(2)));
    refused(catalog, Exists, |c| c.clone_snapshot(s, "b", &none, at(2)));
    refused(catalog, Invalid, |c| c.clone_snapshot(s, "c", &wide, at(2)));
    refused(catalog, NotFound, |c| c.clone_snapshot(missing, "c", &none, at(2)));
    refused(catalog, Invalid, |c| c.rewind(a, other, Birth(2), at(2)));
    refused(catalog, NotFound, |c| c.rewind(a, missing, Birth(2), at(2)));
    refused(catalog, NotFound, |c| c.rewind(gone, s, Birth(2), at(2)));
    refused(catalog, Invalid, |c| c.rename_dataset(a, "a/y"));
    refused(catalog, NameTooLong, |c| c.rename_dataset(a, &"n".repeat(55)));
    refused(catalog, NotFound, |c| c.rename_dataset(a, "no/a"));
    refused(catalog, NotFound, |c| c.rename_dataset(gone, "c"));
    refused(catalog, Invalid, |c| c.set_properties(a, &wide));
    refused(catalog, NotFound, |c| c.set_properties(nowhere, &none));
    refused(catalog, NotEmpty, |c| c.destroy_dataset(a, false, at(2)));
    refused(catalog, Busy, |c| c.destroy_dataset(a, true, at(2)));
    refused(catalog, Busy, |c| c.destroy_snapshot(s, at(2)));
    refused(catalog, NotFound, |c| c.destroy_dataset(gone, false, at(2)));
    refused(catalog, Exists, |c| c.hold(s, "tag"));
    refused(catalog, NotFound, |c| c.release_hold(s, "other"));
    refused(catalog, Invalid, |c| c.hold(s, "a b"));
    refused(catalog, NotFound, |c| c.undelete_dataset(a, None));
    refused(catalog, NotFound, |c| c.undelete_snapshot(s, None));
    refused(catalog, NotFound, |c| c.set_head(nowhere, State::default()));
    refused(catalog, NotFound, |c| c.retire(nowhere, &[], &mut |_| Ok(())));

    catalog.rename_dataset(a, &"n".repeat(54)).unwrap();
    assert_eq!(catalog.dataset_info(below).unwrap().name.len(), 255);
    catalog.release_hold(s, "tag").unwrap();
    catalog.destroy_snapshot(s, at(2)).unwrap();
    catalog.destroy_dataset(a, true, at(3)).unwrap();
    refused(catalog, NotFound, |c| c.undelete_snapshot(s, None));
    refused(catalog, NotFound, |c| c.undelete_dataset(below, None));
    catalog.undelete_dataset(a, Some("a")).unwrap();
    catalog.undelete_snapshot(s, None).unwrap();
    assert_eq!(catalog.find_snapshot("a@s").unwrap(), s);
    assert!(catalog.live_snapshot(s) && !catalog.live_dataset(below));
}

#[test]
fn properties_change_as_told_and_clones_inherit_them() {
    let catalog = &mut Catalog::new();
    let id = catalog.create_dataset("a", &user(&[("x:one", "1"), ("x:two", "2")]), State::default(), at(1)).unwrap();
    let change = PropertyChange {
        extent_size: Some(32 << 10),
        compression: Some(Compression::Off),
        sync: Some(SyncMode::Disabled),
        dedup: Some(false),
        quota: Some(Some(7)),
        readonly: Some(true),
        user: [("x:one".to_owned(), None), ("x:three".to_owned(), Some("3".to_owned()))].into(),
    };
    catalog.set_properties(id, &change).unwrap();
    let expected = Properties {
        block_size: 16 << 10,
        extent_size: 32 << 10,
        compression: Compression::Off,
        sync: SyncMode::Disabled,
        dedup: false,
        quota: Some(7),
        readonly: true,
        ..user(&[("x:two", "2"), ("x:three", "3")])
    };
    assert_eq!(*catalog.properties(id).unwrap(), expected);
    let snapshot = catalog.snapshot_head(id, "s", Birth(1), at(1)).unwrap();
    let free = PropertyChange { quota: Some(None), ..PropertyChange::default() };
    let clone = catalog.clone_snapshot(snapshot, "b", &free, at(2)).unwrap();
    assert_eq!(*catalog.properties(clone).unwrap(), Properties { quota: None, ..expected });
    catalog.set_properties(id, &PropertyChange::default()).unwrap();
    let store = Store::default();
    let root = save(catalog, &store, &Root::EMPTY, Birth(1));
    assert_eq!(Catalog::load(&store, &root).unwrap(), *catalog);
}
