//! Every pointer: of all that is stored, where each counts once, or of all that some heads and snapshots reach.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::catalog::Holder;
use crate::error::{Error, Result};
use crate::format::{Birth, SlotId};
use crate::reclaim::{Owned, Sources, owned};
use crate::scrub::Scene;
use crate::store::Store;
use crate::tree::{
    Dead, ItemRef, Key, Node, NodePointer, NodeStore, Root, RunRef, Step, Visited, walk_all, walk_beside,
};

/// What is walked.
pub enum Ground {
    /// All that is stored, each part as its owner's.
    Whole,
    /// What these reach.
    Of(Vec<Holder>),
}

/// What a walk comes upon.
#[derive(Debug)]
pub enum Found<'a> {
    /// A pointer to a node, before that is read.
    Node {
        /// Whether this is the one place where it counts.
        counts: bool,
        /// The pointer.
        pointer: &'a NodePointer,
        /// All beneath it lies here or after.
        first: Key,
        /// All beneath it lies before this.
        upper: Option<Key>,
    },
    /// Pointers to blocks.
    Run {
        /// Whether this is the one place where they count.
        counts: bool,
        /// Where they stand.
        key: Key,
        /// The pointers.
        run: RunRef<'a>,
    },
    /// Pointers that a job is to free yet.
    Owed(&'a Dead),
    /// A node that cannot be read, and all beneath it.
    Lost {
        /// The pointer.
        pointer: &'a NodePointer,
        /// All beneath it lies here or after.
        first: Key,
        /// All beneath it lies before this.
        upper: Option<Key>,
        /// Why.
        error: Error,
    },
    /// A part that cannot be told.
    Unknown(Error),
}

/// Is told whose pointer it is (of the system tree, nobody's) and what was found, and returns whether to go on.
pub type Visit<'v> = dyn FnMut(Option<Holder>, Found<'_>) -> bool + 'v;

/// Reads nodes: those of a range from the disk.
pub struct Nodes<'a> {
    /// Where they are.
    pub store: &'a Store,
    /// Which ones come from the disk, whatever is cached.
    pub from_disk: Option<RangeInclusive<SlotId>>,
}

impl NodeStore for Nodes<'_> {
    fn read(&self, pointer: &NodePointer) -> Result<Arc<Node>> {
        match self.from_disk.as_ref().is_some_and(|ids| ids.contains(&pointer.id)) {
            true => self.store.read_stored_node(pointer).map(Arc::new),
            false => self.store.read(pointer),
        }
    }
}

/// Walks over the ground.
pub fn walk(scene: Scene<'_>, nodes: &dyn NodeStore, ground: &Ground, visit: &mut Visit<'_>) {
    match ground {
        Ground::Whole => walk_whole(scene, nodes, visit),
        Ground::Of(holders) => {
            let mut seen = HashSet::new();
            for holder in holders {
                let root = scene.catalog.state(*holder).map_or(Root::EMPTY, |state| state.root);
                let tree = Tree { holder: Some(*holder), root, after: Birth(0), from: Key::MIN };
                if !walk_tree(nodes, &tree, Some(&mut seen), visit) {
                    return;
                }
            }
        }
    }
}

fn walk_whole(scene: Scene<'_>, nodes: &dyn NodeStore, visit: &mut Visit<'_>) {
    let system = Tree { holder: None, root: *scene.system, after: Birth(0), from: Key::MIN };
    if !walk_tree(nodes, &system, None, visit) {
        return;
    }
    let parts = match owned(scene.catalog) {
        Ok(parts) => parts,
        Err(error) => {
            visit(None, Found::Unknown(error));
            return;
        }
    };
    for part in parts {
        let go_on = match part {
            Owned::Tree { holder, root, after, from } => {
                walk_tree(nodes, &Tree { holder: Some(holder), root, after, from }, None, visit)
            }
            Owned::Way { holder, root, births, other } => {
                let mut go_on = true;
                walk_beside(nodes, &root, &other, births, &mut |visited| {
                    go_on = tell(Some(holder), false, visited, visit);
                    step(go_on)
                });
                go_on
            }
            Owned::Entries(entries) => {
                let sources = Sources { nodes, system: scene.system };
                let mut go_on = true;
                let told = entries.for_each(scene.catalog, sources, &mut |dead| {
                    go_on = go_on && visit(Some(entries.holder), Found::Owed(dead));
                    Ok(())
                });
                told.map_or_else(|error| visit(None, Found::Unknown(error)), |()| go_on)
            }
        };
        if !go_on {
            return;
        }
    }
}

struct Tree {
    holder: Option<Holder>,
    root: Root,
    after: Birth,
    from: Key,
}

/// Returns whether to go on.
fn walk_tree(
    nodes: &dyn NodeStore,
    tree: &Tree,
    mut seen: Option<&mut HashSet<SlotId>>,
    visit: &mut Visit<'_>,
) -> bool {
    let mut go_on = true;
    walk_all(nodes, &tree.root, &mut |visited| {
        match &visited {
            Visited::Node { pointer, upper, .. } => {
                let skipped = pointer.birth <= tree.after || upper.is_some_and(|upper| upper <= tree.from);
                if skipped || seen.as_mut().is_some_and(|seen| !seen.insert(pointer.id)) {
                    return Step::Past;
                }
            }
            Visited::Item(_, ItemRef::Run(run)) if run.birth <= tree.after => return Step::Into,
            _ => {}
        }
        go_on = tell(tree.holder, true, visited, visit);
        step(go_on)
    });
    go_on
}

fn step(go_on: bool) -> Step {
    if go_on { Step::Into } else { Step::Stop }
}

/// Returns whether to go on.
fn tell(holder: Option<Holder>, counts: bool, visited: Visited<'_>, visit: &mut Visit<'_>) -> bool {
    match visited {
        Visited::Node { pointer, first, upper, .. } => {
            visit(holder, Found::Node { counts, pointer: &pointer, first, upper })
        }
        Visited::Item(key, ItemRef::Run(run)) => visit(holder, Found::Run { counts, key, run }),
        Visited::Item(..) => true,
        Visited::Damage { pointer, first, upper, error } => {
            visit(holder, Found::Lost { pointer: &pointer, first, upper, error })
        }
    }
}
