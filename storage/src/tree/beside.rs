//! What one tree has and another has not, by pointers and not by content.
//!
//! Invariant: a pointer that is not visited is one that the other tree has too. Where both cursors stand before the same
//! node, neither tree is read any further.

use crate::error::{Error, Result};
use crate::format::Birth;
use crate::tree::diff::{Cursor, Next};
use crate::tree::store::Subtree;
use crate::tree::walk::check;
use crate::tree::{ItemRef, Key, NodeStore, Root, Step, Visited};

/// Visits, in key order, nodes (before what is beneath them) and runs of the tree of `root` that were born after `after` and no
/// later than `until`, and that the tree of `other` does not have at the same place. What is born later leads there and is not
/// visited itself. Damage is told to the visitor, but for that of the other tree, and ends nothing.
pub fn walk_beside(
    store: &dyn NodeStore,
    root: &Root,
    other: &Root,
    (after, until): (Birth, Birth),
    visit: &mut dyn FnMut(Visited<'_>) -> Step,
) {
    let mut walk = Beside { own: Cursor::new(store, root), other: Cursor::new(store, other), after, until };
    while let Some(next) = walk.own.next {
        let go_on = match next {
            Next::Subtree(subtree) => walk.subtree(&subtree, visit),
            Next::Content(key) => walk.item(key, visit),
        };
        if !go_on {
            return;
        }
    }
}

struct Beside<'a> {
    own: Cursor<'a>,
    other: Cursor<'a>,
    after: Birth,
    until: Birth,
}

impl Beside<'_> {
    /// Passes the subtree before which the cursor stands, or goes into it. Returns whether to go on.
    fn subtree(&mut self, subtree: &Subtree, visit: &mut dyn FnMut(Visited<'_>) -> Step) -> bool {
        let Subtree { pointer, level, upper, .. } = *subtree;
        if pointer.birth <= self.after {
            self.own.pass();
            return true;
        }
        self.bring_other(subtree.lower(), level);
        if matches!(self.other.next, Some(Next::Subtree(other)) if other.pointer.id == pointer.id) {
            self.own.pass();
            self.other.pass();
            return true;
        }
        let first = subtree.lower();
        if pointer.birth <= self.until {
            match visit(Visited::Node { pointer, level, first, upper }) {
                Step::Into => {}
                Step::Past => {
                    self.own.pass();
                    return true;
                }
                Step::Stop => return false,
            }
        }
        let Err(error) = self.open(subtree) else { return true };
        self.own.pass();
        // What was born later is visited by others, who find this too.
        pointer.birth > self.until || visit(Visited::Damage { pointer, first, upper, error }) != Step::Stop
    }

    fn open(&mut self, subtree: &Subtree) -> Result<(), Error> {
        let parent_birth = self.own.parent_birth().unwrap_or(subtree.pointer.birth);
        check(&*subtree.load(self.own.store)?, subtree, parent_birth)?;
        self.own.open()
    }

    /// Passes the item before which the cursor stands.
    fn item(&mut self, key: Key, visit: &mut dyn FnMut(Visited<'_>) -> Step) -> bool {
        self.bring_other(key, 0);
        while let Some(Next::Subtree(_)) = self.other.next.filter(|next| next.key() <= key) {
            self.open_other();
            self.bring_other(key, 0);
        }
        let go_on = match self.own.item() {
            Some((key, item @ ItemRef::Run(run))) if run.birth > self.after && run.birth <= self.until => {
                self.other.item() == Some((key, item)) || visit(Visited::Item(key, item)) != Step::Stop
            }
            _ => true,
        };
        self.own.pass_item();
        go_on
    }

    /// Has the other cursor pass what lies before a key, and stand before a node of a level if there is one.
    fn bring_other(&mut self, key: Key, level: u8) {
        while let Some(next) = self.other.next {
            match next {
                Next::Subtree(subtree) if subtree.upper.is_some_and(|upper| upper <= key) => self.other.pass(),
                Next::Subtree(subtree) if subtree.level > level && subtree.lower() <= key => self.open_other(),
                Next::Subtree(subtree) if subtree.lower() < key && subtree.level > 0 => self.open_other(),
                Next::Content(at) if at < key => self.other.pass_item(),
                _ => return,
            }
        }
    }

    fn open_other(&mut self) {
        if self.other.open().is_err() {
            self.other.pass();
        }
    }
}
