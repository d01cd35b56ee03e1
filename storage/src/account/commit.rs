//! Writes what changed as new pages.
//!
//! Order: slot pages and their radix nodes, then the free log, and last the usage table and the mark: see
//! [`crate::account::ending`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::AccountOptions;
use crate::account::books::Books;
use crate::account::ending::Mark;
use crate::account::ledger::{Gathered, Ledger, dirty_pages};
use crate::account::link::Link;
use crate::account::log::{Chunk, Delta, Entry, encode_chunks, encode_head};
use crate::account::pages::Pages;
use crate::account::radix::{Branches, Root};
use crate::account::slots::{Folded, Slot, SlotPage, page_of, slot_of};
use crate::account::state::AccountState;
use crate::error::Result;
use crate::format::Birth;
use crate::segment::Stream;
use crate::sync::RwLock;

/// The stored log is written anew when it has this many chunks more than it needs.
const CHUNKS_EXTRA_MAX: usize = 64;
/// Deltas that a chunk holds, about.
const CHUNK_DELTAS: usize = 8 << 10;

/// One commit under way.
pub struct Commit<'a> {
    pub pages: &'a Pages,
    pub ledger: &'a RwLock<Ledger>,
    pub options: &'a AccountOptions,
    pub books: &'a mut Books,
    pub birth: Birth,
    pub fold_up_to: Birth,
    pub mark: Option<Mark<'a>>,
}

impl Commit<'_> {
    /// Does it. After an error the books are not to be used again.
    pub fn run(mut self) -> Result<AccountState> {
        self.note_finished();
        let gathered = self.ledger.read().gather(self.birth);
        let dirty = dirty_pages(&gathered);
        let folds = self.choose_folds(&dirty);
        let mut pages = self.load(dirty.iter().chain(&folds).copied())?;
        self.merge(&gathered, &mut pages)?;
        let folded = self.fold(&folds, &mut pages)?;
        let slots = self.write_slots(pages)?;
        self.write_log(&folded)?;
        let state = self.write_ending(slots)?;
        self.books.usage_root = state.usage;
        self.publish(&state, &gathered, &folded);
        Ok(state)
    }

    fn note_finished(&mut self) {
        for finished in self.pages.segments.take_finished() {
            let stream = self.pages.segments.stream_of(finished.segment).unwrap_or(Stream::Data);
            self.books.usage.finish(stream, finished, self.birth);
        }
    }

    fn choose_folds(&mut self, dirty: &BTreeSet<u64>) -> BTreeSet<u64> {
        let AccountOptions { fold_pages, hurry_pages, pending_max, .. } = *self.options;
        let ledger = self.ledger.read();
        if !self.books.hurry {
            return ledger.choose_folds(self.fold_up_to, dirty, fold_pages, pending_max).0;
        }
        let (folds, more) = ledger.choose_folds(self.fold_up_to, dirty, hurry_pages, usize::MAX);
        self.books.hurry = more;
        folds
    }

    /// The pages as the last commit left them, and those to be written anew anyway.
    fn load(&mut self, numbers: impl Iterator<Item = u64>) -> Result<BTreeMap<u64, SlotPage>> {
        let rewrite = std::mem::take(&mut self.books.rewrite);
        let root = self.ledger.read().slots;
        let mut pages = BTreeMap::new();
        for number in numbers.chain(rewrite) {
            let page = match root.find(self.pages, number)? {
                Some(link) => SlotPage::clone(&*self.pages.slot_page(&link, number)?),
                None => SlotPage::new(number),
            };
            pages.insert(number, page);
        }
        Ok(pages)
    }

    /// Puts new slots in, and new places of old ones.
    fn merge(&mut self, gathered: &Gathered, pages: &mut BTreeMap<u64, SlotPage>) -> Result<()> {
        let usage = &mut self.books.usage;
        for (id, fresh) in &gathered.fresh {
            let page = pages.get_mut(&page_of(*id)?).expect("dirty pages were loaded");
            page.set(slot_of(*id), fresh.slot);
            usage.add(fresh.slot.kind.stream(), fresh.slot.place, self.birth);
        }
        for (id, place) in &gathered.moves {
            let page = pages.get_mut(&page_of(*id)?).expect("dirty pages were loaded");
            // It may have died while it was being moved.
            let Some(slot) = page.get(slot_of(*id)).copied() else { continue };
            usage.subtract(slot.place, self.birth)?;
            usage.add(slot.kind.stream(), *place, Birth(0));
            page.set(slot_of(*id), Slot { place: *place, ..slot });
        }
        Ok(())
    }

    /// Applies deltas; returns which pages are folded, and up to where.
    fn fold(&mut self, folds: &BTreeSet<u64>, pages: &mut BTreeMap<u64, SlotPage>) -> Result<BTreeMap<u64, Birth>> {
        let mut folded = BTreeMap::new();
        for number in folds {
            let deltas: Vec<Delta> = self.ledger.read().pending.of(*number).to_vec();
            let page = pages.get_mut(number).expect("pages to fold were loaded");
            if let Folded::Done(dead) = page.fold(&deltas, self.fold_up_to)? {
                dead.iter().try_for_each(|slot| self.books.usage.subtract(slot.place, self.birth))?;
                folded.insert(*number, self.fold_up_to);
            }
        }
        Ok(folded)
    }

    fn write_slots(&mut self, pages: BTreeMap<u64, SlotPage>) -> Result<Root> {
        let old = self.ledger.read().slots;
        let store = self.pages;
        let mut branches = Branches::new(store, old);
        for (number, page) in pages {
            for (_, replaced) in branches.ensure(number)? {
                self.drop_page(replaced)?;
            }
            self.drop_page(branches.link((0, number)))?;
            let link = match page.is_empty() {
                true => None,
                false => {
                    let link = self.write_page(&page.encode())?;
                    store.keep_slot_page(&link, &Arc::new(page));
                    Some(link)
                }
            };
            branches.set((0, number), link);
        }
        branches.finish(|key, node| {
            if node.children.is_empty() {
                return Ok(None);
            }
            let link = self.write_page(&node.encode(key))?;
            store.keep_node(&link, node);
            Ok(Some(link))
        })
    }

    fn write_log(&mut self, folded: &BTreeMap<u64, Birth>) -> Result<()> {
        let ledger = self.ledger.read();
        let mut entries: Vec<Entry> =
            folded.iter().map(|(page, up_to)| Entry::Fold { page: *page, up_to: *up_to }).collect();
        entries.extend(ledger.new_deltas(self.birth, folded));
        let needed = ledger.pending.count() / CHUNK_DELTAS;
        let stored: usize = self.books.log.chunks.iter().map(|chunk| chunk.entries as usize).sum();
        let renew = std::mem::take(&mut self.books.rewrite_log)
            || self.books.log.chunks.len() > CHUNKS_EXTRA_MAX + 2 * needed
            || stored + entries.len() > 4 * ledger.pending.count() + CHUNK_DELTAS;
        if renew {
            entries = ledger.all_deltas(self.birth, folded);
        }
        drop(ledger);
        if entries.is_empty() && !renew {
            return Ok(());
        }
        if renew {
            for chunk in std::mem::take(&mut self.books.log.chunks) {
                self.drop_page(Some(chunk.link))?;
            }
        }
        for (bytes, entries) in encode_chunks(entries.into_iter(), self.birth) {
            let link = self.write_page(&bytes)?;
            self.books.log.chunks.push(Chunk { link, entries });
        }
        self.drop_page(self.books.log.head)?;
        let head = encode_head(&self.books.log.chunks);
        self.books.log.head = match self.books.log.chunks.is_empty() {
            true => None,
            false => Some(self.write_page(&head)?),
        };
        Ok(())
    }

    fn publish(&mut self, state: &AccountState, gathered: &Gathered, folded: &BTreeMap<u64, Birth>) {
        let mut ledger = self.ledger.write();
        ledger.publish(self.birth, state.slots, gathered, folded);
        // Open segments were named first: one that has been finished since counts as open until the next commit.
        let open = |segment| state.segments.open.iter().any(|open| open.segment == segment);
        let emptied = self.books.usage.take_emptied(|segment| open(segment) || ledger.pins(segment));
        self.books.retired.extend(emptied.into_iter().map(|segment| (self.birth, segment)));
    }

    fn write_page(&mut self, bytes: &[u8]) -> Result<Link> {
        let place = self.pages.segments.append(Stream::Node, true, bytes)?;
        self.books.usage.add(Stream::Node, place, self.birth);
        Ok(Link::to(place, bytes))
    }

    fn drop_page(&mut self, link: Option<Link>) -> Result<()> {
        drop_page(self.books, link, self.birth)
    }
}

/// Counts a page that commit `birth` replaces as dead.
pub fn drop_page(books: &mut Books, link: Option<Link>, birth: Birth) -> Result<()> {
    link.map_or(Ok(()), |link| books.usage.subtract(link.place, birth))
}
