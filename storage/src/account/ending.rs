//! The end of a commit's nodes: the usage table, which all that was written before changes, and the mark.
//!
//! The usage table changes itself as well: so all its pages are placed, until that makes no more of them dirty, before
//! the first is encoded. The mark tells where everything is, itself included, so it comes last of all.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::books::Books;
use crate::account::commit::{Commit, drop_page};
use crate::account::link::Link;
use crate::account::radix::{Branches, Held, Key, Node, Root};
use crate::account::state::AccountState;
use crate::account::usage::PAGE_LEN;
use crate::error::Result;
use crate::segment::{Exclusive, Place, Stream};

/// A piece that ends a commit's nodes and the block that it is in. It is found by looking at the ends of blocks: no slot
/// names it, nothing counts it as live, and cleaning leaves it behind.
pub struct Mark<'a> {
    /// Its bytes: at most a block.
    pub length: u32,
    /// Makes it, from what the commit leaves and where it is to lie.
    pub make: &'a dyn Fn(&AccountState, Place) -> Vec<u8>,
}

/// Where pages and nodes of the usage table are to lie.
#[derive(Default)]
struct Plan {
    places: BTreeMap<Key, Place>,
    order: Vec<Key>,
}

impl Commit<'_> {
    /// Writes what is left, and returns what the commit leaves.
    pub fn write_ending(&mut self, slots: Root) -> Result<AccountState> {
        let store = self.pages;
        // Read first: while nobody else may append to the stream, nobody may read its end either.
        let held = Held::of(store, self.books.usage_root)?;
        let mut exclusive = store.segments.exclusive(Stream::Node, true)?;
        let mut branches = Branches::new(&held, self.books.usage_root);
        let plan = self.plan_usage(&mut exclusive, &mut branches)?;
        let mark_end = self.mark.as_ref().map(|mark| exclusive.place_to_block_end(mark.length)).transpose()?;
        let (usage, written) = self.encode_usage(branches, &plan)?;
        let (birth, log, segments) = (self.birth, self.books.log.head, store.segments.state_with(&exclusive));
        let state = AccountState { birth, slots, usage, log, segments };
        plan.order.iter().try_for_each(|key| exclusive.append(&written[key]).map(drop))?;
        if let (Some(mark), Some(padded)) = (&self.mark, mark_end) {
            exclusive.append(&mark.padded(&state, padded))?;
        }
        Ok(state)
    }

    fn plan_usage(&mut self, exclusive: &mut Exclusive<'_>, branches: &mut Branches<'_>) -> Result<Plan> {
        let (mut visited, mut placed) = (BTreeSet::new(), BTreeSet::new());
        let mut plan = Plan::default();
        let mut place = |key: Key, length: usize, books: &mut Books| -> Result<()> {
            let place = exclusive.place(length as u32)?;
            books.usage.add(Stream::Node, place, self.birth);
            plan.places.insert(key, place);
            plan.order.push(key);
            Ok(())
        };
        while let Some(page) = self.books.usage.take_changed() {
            for (key, replaced) in branches.ensure(page)? {
                drop_page(self.books, replaced, self.birth)?;
                place(key, Node::FULL_LEN, self.books)?;
            }
            if visited.insert(page) {
                drop_page(self.books, branches.link((0, page)), self.birth)?;
                branches.set((0, page), None);
            }
            if !placed.contains(&page) && self.books.usage.page(page).next().is_some() {
                placed.insert(page);
                place((0, page), PAGE_LEN, self.books)?;
            }
        }
        Ok(plan)
    }

    fn encode_usage(&self, mut branches: Branches<'_>, plan: &Plan) -> Result<(Root, BTreeMap<Key, Vec<u8>>)> {
        let mut written: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        for (key, place) in plan.places.iter().filter(|(key, _)| key.0 == 0) {
            let bytes = self.books.usage.encode_page(key.1);
            branches.set(*key, Some(Link::to(*place, &bytes)));
            written.insert(*key, bytes);
        }
        let root = branches.finish(|key, node| {
            let mut bytes = node.encode(key);
            bytes.resize(Node::FULL_LEN, 0);
            let link = Link::to(plan.places[&key], &bytes);
            self.pages.keep_node(&link, node);
            written.insert(key, bytes);
            Ok(Some(link))
        })?;
        Ok((root, written))
    }
}

impl Mark<'_> {
    /// The mark behind as many zeros as there are before it in `padded`.
    fn padded(&self, state: &AccountState, padded: Place) -> Vec<u8> {
        let place = Place { offset: padded.end() - self.length, length: self.length, ..padded };
        let mark = (self.make)(state, place);
        assert_eq!(mark.len(), self.length as usize, "a mark is as long as it was said to be");
        let mut bytes = vec![0; (padded.length - self.length) as usize];
        bytes.extend(mark);
        bytes
    }
}
