//! A batch of edits, put into the form that a tree is edited by: what goes, and what comes.
//!
//! Invariant: both lists are sorted and free of overlaps; whatever comes is in a range that goes.

use crate::error::{Error, ErrorKind, Result};
use crate::tree::item::{RUN_BLOCKS_MAX, VALUE_MAX};
use crate::tree::{ItemRef, Key, Run};

/// One change of a batch. All deletes of a batch happen before all puts and runs, in whatever order they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Sets bytes, in place of an item or a block at this key.
    Put(Key, Vec<u8>),
    /// Sets blocks from this key on, in place of whatever is at their positions.
    Run(Key, Run),
    /// Removes the item or block at this key, which may be absent.
    Delete(Key),
    /// Removes the items and blocks between two keys, both included.
    DeleteRange(Key, Key),
}

/// An item to add.
#[derive(Debug)]
pub enum Value {
    Bytes(Vec<u8>),
    Run(Run),
}

impl Value {
    pub fn borrow(&self) -> ItemRef<'_> {
        match self {
            Self::Bytes(bytes) => ItemRef::Bytes(bytes),
            Self::Run(run) => ItemRef::Run(run.borrow()),
        }
    }
}

/// A batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// First and last key of what goes.
    pub removed: Vec<(Key, Key)>,
    /// What comes.
    pub added: Vec<(Key, Value)>,
}

impl Batch {
    /// Sorts edits out. Puts and runs must not overlap each other.
    pub fn new(edits: Vec<Edit>) -> Result<Self> {
        let mut batch = Self::default();
        for edit in edits {
            match edit {
                Edit::Put(key, bytes) => batch.added.push((key, Value::Bytes(bytes))),
                Edit::Run(key, run) => batch.added.push((key, Value::Run(run))),
                Edit::Delete(key) => batch.removed.push((key, key)),
                Edit::DeleteRange(first, last) if first <= last => batch.removed.push((first, last)),
                Edit::DeleteRange(..) => {}
            }
        }
        batch.added.sort_by_key(|(key, _)| *key);
        batch.check_added()?;
        batch.removed.extend(batch.added.iter().map(|(key, value)| (*key, value.borrow().last_key(*key))));
        batch.unite_removed();
        Ok(batch)
    }

    fn check_added(&self) -> Result<()> {
        let mut previous = None;
        for (key, value) in &self.added {
            let fits = match value {
                Value::Bytes(bytes) => bytes.len() <= VALUE_MAX,
                Value::Run(run) => {
                    let blocks = run.hashes.len();
                    blocks > 0
                        && usize::from(run.first) + blocks <= RUN_BLOCKS_MAX
                        && key.position.checked_add(blocks as u64 - 1).is_some()
                }
            };
            if !fits {
                return Err(Error::new(ErrorKind::Invalid, "an item is too large for a tree"));
            }
            if previous.is_some_and(|last| *key <= last) {
                return Err(Error::new(ErrorKind::Invalid, "two items of one batch overlap"));
            }
            previous = Some(value.borrow().last_key(*key));
        }
        Ok(())
    }

    fn unite_removed(&mut self) {
        self.removed.sort_unstable();
        self.removed.dedup_by(|next, range| {
            let overlaps = next.0 <= range.1;
            if overlaps {
                range.1 = range.1.max(next.1);
            }
            overlaps
        });
    }
}
