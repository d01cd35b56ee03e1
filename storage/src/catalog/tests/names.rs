//! Datasets have the names that a flat map gives them.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::catalog::tests::store::{Random, Store};
use crate::catalog::tests::*;
use crate::error::{ErrorKind, Result};

type Names = BTreeMap<String, DatasetId>;

fn is_below(name: &str, above: &str) -> bool {
    name.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn can_place(names: &Names, name: &str) -> Result<(), ErrorKind> {
    let above = name.rsplit_once('/').map(|(above, _)| above);
    match () {
        () if above.is_some_and(|above| !names.contains_key(above)) => Err(ErrorKind::NotFound),
        () if names.contains_key(name) => Err(ErrorKind::Exists),
        () => Ok(()),
    }
}

fn random_name(random: &mut Random) -> String {
    let parts: Vec<&str> = (0..=random.below(3)).filter_map(|_| random.pick(&["a", "b", "a-b", "c.d"])).collect();
    parts.join("/")
}

fn rename(catalog: &mut Catalog, names: &mut Names, from: &str, to: &str) {
    let expected = match () {
        () if from == to => Ok(()),
        () if is_below(to, from) => Err(ErrorKind::Invalid),
        () => can_place(names, to),
    };
    assert_eq!(catalog.rename_dataset(names[from], to).map_err(|error| error.kind()), expected);
    if expected.is_ok() {
        let moved: Vec<String> = names.keys().filter(|name| *name == from || is_below(name, from)).cloned().collect();
        for name in moved {
            let id = names.remove(&name).unwrap();
            names.insert(format!("{to}{}", &name[from.len()..]), id);
        }
    }
}

fn destroy(catalog: &mut Catalog, names: &mut Names, name: &str, recursive: bool) -> Vec<(String, DatasetId)> {
    let below: Vec<String> = names.keys().filter(|other| is_below(other, name)).cloned().collect();
    let destroyed = catalog.destroy_dataset(names[name], recursive, at(2));
    if !recursive && !below.is_empty() {
        assert_eq!(destroyed.unwrap_err().kind(), ErrorKind::NotEmpty);
        return Vec::new();
    }
    let gone = below.into_iter().chain([name.to_owned()]);
    let gone: Vec<_> = gone.map(|name| (name.clone(), names.remove(&name).unwrap())).collect();
    let (mut ids, mut expected) = (destroyed.unwrap(), gone.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    gone
}

fn undelete(catalog: &mut Catalog, names: &mut Names, gone: &mut Vec<(String, DatasetId)>, to: Option<&str>) {
    let Some((name, id)) = gone.pop() else { return };
    let name = to.unwrap_or(&name).to_owned();
    let expected = can_place(names, &name);
    assert_eq!(catalog.undelete_dataset(id, to).map_err(|error| error.kind()), expected);
    if expected.is_ok() {
        names.insert(name, id);
    }
}

#[test]
fn datasets_have_the_names_of_a_flat_map() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let (mut catalog, mut names, mut gone) = (Catalog::new(), Names::new(), Vec::new());
        let (store, mut root) = (Store::default(), Root::EMPTY);
        for birth in 1..300 {
            let (name, existing) = (random_name(&mut random), names.keys().cloned().collect::<Vec<_>>());
            let some = if existing.is_empty() { 0 } else { random.below(existing.len() as u64) as usize };
            match (random.below(9), existing.get(some)) {
                (0..=3, _) | (_, None) => {
                    let expected = can_place(&names, &name);
                    let made = catalog.create_dataset(&name, &Properties::default(), State::default(), at(1));
                    assert_eq!(made.as_ref().map(|_| ()).map_err(|error| error.kind()), expected);
                    names.extend(made.map(|id| (name, id)));
                }
                (4 | 5, Some(from)) => rename(&mut catalog, &mut names, from, &name),
                (6, Some(doomed)) => {
                    let recursive = random.below(2) == 0;
                    gone.extend(destroy(&mut catalog, &mut names, doomed, recursive));
                }
                (7, _) => undelete(&mut catalog, &mut names, &mut gone, None),
                _ => undelete(&mut catalog, &mut names, &mut gone, Some(&name)),
            }
            check(&catalog, &names);
            if random.below(5) == 0 {
                root = save(&mut catalog, &store, &root, Birth(birth));
                assert_eq!(Catalog::load(&store, &root).unwrap(), catalog);
            }
        }
    }
}

fn check(catalog: &Catalog, names: &Names) {
    let listed: Vec<(String, DatasetId)> =
        catalog.list_datasets().into_iter().map(|info| (info.name, info.id)).collect();
    assert_eq!(listed, names.clone().into_iter().collect::<Vec<_>>());
    for (name, id) in names {
        assert_eq!((catalog.find_dataset(name).unwrap(), catalog.resolve(name).unwrap()), (*id, Holder::Head(*id)));
        let mut below = catalog.datasets_below(name);
        below.sort_unstable();
        let mut expected: Vec<_> = names.iter().filter(|(other, _)| is_below(other, name)).map(|(_, id)| *id).collect();
        expected.sort_unstable();
        assert_eq!(below, expected);
    }
}

#[test]
fn snapshots_are_found_by_name_and_listed_by_dataset_and_creation() {
    let mut catalog = Catalog::new();
    let (b, a) = (create(&mut catalog, "b"), create(&mut catalog, "a"));
    let two = catalog.snapshot_head(b, "z", Birth(2), at(2)).unwrap();
    let three = catalog.snapshot_head(b, "y", Birth(3), at(3)).unwrap();
    let four = catalog.snapshot_head(a, "y", Birth(4), at(4)).unwrap();
    let listed: Vec<_> = catalog.list_snapshots().into_iter().map(|info| (info.id, info.parent)).collect();
    assert_eq!(listed, [(four, None), (two, None), (three, Some(two))]);
    catalog.rename_dataset(b, "c").unwrap();
    catalog.rename_snapshot(two, "x").unwrap();
    assert_eq!((catalog.find_snapshot("c@x").unwrap(), catalog.snapshot_name(two).unwrap()), (two, "c@x".to_owned()));
    assert_eq!(catalog.find_snapshot("c@z").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(catalog.find_snapshot("c").unwrap_err().kind(), ErrorKind::Invalid);

    let clone = catalog.clone_snapshot(three, "a/clone", &PropertyChange::default(), at(5)).unwrap();
    assert_eq!((catalog.origin(clone), catalog.ancestors(Holder::Head(clone))), (Some(three), vec![three, two]));
    catalog.destroy_snapshot(three, at(6)).unwrap();
    assert_eq!(catalog.dataset_info(clone).unwrap().origin, Some(two));
    assert_eq!(catalog.destroyed_snapshots().iter().map(|info| info.id).collect::<Vec<_>>(), [three]);
    assert_eq!(catalog.oldest_destroyed(), Some(at(6)));
    let again = catalog.snapshot_head(b, "y", Birth(7), at(7)).unwrap();
    assert_eq!(catalog.undelete_snapshot(three, None).unwrap_err().kind(), ErrorKind::Exists);
    catalog.undelete_snapshot(three, Some("old-y")).unwrap();
    assert_eq!(catalog.ancestors(Holder::Snapshot(again)), [three, two]);
}

#[test]
fn a_rewind_keeps_what_was_and_inode_numbers_grow() {
    let mut catalog = Catalog::new();
    let id = create(&mut catalog, "a");
    let state = |referenced, next_inode| State { referenced, next_inode, ..State::default() };
    catalog.set_head(id, state(1, 10)).unwrap();
    let early = catalog.snapshot_head(id, "early", Birth(1), at(1)).unwrap();
    catalog.set_head(id, state(2, 20)).unwrap();
    let automatic = catalog.rewind(id, early, Birth(2), at(2)).unwrap();
    assert_eq!(*catalog.state(Holder::Head(id)).unwrap(), state(1, 20));
    assert_eq!(*catalog.state(Holder::Snapshot(automatic)).unwrap(), state(2, 20));
    let info = catalog.snapshot_info(automatic).unwrap();
    assert_eq!((&*info.name, info.automatic, info.parent), ("before-rewind-1", true, Some(early)));
    assert_eq!((catalog.origin(id), catalog.threshold(Holder::Head(id))), (Some(early), Birth(1)));

    // Forward again, onto the other branch of the timeline.
    let second = catalog.rewind(id, automatic, Birth(3), at(3)).unwrap();
    assert_eq!(catalog.snapshot_name(second).unwrap(), "a@before-rewind-2");
    assert_eq!((catalog.state(Holder::Head(id)).unwrap().referenced, catalog.origin(id)), (2, Some(automatic)));
    catalog.set_head(id, state(3, 5)).unwrap();
    assert_eq!(*catalog.state(Holder::Head(id)).unwrap(), state(3, 20));
}
