//! Whatever bytes the records have, loading ends in a catalog that works or in an error.

use crate::catalog::layout;
use crate::catalog::tests::*;
use crate::error::ErrorKind;
use crate::tree::{Edit, ItemRef, Key, Reader};

/// A catalog with a record of every kind.
fn sample(store: &Store) -> Root {
    let mut catalog = Catalog::new();
    let a = create(&mut catalog, "a");
    let s = catalog.snapshot_head(a, "s", Birth(1), at(1)).unwrap();
    let t = catalog.snapshot_head(a, "t", Birth(2), at(2)).unwrap();
    let clone = catalog.clone_snapshot(s, "a/b", &PropertyChange::default(), at(3)).unwrap();
    let user = [("x:y".to_owned(), Some("v".repeat(1500)))].into();
    catalog.set_properties(a, &PropertyChange { user, ..PropertyChange::default() }).unwrap();
    catalog.hold(s, "tag").unwrap();
    catalog.destroy_snapshot(t, at(4)).unwrap();
    let u = catalog.snapshot_head(clone, "u", Birth(5), at(5)).unwrap();
    catalog.destroy_snapshot(u, at(5)).unwrap();
    catalog.purge(at(6));
    let doomed = create(&mut catalog, "doomed");
    catalog.destroy_dataset(doomed, false, at(6)).unwrap();
    catalog.purge(at(7));
    catalog.walked(Some(Key::new(1, 1, 1))).unwrap();
    save(&mut catalog, store, &Root::EMPTY, Birth(6))
}

fn records(store: &Store, root: &Root) -> Vec<(Key, Vec<u8>)> {
    let mut records = Vec::new();
    Reader::new(store, *root)
        .scan(layout::FIRST, layout::LAST, &mut |key, item| {
            let ItemRef::Bytes(bytes) = item else { panic!("records are bytes") };
            records.push((key, bytes.to_vec()));
            true
        })
        .unwrap();
    records
}

/// Loads after an edit, and uses what comes of it. Returns whether anything did.
fn try_with(store: &Store, root: &Root, edit: Edit) -> bool {
    let mark = store.mark();
    let changed = apply(store, root, vec![edit], Birth(7), &mut Vec::new()).unwrap().root;
    let loaded = Catalog::load(store, &changed);
    store.forget_after(mark);
    match loaded {
        Ok(mut catalog) => {
            exercise(&mut catalog);
            true
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::UnknownVersion), "{error:?}");
            false
        }
    }
}

fn exercise(catalog: &mut Catalog) {
    let lists = catalog.forest().into_iter().map(|holder| catalog.list(holder).unwrap().id);
    let (all, distinct): (Vec<u64>, std::collections::BTreeSet<u64>) = lists.map(|id| (id, id)).unzip();
    assert_eq!(all.len(), distinct.len());
    catalog.list_snapshots();
    for info in catalog.list_datasets() {
        if catalog.live_dataset(info.id) {
            assert_eq!(catalog.find_dataset(&info.name).unwrap(), info.id);
        }
        catalog.ancestors(Holder::Head(info.id));
        catalog.snapshot_head(info.id, "new", Birth(100), at(100)).ok();
        catalog.destroy_dataset(info.id, true, at(101)).ok();
    }
    catalog.purge(at(i64::MAX));
    for _ in 0..100 {
        match catalog.next_job().unwrap() {
            Some(Task::Walk { .. }) => catalog.walked(None).unwrap(),
            Some(Task::Forget { .. }) => catalog.forgotten(u64::MAX).unwrap(),
            Some(Task::Merge { .. }) => catalog.merged(u64::MAX, Vec::new()).unwrap(),
            Some(Task::Sift(turn)) => match turn.sift.stage {
                Stage::Find => catalog.found_all().unwrap(),
                Stage::Take { .. } => drop(catalog.taken(u64::MAX, Vec::new(), Vec::new(), true).unwrap()),
                Stage::Drop { .. } => catalog.dropped(u64::MAX).unwrap(),
            },
            None => break,
        }
    }
    assert!(!catalog.has_jobs());
    catalog.take_edits();
}

#[test]
fn damaged_records_are_refused_or_make_a_catalog_that_works() {
    let store = Store::default();
    let root = sample(&store);
    let records = records(&store, &root);
    let kinds: std::collections::BTreeSet<u8> = records.iter().map(|(key, _)| key.kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 6, 7]);
    assert!(try_with(&store, &root, Edit::Delete(layout::chunk(1, 1))));
    let mut loaded = 0;
    for (key, record) in &records {
        let survives = try_with(&store, &root, Edit::Delete(*key));
        assert!(!survives || key.kind != layout::COUNTERS);
        for at in 0..record.len().min(200) {
            for value in [0, 1, 2, 3, 5, record[at].wrapping_add(1), record[at] ^ 0x80, 0xff] {
                let mut changed = record.clone();
                changed[at] = value;
                loaded += u64::from(try_with(&store, &root, Edit::Put(*key, changed)));
            }
        }
        for position in 0..12 {
            try_with(&store, &root, Edit::Put(Key { position, ..*key }, record.clone()));
        }
        assert!(!try_with(&store, &root, Edit::Put(Key { kind: 9, ..*key }, record.clone())));
    }
    assert!(loaded > 100, "most damage was to bytes that nothing depends on");
}

#[test]
fn an_empty_tree_is_no_catalog() {
    let loaded = Catalog::load(&Store::default(), &Root::EMPTY);
    assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Corrupt);
}
