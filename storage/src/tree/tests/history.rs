//! Trees hold what the model holds, and old roots what they held.

use crate::format::{Birth, BlockHash, SegmentId, SlotId};
use crate::sync::Ordering;
use crate::tree::buffer::CAPACITY;
use crate::tree::tests::*;

#[test]
fn random_histories_match_the_model() {
    for seed in 0..9 {
        let mut history = History::new(seed);
        let mut snapshots = Vec::new();
        for round in 0..32 {
            let edits = history.batch();
            history.apply(edits);
            check_shape(&history.store, &history.root);
            assert_eq!(scan(&history.store, history.root, Key::MIN, Key::MAX), history.model);
            check_lookups(&mut history);
            check_cursor(&mut history);
            if round % 8 == 0 {
                snapshots.push((history.root, history.model.clone()));
            }
        }
        for (root, model) in snapshots {
            assert_eq!(scan(&history.store, root, Key::MIN, Key::MAX), model);
        }
        history.apply(vec![Edit::DeleteRange(Key::MIN, Key::MAX)]);
        assert_eq!(history.root, Root::EMPTY);
    }
}

fn check_lookups(history: &mut History) {
    for _ in 0..20 {
        let (key, other) = (history.key(), history.key());
        let (first, last) = (key.min(other), key.max(other));
        let expected: Model = history.model.range(first..=last).map(|(key, cell)| (*key, cell.clone())).collect();
        assert_eq!(scan(&history.store, history.root, first, last), expected);
        let reader = Reader::new(&history.store, history.root);
        let found = (reader.get(key).unwrap(), reader.block_at(key).unwrap());
        assert_eq!(
            found,
            match history.model.get(&key).cloned() {
                None => (None, None),
                Some(Cell::Bytes(value)) => (Some(value), None),
                Some(Cell::Block(block)) => (None, Some(block)),
            }
        );

        let positions = key.position..key.position + history.random.below(200);
        let blocks = reader.blocks(key.object, key.kind, positions.clone()).unwrap();
        let expected: Vec<Option<BlockPointer>> = positions
            .map(|position| match history.model.get(&Key { position, ..key }) {
                Some(Cell::Block(block)) => Some(*block),
                _ => None,
            })
            .collect();
        assert_eq!(blocks, expected);
    }
}

/// What a cursor remembers of one place does not show at the next, whether that is near or far, and spares reading.
fn check_cursor(history: &mut History) {
    let mut ranges: Vec<(Key, Key)> = (0..40).map(|_| (history.key(), history.key())).collect();
    ranges[..20].sort_unstable();
    ranges.iter_mut().step_by(2).for_each(|(first, last)| *last = *first);
    let (mut cursor, reads) = (Cursor::new(&history.store, history.root), &history.store.reads);
    for (first, last) in ranges {
        let expected: Model = match first <= last {
            true => history.model.range(first..=last).map(|(key, cell)| (*key, cell.clone())).collect(),
            false => Model::new(),
        };
        let mut found = Model::new();
        cursor.scan(first, last, &mut |key, item| found.extend(cells(key, item))).unwrap();
        assert_eq!(found, expected);
        let before = reads.load(Ordering::Relaxed);
        if first == last && history.model.range(..=first).next().is_some() {
            cursor.scan(first, last, &mut |_, _| ()).unwrap();
            assert_eq!(reads.load(Ordering::Relaxed), before, "the cursor is there already");
        }
    }
}

#[test]
fn a_tall_tree_grows_and_shrinks() {
    let mut history = History::new(3);
    let value = |number: u64| vec![number as u8; 1000];
    let puts = |range: std::ops::Range<u64>| range.map(|n| Edit::Put(Key::new(n, 0, 0), value(n))).collect::<Vec<_>>();
    history.apply(puts(0..24_000));
    assert_eq!(history.root.height, 4);
    check_shape(&history.store, &history.root);
    for keep in [7, 91, 910] {
        let thin = (0..24_000).filter(|n| n % keep != 0).map(|n| Edit::Delete(Key::new(n, 0, 0))).collect();
        history.apply(thin);
        check_shape(&history.store, &history.root);
        assert_eq!(scan(&history.store, history.root, Key::MIN, Key::MAX), history.model);
    }
    assert!(history.root.height == 2, "{:?}", history.root);
}

#[test]
fn nothing_to_do_changes_nothing() {
    let mut history = History::new(5);
    history.apply((0..500).map(|n| Edit::Put(Key::new(9, 0, 2 * n), vec![1; 100])).collect());
    let before = (history.root, history.store.nodes.lock().len());
    history.apply((0..500).map(|n| Edit::Delete(Key::new(9, 0, 2 * n + 1))).collect());
    history.apply(vec![Edit::DeleteRange(Key::new(10, 0, 0), Key::MAX), Edit::DeleteRange(Key::MAX, Key::MIN)]);
    assert_eq!((history.root, history.store.nodes.lock().len()), before);
}

#[test]
fn appends_leave_full_leaves() {
    for batch in [1, 7, 50] {
        let mut history = History::new(0);
        for round in 0..2000 / batch {
            let edits = (round * batch..(round + 1) * batch).map(|n| Edit::Put(Key::new(1, 0, n), vec![0; 40]));
            let birth = Birth(round);
            history.root = apply(&history.store, &history.root, edits.collect(), birth, &mut Vec::new()).unwrap().root;
        }
        let (mut leaves, mut items) = (0, 0);
        walk_all(&history.store, &history.root, &mut |visited| {
            match visited {
                Visited::Node { level: 0, .. } => leaves += 1,
                Visited::Item(..) => items += 1,
                _ => {}
            }
            Step::Into
        });
        assert!(leaves <= 1 + items * 46 / (CAPACITY - 46), "{leaves}");
    }
}

#[test]
fn batches_that_make_no_sense_are_refused() {
    let run = |blocks: usize, first| {
        let id = SlotId::new(SegmentId(1), 1);
        Run { id, first, birth: Birth(1), hashes: vec![BlockHash::default(); blocks] }
    };
    let key = Key::new(1, 1, 10);
    let last = Key::new(1, 1, u64::MAX);
    for edits in [
        vec![Edit::Put(key, vec![0; VALUE_MAX + 1])],
        vec![Edit::Put(key, vec![]), Edit::Put(key, vec![])],
        vec![Edit::Run(key, run(5, 0)), Edit::Put(key.plus(4), vec![])],
        vec![Edit::Run(key, run(0, 0))],
        vec![Edit::Run(key, run(2, 31))],
        vec![Edit::Run(last, run(2, 0))],
    ] {
        let refused = apply(&Store::default(), &Root::EMPTY, edits, Birth(1), &mut Vec::new());
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    apply(&Store::default(), &Root::EMPTY, vec![Edit::Run(last, run(1, 31))], Birth(1), &mut Vec::new()).unwrap();
}
