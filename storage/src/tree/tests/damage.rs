//! A damaged node keeps nothing from being changed but what is beneath it.

use crate::tree::tests::*;

/// A node and the keys that lie beneath it: from the first on, and before the end.
struct Beneath {
    pointer: NodePointer,
    first: Key,
    upper: Option<Key>,
}

fn nodes(history: &History) -> Vec<Beneath> {
    let mut found = Vec::new();
    walk_all(&history.store, &history.root, &mut |visited| {
        if let Visited::Node { pointer, first, upper, level } = visited
            && level + 1 < history.root.height
        {
            found.push(Beneath { pointer, first, upper });
        }
        Step::Into
    });
    found
}

impl Beneath {
    fn has(&self, key: Key) -> bool {
        key >= self.first && self.upper.is_none_or(|upper| key < upper)
    }

    /// Whether an edit has nothing to do with it.
    fn is_beside(&self, edit: &Edit) -> bool {
        let (first, last) = match edit {
            Edit::Put(key, _) | Edit::Delete(key) => (*key, *key),
            Edit::Run(key, run) => (*key, key.plus(run.hashes.len() as u64 - 1)),
            Edit::DeleteRange(first, last) => (*first, *last),
        };
        last < self.first || self.upper.is_some_and(|upper| first >= upper)
    }

    /// Removes all that lies before it, or else all after it, or a part: what is left of its neighbours is small.
    fn thin(&self, history: &mut History) -> Vec<Edit> {
        let kept = history.random.below(40) as usize;
        let (mut before, mut after): (Vec<Key>, Vec<Key>) =
            history.model.keys().filter(|key| !self.has(**key)).partition(|key| **key < self.first);
        before.truncate(before.len().saturating_sub(kept));
        after.drain(..kept.min(after.len()));
        match history.random.below(3) {
            0 => before,
            1 => after,
            _ => [before, after].concat(),
        }
        .into_iter()
        .map(Edit::Delete)
        .collect()
    }
}

#[test]
fn what_lies_beside_a_damaged_node_can_be_changed() {
    let mut refused = 0;
    for seed in 0..12 {
        let mut history = History::new(seed);
        for _ in 0..14 {
            let edits = history.batch();
            history.apply(edits);
        }
        for beneath in nodes(&history) {
            let batch = history.batch();
            let mut edits = if seed % 2 == 0 { batch } else { beneath.thin(&mut history) };
            let all = edits.len();
            edits.retain(|edit| beneath.is_beside(edit));
            refused += all - edits.len();
            let nodes = Mutex::new(history.store.nodes.lock().clone());
            let store = Store { nodes, damaged: Some(beneath.pointer.id), ..Store::default() };
            let birth = Birth(history.birth + 1);
            let edits: Vec<Edit> = edits.into_iter().map(|edit| born(edit, birth)).collect();
            let mut expected = history.model.clone();
            edit_model(&mut expected, &edits);
            expected.retain(|key, _| !beneath.has(*key));
            let root = apply(&store, &history.root, edits, birth, &mut Vec::new());
            let root = root.unwrap_or_else(|error| panic!("{seed}: {error:?}")).root;
            let (mut found, mut damaged) = (Model::new(), 0);
            walk_all(&store, &root, &mut |visited| {
                match visited {
                    Visited::Item(key, item) => found.extend(cells(key, item)),
                    Visited::Damage { pointer, .. } => damaged += u32::from(pointer == beneath.pointer),
                    Visited::Node { .. } => {}
                }
                Step::Into
            });
            assert_eq!(damaged, 1, "{seed}");
            assert!(found == expected, "{seed}: what lies beside {:?} is not what it should be", beneath.first);
        }
    }
    assert!(refused > 100, "{refused}");
}
