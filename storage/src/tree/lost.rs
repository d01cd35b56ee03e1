//! Which pointers one tree has and another has not, exactly.
//!
//! Invariant: both cursors go through their trees once, and what is not told of stands in both at the same place. So whatever the
//! shapes of the trees, what is told of one less what is told of the other is the difference of all that they have.

use std::cmp::Ordering;

use crate::error::Result;
use crate::format::Birth;
use crate::tree::diff::{Content, Cursor, Next};
use crate::tree::{Dead, NodeStore, Root};

/// Calls `found` with pointers born no later than `until`: with 1 for one that `old` has, and with -1 for one that `new` has. What
/// both have may be told of both, and the sum of all is right.
pub fn for_each_lost(
    store: &dyn NodeStore,
    old: &Root,
    new: &Root,
    until: Birth,
    found: &mut dyn FnMut(&Dead, i64),
) -> Result<()> {
    let (mut old, mut new) = (Cursor::new(store, old), Cursor::new(store, new));
    let mut tell = |dead: Dead, change| {
        if dead.birth <= until {
            found(&dead, change);
        }
    };
    loop {
        let order = match (old.next, new.next) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(Next::Subtree(a)), Some(Next::Subtree(b))) if a.pointer.id == b.pointer.id => {
                old.pass();
                new.pass();
                continue;
            }
            (Some(a), Some(b)) => a.key().cmp(&b.key()),
        };
        let level =
            |next: Option<Next>| if let Some(Next::Subtree(subtree)) = next { Some(subtree.level) } else { None };
        let (level_a, level_b) = (level(old.next), level(new.next));
        let (moves_a, moves_b) = match order {
            Ordering::Less => (true, false),
            Ordering::Greater => (false, true),
            Ordering::Equal => (level_a >= level_b, level_b >= level_a),
        };
        let is_same = moves_a && moves_b && level_a.is_none() && old.block() == new.block();
        for (cursor, moves, change) in [(&mut old, moves_a, 1), (&mut new, moves_b, -1)] {
            match cursor.next.filter(|_| moves) {
                Some(Next::Subtree(subtree)) => {
                    tell(subtree.pointer.dead(), change);
                    cursor.open()?;
                }
                Some(Next::Content(_)) => {
                    cursor.block().filter(|_| !is_same).into_iter().for_each(|block| tell(block, change));
                    cursor.pass();
                }
                None => {}
            }
        }
    }
}

impl Cursor<'_> {
    /// The pointer to the block before which the cursor stands, if it is one.
    fn block(&self) -> Option<Dead> {
        match self.content() {
            Some((_, Content::Block(block))) => {
                Some(Dead { id: block.id, first: block.index, count: 1, birth: block.birth, is_node: false })
            }
            _ => None,
        }
    }
}
