//! Visits every pointer of a tree: all of them to verify it, or those born late to destroy it.
//!
//! Invariant: a pointer's birth is not before that of anything it reaches, for whoever changes something
//! beneath a node writes the node anew. So a subtree whose pointer is old enough holds nothing new, and is skipped unread.

use crate::error::{Error, ErrorKind, Result};
use crate::format::Birth;
use crate::tree::store::Subtree;
use crate::tree::{Dead, ItemRef, Key, Leaf, Node, NodePointer, NodeStore, Root};

/// Visits the pointers born after `after` in the tree of `root`: blocks of a leaf together, and every node after all that
/// is beneath it. Starts at `from` ([`Key::MIN`] at first), reads about `leaves` leaves, and returns the key to go on
/// from, or `None` when all is done. The calls of one sequence visit each pointer once.
pub fn walk_born_after(
    store: &dyn NodeStore,
    root: &Root,
    after: Birth,
    from: Key,
    leaves: u64,
    visit: &mut dyn FnMut(Dead),
) -> Result<Option<Key>> {
    BornAfter { store, after, from, leaves: leaves.max(1), visit, damaged: None, go_on_from: None }.tree(root)
}

/// The same, but past damage: a node that is `Corrupt` is visited, what it leads to is not, and `damaged` is told.
pub fn walk_born_after_past_damage(
    store: &dyn NodeStore,
    root: &Root,
    after: Birth,
    from: Key,
    leaves: u64,
    visit: &mut dyn FnMut(Dead),
    damaged: &mut dyn FnMut(Error),
) -> Result<Option<Key>> {
    BornAfter { store, after, from, leaves: leaves.max(1), visit, damaged: Some(damaged), go_on_from: None }.tree(root)
}

struct BornAfter<'a> {
    store: &'a dyn NodeStore,
    after: Birth,
    from: Key,
    leaves: u64,
    visit: &'a mut dyn FnMut(Dead),
    /// Who is told of damage, if it does not end the walk.
    damaged: Option<&'a mut dyn FnMut(Error)>,
    go_on_from: Option<Key>,
}

impl BornAfter<'_> {
    fn tree(mut self, root: &Root) -> Result<Option<Key>> {
        if let Some(top) = Subtree::whole(root) {
            self.subtree(&top)?;
        }
        Ok(self.go_on_from)
    }

    /// Returns whether the walk is past the whole subtree.
    fn subtree(&mut self, subtree: &Subtree) -> Result<bool> {
        if subtree.pointer.birth <= self.after || subtree.upper.is_some_and(|upper| upper <= self.from) {
            return Ok(true);
        }
        if self.leaves == 0 {
            self.go_on_from = Some(subtree.lower());
            return Ok(false);
        }
        let node = match (subtree.load(self.store), &mut self.damaged) {
            (Ok(node), _) => Some(node),
            (Err(error), Some(damaged)) if error.kind() == ErrorKind::Corrupt => {
                damaged(error);
                None
            }
            (Err(error), _) => return Err(error),
        };
        match node.as_deref() {
            None => self.leaves -= 1,
            Some(Node::Leaf(leaf)) => {
                self.leaves -= 1;
                self.blocks(leaf);
            }
            Some(Node::Interior(node)) => {
                for number in 0..node.keys.len() {
                    if !self.subtree(&subtree.child(node, number))? {
                        return Ok(false);
                    }
                }
            }
        }
        (self.visit)(subtree.pointer.dead());
        Ok(true)
    }

    fn blocks(&mut self, leaf: &Leaf) {
        for (_, item) in leaf.items() {
            if let ItemRef::Run(run) = item
                && run.birth > self.after
            {
                (self.visit)(run.dead());
            }
        }
    }
}

/// What [`walk_all`] comes upon.
#[derive(Debug)]
pub enum Visited<'a> {
    /// A node, before it is read.
    Node {
        /// The pointer to it.
        pointer: NodePointer,
        /// Levels above the leaves.
        level: u8,
        /// All that it leads to lies here or after.
        first: Key,
        /// All that it leads to lies before this; `None`: it can be anything from `first` on.
        upper: Option<Key>,
    },
    /// An item of a leaf that was read.
    Item(Key, ItemRef<'a>),
    /// A node that cannot be read, or does not fit into its place. What it leads to is not visited.
    Damage {
        /// The pointer to it.
        pointer: NodePointer,
        /// All that is hit lies here or after.
        first: Key,
        /// All that is hit lies before this; `None`: it can be anything from `first` on.
        upper: Option<Key>,
        /// What is wrong.
        error: Error,
    },
}

/// Where [`walk_all`] goes from what it came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into it.
    Into,
    /// Past it, as for a node that was visited before.
    Past,
    /// No further.
    Stop,
}

/// Visits every node (before what is beneath it) and item of the tree of `root` in key order. Damage is told to the visitor
/// and ends nothing.
pub fn walk_all(store: &dyn NodeStore, root: &Root, visit: &mut dyn FnMut(Visited<'_>) -> Step) {
    if let Some(top) = Subtree::whole(root) {
        walk_subtree(store, &top, top.pointer.birth, visit);
    }
}

/// Returns whether to go on.
fn walk_subtree(
    store: &dyn NodeStore,
    subtree: &Subtree,
    parent_birth: Birth,
    visit: &mut dyn FnMut(Visited<'_>) -> Step,
) -> bool {
    let Subtree { pointer, level, upper, .. } = *subtree;
    match visit(Visited::Node { pointer, level, first: subtree.lower(), upper }) {
        Step::Into => {}
        Step::Past => return true,
        Step::Stop => return false,
    }
    let node = match subtree.load(store).and_then(|node| check(&node, subtree, parent_birth).map(|()| node)) {
        Ok(node) => node,
        Err(error) => {
            return visit(Visited::Damage { pointer, first: subtree.lower(), upper, error }) != Step::Stop;
        }
    };
    match &*node {
        Node::Leaf(leaf) => leaf.items().all(|(key, item)| visit(Visited::Item(key, item)) != Step::Stop),
        Node::Interior(node) => {
            (0..node.keys.len()).all(|number| walk_subtree(store, &subtree.child(node, number), pointer.birth, visit))
        }
    }
}

/// What no single node's bytes can tell.
pub(in crate::tree) fn check(node: &Node, subtree: &Subtree, parent_birth: Birth) -> Result<()> {
    let birth = subtree.pointer.birth;
    let (last, newest) = match node {
        Node::Leaf(leaf) => {
            let (key, item) = leaf.item(leaf.len() - 1);
            let runs =
                leaf.items().filter_map(|(_, item)| if let ItemRef::Run(run) = item { Some(run.birth) } else { None });
            (item.last_key(key), runs.max())
        }
        Node::Interior(node) => (node.keys[node.keys.len() - 1], None),
    };
    if subtree.upper.is_some_and(|upper| last >= upper) {
        return Err(Error::new(ErrorKind::Corrupt, "a tree node reaches into the next one's keys"));
    }
    if birth > parent_birth || newest.is_some_and(|newest| newest > birth) {
        return Err(Error::new(ErrorKind::Corrupt, "a tree node is older than what it holds"));
    }
    Ok(())
}
