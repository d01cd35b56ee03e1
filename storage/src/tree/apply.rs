//! A batch of edits makes a new root out of an old one, which stays readable.
//!
//! Invariant: the pointers that the old root reaches and the new one does not are exactly those reported
//! dead, each once. Subtrees without a change are shared, and a new node's birth is the batch's, so no
//! node is older than anything beneath it.

use crate::error::Result;
use crate::format::Birth;
use crate::tree::builder::Builder;
use crate::tree::edit::{Batch, Value};
use crate::tree::store::Subtree;
use crate::tree::{Dead, Edit, ItemRef, Key, Leaf, Node, NodeWriter, Root};

/// How many blocks more (or fewer) one kind of an object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockDelta {
    /// The keys' object.
    pub object: u64,
    /// The keys' kind.
    pub kind: u8,
    /// Blocks of runs added, minus those removed.
    pub blocks: i64,
}

/// What a batch made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The new tree.
    pub root: Root,
    /// Changes of the number of blocks, in key order; what stays the same is left out.
    pub blocks: Vec<BlockDelta>,
}

/// Applies `edits` to the tree of `root`. New nodes are born at `birth`, which is not before anything in the tree
/// or in the batch. What the new root does not reach is appended to `dead`.
///
/// Edits may be given in any order: deletes come first, then puts and runs, and of these no two may overlap
/// (`Invalid`). After an error the old root is as good as before, and what was written is reached by nothing.
pub fn apply(
    writer: &dyn NodeWriter,
    root: &Root,
    edits: Vec<Edit>,
    birth: Birth,
    dead: &mut Vec<Dead>,
) -> Result<Applied> {
    let mut apply = Apply {
        writer,
        batch: Batch::new(edits)?,
        next_removed: 0,
        next_added: 0,
        blocks: Vec::new(),
        builder: Builder::new(writer, birth, dead),
    };
    if let Some(top) = Subtree::whole(root) {
        if !apply.is_touched(&top)? {
            return Ok(Applied { root: *root, blocks: Vec::new() });
        }
        apply.edit(&top)?;
    }
    apply.add_before(None)?;
    let mut blocks = apply.blocks;
    blocks.retain(|delta| delta.blocks != 0);
    Ok(Applied { root: apply.builder.finish()?, blocks })
}

struct Apply<'a> {
    writer: &'a dyn NodeWriter,
    batch: Batch,
    /// The first removed range that what is still to come can lie in.
    next_removed: usize,
    next_added: usize,
    blocks: Vec<BlockDelta>,
    builder: Builder<'a>,
}

impl Apply<'_> {
    /// Hands a subtree to the builder, edited where edits fall into it.
    fn edit(&mut self, subtree: &Subtree) -> Result<()> {
        if !self.is_touched(subtree)? {
            return self.builder.keep(subtree);
        }
        match &*self.builder.open(subtree)? {
            Node::Leaf(leaf) => self.edit_leaf(leaf, subtree.upper),
            Node::Interior(node) => (0..node.keys.len()).try_for_each(|number| self.edit(&subtree.child(node, number))),
        }
    }

    fn edit_leaf(&mut self, leaf: &Leaf, upper: Option<Key>) -> Result<()> {
        let mut number = 0;
        while number < leaf.len() {
            let key = leaf.keys[number];
            self.skip_removed(key);
            // What is added lies in ranges that are removed, so before the next of these nothing changes.
            let end =
                self.batch.removed.get(self.next_removed).map_or(leaf.len(), |(first, _)| leaf.first_reaching(*first));
            if end > number {
                self.add_before(Some(key))?;
                self.builder.push_all(leaf, number..end)?;
                number = end;
            } else {
                let (key, item) = leaf.item(number);
                self.edit_item(key, item)?;
                number += 1;
            }
        }
        self.add_before(upper)
    }

    /// Passes on what no removed range covers of an old item, before which all ranges were skipped.
    fn edit_item(&mut self, key: Key, item: ItemRef<'_>) -> Result<()> {
        let (mut start, last) = (key, item.last_key(key));
        for number in self.next_removed.. {
            let gap = self.batch.removed.get(number);
            let gap = gap.and_then(|&(first, end)| item.clip(key, first.max(start), end));
            let Some((gap, gone)) = gap else { break };
            if start < gap {
                let kept_last = Key { position: gap.position - 1, ..gap };
                self.pass(item.clip(key, start, kept_last))?;
            }
            self.remove(gap, gone)?;
            if gone.last_key(gap) == last {
                return Ok(());
            }
            start = gone.last_key(gap).plus(1);
        }
        self.pass(item.clip(key, start, last))
    }

    /// Passes a part of an old item on, after those of the batch that come before it.
    fn pass(&mut self, part: Option<(Key, ItemRef<'_>)>) -> Result<()> {
        let Some((key, item)) = part else { return Ok(()) };
        self.add_before(Some(key))?;
        self.builder.push(key, item)
    }

    /// Adds the batch's items below `upper`.
    fn add_before(&mut self, upper: Option<Key>) -> Result<()> {
        while let Some((key, value)) = self.batch.added.get(self.next_added) {
            if upper.is_some_and(|upper| *key >= upper) {
                break;
            }
            self.next_added += 1;
            if let Value::Run(run) = value {
                count_blocks(&mut self.blocks, *key, run.hashes.len() as i64);
            }
            self.builder.push(*key, value.borrow())?;
        }
        Ok(())
    }

    /// Lets a part of an old item go, after those of the batch that come before it.
    fn remove(&mut self, key: Key, item: ItemRef<'_>) -> Result<()> {
        self.add_before(Some(key))?;
        if let ItemRef::Run(run) = item {
            count_blocks(&mut self.blocks, key, -(run.hashes.len() as i64));
            self.builder.bury(run.dead());
        }
        Ok(())
    }

    /// Passes the removed ranges that end before `key`.
    fn skip_removed(&mut self, key: Key) {
        while self.batch.removed.get(self.next_removed).is_some_and(|(_, last)| *last < key) {
            self.next_removed += 1;
        }
    }

    /// Whether an edit changes anything in the subtree.
    fn is_touched(&mut self, subtree: &Subtree) -> Result<bool> {
        let within = |key: Key| subtree.upper.is_none_or(|upper| key < upper);
        if self.batch.added.get(self.next_added).is_some_and(|(key, _)| within(*key)) {
            return Ok(true);
        }
        self.skip_removed(subtree.lower());
        self.removes_from(subtree, self.next_removed)
    }

    /// Whether a removed range, of those from number `removed` on, hits an item of the subtree.
    fn removes_from(&self, subtree: &Subtree, mut removed: usize) -> Result<bool> {
        let ranges = &self.batch.removed;
        removed += ranges[removed..].partition_point(|(_, last)| *last < subtree.lower());
        let reaches = |(first, _): &(Key, Key)| subtree.upper.is_none_or(|upper| *first < upper);
        let Some(&(first, _)) = ranges.get(removed).filter(|range| reaches(range)) else { return Ok(false) };
        if subtree.first.is_some_and(|key| first <= key) {
            return Ok(true);
        }
        match &*subtree.load(self.writer)? {
            Node::Leaf(leaf) => Ok(ranges[removed..]
                .iter()
                .take_while(|range| reaches(range))
                .any(|&(first, last)| leaf.keys.get(leaf.first_reaching(first)).is_some_and(|key| *key <= last))),
            Node::Interior(node) => {
                for number in node.child_for(first)..node.keys.len() {
                    if self.removes_from(&subtree.child(node, number), removed)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

fn count_blocks(deltas: &mut Vec<BlockDelta>, key: Key, blocks: i64) {
    match deltas.last_mut() {
        Some(last) if (last.object, last.kind) == (key.object, key.kind) => last.blocks += blocks,
        _ => deltas.push(BlockDelta { object: key.object, kind: key.kind, blocks }),
    }
}
