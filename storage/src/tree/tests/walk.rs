//! Walks visit every pointer that they should, once.

use crate::format::Birth;
use crate::tree::tests::*;

#[test]
fn resumed_walks_visit_each_late_pointer_once() {
    for seed in 0..6 {
        let mut history = History::new(seed);
        for _ in 0..30 {
            let edits = history.batch();
            history.apply(edits);
        }
        for (after, leaves) in [(0, 1), (0, 3), (0, u64::MAX), (20, 1), (28, 2), (29, 0), (30, 5)] {
            let mut expected = pointers(&history.store, &history.root);
            expected.retain(|pointer, _| pointer.birth > Birth(after));
            let mut found = Pointers::new();
            let mut from = Some(Key::MIN);
            while let Some(key) = from {
                let visit = &mut |dead| count(&mut found, dead, 1);
                from = walk_born_after(&history.store, &history.root, Birth(after), key, leaves, visit).unwrap();
                assert!(from.is_none_or(|next| next > key));
            }
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_walk_skips_what_is_old() {
    let mut history = History::new(1);
    history.apply((0..5000).map(|n| Edit::Put(Key::new(1, 0, n), vec![0; 100])).collect());
    history.apply(vec![Edit::Put(Key::new(1, 0, 2500), vec![1; 100])]);
    let before = history.store.reads.load(Ordering::Relaxed);
    let walk = |after| walk_born_after(&history.store, &history.root, after, Key::MIN, 9, &mut |_| ()).unwrap();
    assert_eq!(walk(Birth(1)), None);
    assert_eq!(history.store.reads.load(Ordering::Relaxed) - before, u64::from(history.root.height));
}

#[test]
fn what_another_tree_has_not_is_visited() {
    let mut skipped = 0;
    for seed in 0..10 {
        let mut history = History::new(seed);
        let mut roots = vec![Root::EMPTY];
        for _ in 0..30 {
            let edits = history.batch();
            history.apply(edits);
            roots.push(history.root);
        }
        for (own, other) in [(30, 29), (20, 30), (30, 10), (15, 16), (30, 30), (30, 0), (0, 30)] {
            for births in [(0, 40), (0, 12), (8, 22), (28, 29)] {
                let mut found = Pointers::new();
                let births = (Birth(births.0), Birth(births.1));
                walk_beside(&history.store, &roots[own], &roots[other], births, &mut |visited| {
                    match visited {
                        Visited::Node { pointer, .. } => count(&mut found, pointer.dead(), 1),
                        Visited::Item(_, ItemRef::Run(run)) => count(&mut found, run.dead(), 1),
                        other => panic!("{other:?}"),
                    }
                    Step::Into
                });
                let mut all = pointers(&history.store, &roots[own]);
                all.retain(|pointer, _| pointer.birth > births.0 && pointer.birth <= births.1);
                let has = |pointers: &Pointers, (pointer, number): (&Dead, &i64)| pointers.get(pointer) >= Some(number);
                assert!(found.iter().all(|found| has(&all, found)));
                skipped += all.len() - found.len();
                for (pointer, number) in pointers(&history.store, &roots[other]) {
                    let left = all.get(&pointer).copied().unwrap_or(0) - number;
                    if left > 0 {
                        all.insert(pointer, left)
                    } else {
                        all.remove(&pointer)
                    };
                }
                assert!(all.iter().all(|missing| has(&found, missing)), "{own} beside {other}");
            }
        }
        for (old, new) in [(30, 29), (29, 30), (0, 30), (12, 20), (20, 12), (30, 30)] {
            let (mut told, mut expected) = (BTreeMap::new(), BTreeMap::new());
            for_each_lost(&history.store, &roots[old], &roots[new], Birth(18), &mut |dead, change| {
                *told.entry(*dead).or_insert(0) += change;
            })
            .unwrap();
            for (root, sign) in [(roots[old], 1), (roots[new], -1)] {
                let of_root = pointers(&history.store, &root).into_iter();
                of_root.for_each(|(pointer, number)| *expected.entry(pointer).or_insert(0) += sign * number);
            }
            expected.retain(|pointer, number| *number != 0 && pointer.birth <= Birth(18));
            told.retain(|_, number| *number != 0);
            assert_eq!(told, expected, "{old} to {new}");
        }
        let reads = history.store.reads.load(Ordering::Relaxed);
        walk_beside(&history.store, &roots[30], &roots[30], (Birth(0), Birth(40)), &mut |_| panic!("the same"));
        assert_eq!(history.store.reads.load(Ordering::Relaxed), reads);
    }
    assert!(skipped > 10_000, "{skipped}");
}

#[test]
fn damage_is_told_with_its_keys_and_hides_nothing_else() {
    let mut history = History::new(2);
    for _ in 0..30 {
        let edits = history.batch();
        history.apply(edits);
    }
    let ids: Vec<SlotId> =
        pointers(&history.store, &history.root).into_keys().filter(|p| p.is_node).map(|p| p.id).collect();
    for id in ids {
        let lost = history.store.nodes.lock().remove(&id).unwrap();
        let (mut found, mut hit) = (Model::new(), Vec::new());
        walk_all(&history.store, &history.root, &mut |visited| {
            match visited {
                Visited::Item(key, item) => found.extend(cells(key, item)),
                Visited::Damage { pointer, first, upper, .. } => hit.push((pointer.id, first, upper)),
                Visited::Node { .. } => {}
            }
            Step::Into
        });
        let [(hit_id, first, upper)] = hit[..] else { panic!("{hit:?}") };
        let mut expected = history.model.clone();
        expected.retain(|key, _| *key < first || upper.is_some_and(|upper| *key >= upper));
        assert_eq!((hit_id, found), (id, expected));
        history.store.nodes.lock().insert(id, lost);
    }
}
