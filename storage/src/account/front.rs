//! The account's front: record, look up, change counts, commit, give space back.

use std::sync::Arc;

use crate::account::books::Books;
use crate::account::commit::Commit;
use crate::account::ending::Mark;
use crate::account::ledger::Ledger;
use crate::account::log::Delta;
use crate::account::open;
use crate::account::pages::Pages;
use crate::account::slots::{Slot, SlotKind, page_of, slot_of};
use crate::account::state::AccountState;
use crate::error::{Error, ErrorKind, Result};
use crate::extent::Sealed;
use crate::format::{Birth, SegmentId, SlotId};
use crate::media::Media;
use crate::segment::{Place, SegmentOptions, Segments, Stream};
use crate::sync::{AtomicBool, Mutex, Ordering, RwLock};

/// Bytes of a node.
pub const NODE_LEN: usize = 4096;

/// How an account works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountOptions {
    /// How segments are made.
    pub segments: SegmentOptions,
    /// Bytes of slot pages kept in memory.
    pub cache_len: u64,
    /// Deltas that may stay in the free log; memory is 16 bytes each.
    pub pending_max: usize,
    /// Pages that each commit folds at least, if so many have deltas.
    pub fold_pages: usize,
    /// Pages that a commit folds at most in a [hurry](Account::hurry): they are in memory together.
    pub hurry_pages: usize,
    /// Bytes of the shortest dead stretch that is worth giving back where it lies.
    pub punched_min: u32,
}

impl AccountOptions {
    /// The usual figures: a million pending deltas, 32 pages folded a commit and 4,096 in a hurry, stretches of 256 KiB given back.
    pub fn new(segments: SegmentOptions, cache_len: u64) -> Self {
        let (pending_max, fold_pages, hurry_pages) = (1_000_000, 32, 4096);
        Self { segments, cache_len, pending_max, fold_pages, hurry_pages, punched_min: 256 << 10 }
    }
}

/// Slots, counts and usage of a pool. Shared by readers, by writers that append, and one committer.
///
/// A *generation* is the commit that something is to belong to; it is later than the last commit, and what
/// belongs to a later one than the commit in progress is not part of that.
pub struct Account {
    pub(in crate::account) pages: Pages,
    pub(in crate::account) ledger: RwLock<Ledger>,
    pub(in crate::account) books: Mutex<Books>,
    pub(in crate::account) options: AccountOptions,
    /// Live bytes, and bytes given back, for who does not want to wait for a commit.
    pub(in crate::account) figures: Mutex<(u64, u64)>,
    poisoned: AtomicBool,
}

impl Account {
    /// The account of a new pool.
    pub fn create(media: Arc<dyn Media>, options: AccountOptions) -> Result<Self> {
        let segments = Segments::open(media, options.segments, None)?;
        let pages = Pages::new(segments, options.cache_len);
        Ok(Self::with(pages, options, Ledger::default(), Books::default()))
    }

    /// Opens the account as `state` describes it; changes nothing. Files that it does not know are unlinked by
    /// [`Account::reclaim`] after two more commits.
    pub fn open(media: Arc<dyn Media>, options: AccountOptions, state: &AccountState) -> Result<Self> {
        let segments = Segments::open(media, options.segments, Some(&state.segments))?;
        let pages = Pages::new(segments, options.cache_len);
        let (ledger, books) = open::read(&pages, state)?;
        Ok(Self::with(pages, options, ledger, books))
    }

    /// Cuts off what was appended after `state`, from which the account was opened: before anything else is changed.
    pub fn cut_tails(&self, state: &AccountState) -> Result<()> {
        self.segments().cut_tails(&state.segments)
    }

    fn with(pages: Pages, options: AccountOptions, ledger: Ledger, books: Books) -> Self {
        let figures = Mutex::new(books.figures());
        let (ledger, books) = (RwLock::new(ledger), Mutex::new(books));
        Self { pages, ledger, books, options, figures, poisoned: AtomicBool::new(false) }
    }

    /// The segments: to flush after a commit, and to prepare spares.
    pub fn segments(&self) -> &Segments {
        &self.pages.segments
    }

    /// Appends an extent for `generation` and gives it an id. All its blocks live, with one reference each.
    pub fn append_extent(&self, generation: Birth, privileged: bool, sealed: &mut Sealed) -> Result<SlotId> {
        let live = u32::MAX >> (32 - sealed.hashes.len());
        let length = sealed.stored_len();
        self.append(generation, privileged, SlotKind::Extent, live, length, |id, out| {
            sealed.stamp(id);
            sealed.put(out);
        })
    }

    /// Appends a node for `generation`; `encode` makes its bytes, which hold its id. It has one reference, as
    /// if it were a single block.
    pub fn append_node(&self, generation: Birth, encode: impl FnOnce(SlotId) -> [u8; NODE_LEN]) -> Result<SlotId> {
        self.append(generation, true, SlotKind::Node, 1, NODE_LEN, |id, out| out.copy_from_slice(&encode(id)))
    }

    fn append(
        &self,
        generation: Birth,
        privileged: bool,
        kind: SlotKind,
        live: u32,
        length: usize,
        fill: impl FnOnce(SlotId, &mut [u8]),
    ) -> Result<SlotId> {
        self.check()?;
        // Recorded while the stream is locked, so that no commit sees the segment finished and empty.
        let record = |id, place, out: &mut [u8]| {
            fill(id, out);
            self.ledger.write().record(id, generation, Slot { place, live, kind });
        };
        let (id, _) = self.segments().append_numbered(kind.stream(), privileged, length, record)?;
        Ok(id)
    }

    /// What is known of an id, unless all its blocks died and were folded away.
    pub fn lookup(&self, id: SlotId) -> Result<Option<Slot>> {
        let number = page_of(id)?;
        let (root, moved) = {
            let ledger = self.ledger.read();
            if let Some(fresh) = ledger.fresh(id) {
                return Ok(Some(fresh.slot));
            }
            (ledger.slots, ledger.moved(id))
        };
        let Some(link) = root.find(&self.pages, number)? else { return Ok(None) };
        let page = self.pages.slot_page(&link, number)?;
        Ok(page.get(slot_of(id)).map(|slot| Slot { place: moved.unwrap_or(slot.place), ..*slot }))
    }

    /// Reads an extent's stored bytes into `into`, replacing what it holds.
    pub fn read_extent(&self, id: SlotId, into: &mut Vec<u8>) -> Result<()> {
        self.read(id, SlotKind::Extent, |place| {
            into.resize(place.length as usize, 0);
            self.segments().read(place, into)
        })
    }

    /// Reads a node's stored bytes.
    pub fn read_node(&self, id: SlotId) -> Result<[u8; NODE_LEN]> {
        let mut node = [0; NODE_LEN];
        self.read(id, SlotKind::Node, |place| match place.length as usize {
            NODE_LEN => self.segments().read(place, &mut node),
            _ => Err(Error::new(ErrorKind::Corrupt, format!("read the node {id:?}, which has {} bytes", place.length))),
        })?;
        Ok(node)
    }

    fn read(&self, id: SlotId, kind: SlotKind, mut read: impl FnMut(Place) -> Result<()>) -> Result<()> {
        let find = || match self.lookup(id)? {
            Some(slot) if slot.kind == kind => Ok(slot.place),
            _ => Err(Error::new(ErrorKind::Corrupt, format!("find the slot {id:?}, which is referred to"))),
        };
        let place = find()?;
        match read(place) {
            Ok(()) => Ok(()),
            // It may have been moved, and its old segment unlinked, since it was looked up.
            Err(error) => match find()? {
                now if now != place => read(now),
                _ => Err(error.during(format!("read the slot {id:?}"))),
            },
        }
    }

    /// Takes a reference off each of `count` blocks from `first` on, as part of `generation`.
    pub fn free(&self, generation: Birth, id: SlotId, first: u8, count: u8) -> Result<()> {
        assert!(count > 0 && u32::from(first) + u32::from(count) <= 32, "blocks {first} and {count} more of {id:?}");
        let delta = Delta { birth: generation, change: -1, slot: slot_of(id), first, count };
        self.ledger.write().change(page_of(id)?, delta);
        Ok(())
    }

    /// Adds a reference to a block, as part of `generation`: a deduplication hit. Returns false, and changes
    /// nothing, if nothing refers to the block any more.
    pub fn add_reference(&self, generation: Birth, id: SlotId, index: u8) -> Result<bool> {
        let (number, slot) = (page_of(id)?, slot_of(id));
        if index >= 32 {
            return Err(Error::new(ErrorKind::Corrupt, format!("refer to block {index} of {id:?}")));
        }
        loop {
            let root = self.ledger.read().slots;
            let page = match root.find(&self.pages, number)? {
                Some(link) => Some(self.pages.slot_page(&link, number)?),
                None => None,
            };
            let mut ledger = self.ledger.write();
            if ledger.slots != root {
                continue;
            }
            let stored = match (ledger.fresh(id), &page) {
                // What a later commit brings is not there yet, for this one.
                (Some(fresh), _) if fresh.birth > generation => 0,
                (Some(fresh), _) => u64::from(fresh.slot.live >> index & 1),
                (None, Some(page)) => page.count(slot, index),
                (None, None) => 0,
            };
            let live = stored as i64 + ledger.pending_of(number, slot, index, Birth(u64::MAX)) > 0;
            if live {
                let delta = Delta { birth: generation, change: 1, slot, first: index, count: 1 };
                ledger.change(number, delta);
            }
            return Ok(live);
        }
    }

    /// Appends `bytes` as the new version of an id that lies at `expected`; what reads it finds the new one
    /// from now on. Returns false if it is not there, or was not committed yet.
    pub fn relocate(&self, id: SlotId, expected: Place, bytes: &[u8]) -> Result<bool> {
        self.check()?;
        let known = self.lookup(id)?.filter(|slot| slot.place == expected);
        let Some(slot) = known.filter(|_| self.ledger.read().fresh(id).is_none()) else { return Ok(false) };
        self.segments().append_with(slot.kind.stream(), true, bytes.len(), |place, out| {
            out.copy_from_slice(bytes);
            self.ledger.write().record_move(id, place);
        })?;
        Ok(true)
    }

    /// Writes everything of generations up to `birth`, and after it `mark`; and folds deltas of commits up to
    /// `fold_up_to`, behind which no reader may look. The state that it returns holds once [`Segments::flush`] and then the
    /// superblock are done. After an error the account only answers reads.
    pub fn commit(&self, birth: Birth, fold_up_to: Birth, mark: Option<Mark<'_>>) -> Result<AccountState> {
        let mut books = self.books.lock();
        self.check()?;
        let (pages, ledger, options) = (&self.pages, &self.ledger, &self.options);
        assert!(birth > ledger.read().birth, "commits are numbered upwards");
        let fold_up_to = fold_up_to.min(birth);
        let commit = Commit { pages, ledger, options, books: &mut books, birth, fold_up_to, mark };
        let state = commit.run();
        *self.figures.lock() = books.figures();
        state.map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            error.during("write slots, counts and usage")
        })
    }

    /// Unlinks segments that were found empty at least one commit before `durable`, the last commit whose
    /// superblock is durable, and not after the root of `oldest_reader`. Returns how many.
    pub fn reclaim(&self, durable: Birth, oldest_reader: Birth) -> Result<u64> {
        let mut books = self.books.lock();
        let due = |(birth, _): &(Birth, SegmentId)| *birth < durable && *birth <= oldest_reader;
        let (gone, waiting): (Vec<_>, _) = books.retired.iter().copied().partition(due);
        let segments: Vec<_> = gone.into_iter().map(|(_, segment)| segment).collect();
        self.segments().retire(&segments)?;
        books.retired = waiting;
        Ok(segments.len() as u64)
    }

    /// Has the cached pages take a `part`th of their budget at most, for now, and gives buffers back that nobody uses.
    pub fn shrink(&self, part: u64) {
        self.pages.shrink(part);
    }

    /// Has the next commits fold everything that they may, as many pages at a time as memory is for: when space is short.
    pub fn hurry(&self) {
        self.books.lock().hurry = true;
    }

    pub(in crate::account) fn check(&self) -> Result<()> {
        match self.poisoned.load(Ordering::Acquire) {
            true => Err(ErrorKind::Poisoned.into()),
            false => Ok(()),
        }
    }
}

impl SlotKind {
    /// The stream that such things are appended to.
    pub fn stream(self) -> Stream {
        match self {
            Self::Extent => Stream::Data,
            Self::Node => Stream::Node,
        }
    }
}
