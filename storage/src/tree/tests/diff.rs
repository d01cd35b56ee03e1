//! Differences are the model's, and cost what they are worth.

use crate::tree::tests::*;

type Changes = Vec<(Key, Option<Cell>, Option<Cell>)>;

fn changes(store: &Store, old: &Root, new: &Root) -> Changes {
    let mut changes = Changes::new();
    diff(store, old, new, &mut |change| {
        changes.push((change.key, change.old.map(Cell::from), change.new.map(Cell::from)));
        true
    })
    .unwrap();
    changes
}

fn expected(old: &Model, new: &Model) -> Changes {
    let keys: std::collections::BTreeSet<&Key> = old.keys().chain(new.keys()).collect();
    let all = keys.into_iter().map(|key| (*key, old.get(key).cloned(), new.get(key).cloned()));
    all.filter(|(_, old, new)| match (old, new) {
        (Some(Cell::Block(old)), Some(Cell::Block(new))) => old.hash != new.hash,
        (old, new) => old != new,
    })
    .collect()
}

#[test]
fn differences_are_those_of_the_models() {
    for seed in 0..6 {
        let mut history = History::new(seed);
        let mut states = vec![(Root::EMPTY, Model::new())];
        for round in 0..24 {
            let edits = history.batch();
            history.apply(edits);
            if round % 4 < 2 {
                states.push((history.root, history.model.clone()));
            }
        }
        for (old_root, old) in &states {
            for (new_root, new) in &states {
                assert_eq!(changes(&history.store, old_root, new_root), expected(old, new));
            }
        }
        let (mut left, all) = (3, changes(&history.store, &Root::EMPTY, &history.root));
        let stop = &mut |_: Change<'_>| {
            left -= 1;
            left > 0
        };
        diff(&history.store, &Root::EMPTY, &history.root, stop).unwrap();
        assert_eq!(left, 3 - all.len().min(3));
    }
}

#[test]
fn small_differences_are_cheap() {
    let mut history = History::new(0);
    history.apply((0..6000).map(|n| Edit::Put(Key::new(1, 0, 2 * n), vec![0; 500])).collect());
    let (before, old) = (history.root, history.model.clone());
    // Inserts and removals that split, merge and shift nodes in a few places, the very first and last among them.
    for place in [0, 40, 3000, 5990] {
        history.apply((place..place + 9).map(|n| Edit::Put(Key::new(1, 0, 2 * n + 1), vec![0; 900])).collect());
    }
    history.apply(vec![Edit::DeleteRange(Key::new(1, 0, 8000), Key::new(1, 0, 8050))]);
    let reads = history.store.reads.load(Ordering::Relaxed);
    assert_eq!(changes(&history.store, &before, &history.root), expected(&old, &history.model));
    let reads = history.store.reads.load(Ordering::Relaxed) - reads;
    assert!(reads < 100, "{reads} of {} nodes", pointers(&history.store, &before).len());
}
