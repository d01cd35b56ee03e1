//! Many snapshots and clones.

use crate::catalog::tests::*;

#[test]
fn a_hundred_thousand_snapshots_are_made_found_stored_and_loaded() {
    let (mut catalog, store) = (Catalog::new(), Store::default());
    let id = create(&mut catalog, "a");
    for number in 0..90_000 {
        catalog.snapshot_head(id, &format!("s{number}"), Birth(number + 1), at(1)).unwrap();
    }
    let last = catalog.find_snapshot("a@s89999").unwrap();
    for number in 0..10_000 {
        catalog.clone_snapshot(last, &format!("a/c{number}"), &PropertyChange::default(), at(2)).unwrap();
    }
    catalog.rename_dataset(id, "b").unwrap();
    let root = save(&mut catalog, &store, &Root::EMPTY, Birth(1));
    let mut loaded = Catalog::load(&store, &root).unwrap();
    assert!(loaded == catalog);
    assert_eq!((loaded.list_snapshots().len(), loaded.datasets_below("b").len()), (90_000, 10_000));
    assert_eq!(loaded.ancestors(Holder::Head(loaded.find_dataset("b/c77").unwrap())).len(), 90_000);
    assert_eq!(loaded.destroy_dataset(id, true, at(3)).unwrap().len(), 10_001);
    assert_eq!(loaded.purge(at(4)), 10_001);
    while loaded.has_jobs() {
        loaded.walked(None).unwrap();
    }
    let root = save(&mut loaded, &store, &root, Birth(2));
    assert_eq!(Catalog::load(&store, &root).unwrap(), loaded);
    assert!(loaded.forest().is_empty());
}
