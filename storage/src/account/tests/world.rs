//! An account on a simulated disk, beside a plain map of reference counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{Account, AccountOptions, AccountState, GivenBack, NODE_LEN, SlotKind};
use crate::extent::{Compressor, Extent, Origin, Sealed};
use crate::format::{Birth, DatasetId, Decoder, Encoder, InodeNumber, SegmentId, SlotId};
use crate::media::{Choices, Media, Simulator};
use crate::segment::{Place, SegmentOptions};

pub const ORIGIN: Origin = Origin { dataset: DatasetId(1), inode: InodeNumber(2), first_block: 3 };

/// References by block; a node counts as one block.
pub type Counts = BTreeMap<(SlotId, u8), i64>;

pub fn options() -> AccountOptions {
    let segments = SegmentOptions { segment_len: 1 << 20, reserve_count: 1 };
    let (pending_max, fold_pages, hurry_pages) = (300, 2, 1000);
    AccountOptions { segments, cache_len: 256 << 10, pending_max, fold_pages, hurry_pages, punched_min: 8 << 10 }
}

pub fn node(id: SlotId) -> [u8; NODE_LEN] {
    let mut bytes = [0xee; NODE_LEN];
    bytes[..8].copy_from_slice(&id.0.to_le_bytes());
    bytes
}

pub fn identify(bytes: &[u8]) -> Option<SlotId> {
    let id = SlotId(u64::from_le_bytes(bytes[..8].try_into().unwrap()));
    bytes[8..].iter().all(|byte| *byte == 0xee).then_some(id)
}

/// A pool's history: the account under test, the model, and the states that a superblock would name.
pub struct History {
    pub disk: Arc<Simulator>,
    pub account: Account,
    pub choices: Choices,
    pub with: Compressor,
    /// As of the last commit, of the one being collected, and what the one after adds.
    pub committed: Counts,
    pub collected: Counts,
    pub ahead: Vec<(SlotId, u8, i64)>,
    pub durable: Vec<(AccountState, Counts)>,
    pub birth: u64,
    pub folded: u64,
    pub given_back: u64,
    pub reader: Option<Reader>,
}

/// Somebody who has looked up places, and reads them later.
pub struct Reader {
    pub birth: u64,
    pub places: Vec<(Place, Vec<u8>)>,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let disk = Arc::new(Simulator::new());
        let account = Account::create(Arc::clone(&disk) as Arc<dyn Media>, options()).unwrap();
        let mut new = Self {
            disk,
            account,
            choices: Choices::new(seed),
            with: Compressor::new().unwrap(),
            committed: Counts::new(),
            collected: Counts::new(),
            ahead: Vec::new(),
            durable: Vec::new(),
            birth: 0,
            folded: 0,
            given_back: 0,
            reader: None,
        };
        new.commit();
        new
    }

    pub fn pick(&mut self, limit: usize) -> usize {
        self.choices.below(limit as u64) as usize
    }

    pub fn add(&mut self, generation: u64, id: SlotId, index: u8, change: i64) {
        if generation == self.birth + 1 {
            *self.collected.entry((id, index)).or_default() += change;
            self.collected.retain(|_, count| *count > 0);
        } else {
            self.ahead.push((id, index, change));
        }
    }

    pub fn append(&mut self, generation: u64) {
        let (id, count) = match self.pick(3) {
            0 => (self.account.append_node(Birth(generation), node).unwrap(), 1),
            _ => {
                let count = 1 + self.pick(6);
                let seed = self.choices.below(256) as u8;
                let plain: Vec<u8> = (0..count * 4096).map(|at| (at / 4096) as u8 ^ seed).collect();
                let mut sealed = Sealed::seal(&plain, 4096, [None, Some(1)][self.pick(2)], ORIGIN, &mut self.with);
                (self.account.append_extent(Birth(generation), false, &mut sealed).unwrap(), count as u8)
            }
        };
        (0..count).for_each(|index| self.add(generation, id, index, 1));
    }

    pub fn change(&mut self) {
        if self.collected.is_empty() {
            return;
        }
        let at = self.pick(self.collected.len());
        let (id, index) = *self.collected.keys().nth(at).unwrap();
        let (now, next) = (self.birth + 1, self.birth + 2);
        match self.pick(5) {
            0 => {
                // A hit of the generation ahead may find a block that the one before it frees in the end.
                let generation = [now, next][self.pick(2)];
                if self.account.add_reference(Birth(generation), id, index).unwrap() {
                    self.add(generation, id, index, 1);
                } else {
                    panic!("a block with references takes more");
                }
            }
            1 => {
                let all: Vec<u8> = self.collected.range((id, 0)..=(id, 31)).map(|((_, index), _)| *index).collect();
                for index in all {
                    self.account.free(Birth(now), id, index, 1).unwrap();
                    self.add(now, id, index, -1);
                }
            }
            _ => {
                self.account.free(Birth(now), id, index, 1).unwrap();
                self.add(now, id, index, -1);
            }
        }
    }

    /// Moves the live content of a segment elsewhere, as cleaning does.
    pub fn clean(&mut self) {
        let sparse = self.account.sparse_segments(100);
        if sparse.is_empty() {
            return;
        }
        let usage = sparse[self.pick(sparse.len())];
        let is_partial = self.pick(2) == 0;
        for found in self.account.scan_segment(usage.segment, &identify).unwrap() {
            if is_partial && self.pick(3) == 0 {
                continue;
            }
            let bytes = match found.slot.kind {
                SlotKind::Node => self.account.read_node(found.id).unwrap().to_vec(),
                SlotKind::Extent => {
                    let mut bytes = Vec::new();
                    self.account.read_extent(found.id, &mut bytes).unwrap();
                    let extent = Extent::open(&bytes, found.id, &mut self.with).unwrap();
                    assert_eq!(found.origin, Some(ORIGIN));
                    Sealed::reseal(&extent, found.slot.live, Some(1), &mut self.with).unwrap().to_bytes()
                }
            };
            self.account.relocate(found.id, found.slot.place, &bytes).unwrap();
            assert!(!self.account.relocate(found.id, found.slot.place, &bytes).unwrap());
        }
        self.account.rewrite_pages(&BTreeSet::from([usage.segment])).unwrap();
    }

    /// Gives back what is dead for both durable states, as a process does that is killed or goes on.
    pub fn punch(&mut self) {
        for usage in self.account.punchable_segments() {
            let before = (self.account.totals().stored, self.disk.space().unwrap().free);
            let given = self.account.give_back(usage.segment, Birth(self.birth), self.oldest()).unwrap();
            let GivenBack::Bytes(bytes) = given else { continue };
            self.given_back += bytes;
            assert_eq!(self.account.totals().stored, before.0 - bytes);
            assert!(self.disk.space().unwrap().free >= before.1, "punching frees");
            assert!(self.disk.space().unwrap().free <= before.1 + bytes + (256 << 10), "what is known is rounded down");
        }
    }

    /// A reader comes, or the one there is goes.
    pub fn read_later(&mut self) {
        if self.reader.take().is_none() {
            let ids: BTreeSet<SlotId> = self.committed.keys().map(|(id, _)| *id).collect();
            let places = ids.into_iter().map(|id| self.account.lookup(id).unwrap().unwrap().place);
            let places = places.map(|place| (place, self.bytes(place))).collect();
            self.reader = Some(Reader { birth: self.birth, places });
        }
    }

    pub fn bytes(&self, place: Place) -> Vec<u8> {
        let mut bytes = vec![0; place.length as usize];
        self.account.segments().read(place, &mut bytes).unwrap();
        bytes
    }

    pub fn oldest(&self) -> Birth {
        Birth(self.reader.as_ref().map_or(self.birth, |reader| reader.birth))
    }

    pub fn commit(&mut self) {
        if self.choices.below(4) == 0 {
            self.account.hurry();
        }
        self.folded += self.choices.below(self.birth + 2 - self.folded);
        self.folded = self.folded.min(self.reader.as_ref().map_or(u64::MAX, |reader| reader.birth));
        let state = self.account.commit(Birth(self.birth + 1), Birth(self.folded), None).unwrap();
        self.account.segments().flush().unwrap();
        self.birth += 1;
        self.committed = self.collected.clone();
        for (id, index, change) in std::mem::take(&mut self.ahead) {
            *self.collected.entry((id, index)).or_default() += change;
        }
        let mut encoded = Encoder::default();
        state.encode(&mut encoded);
        assert!(encoded.bytes.len() <= AccountState::ENCODED_LEN_MAX);
        assert_eq!(AccountState::decode(&mut Decoder::new(&encoded.bytes)).unwrap(), state);
        self.durable.push((state, self.committed.clone()));
        if self.durable.len() > 2 {
            self.durable.remove(0);
        }
        self.account.reclaim(Birth(self.birth), self.oldest()).unwrap();
    }

    /// The power goes; the pool comes back with the newest state, or the one before.
    pub fn crash(&mut self) {
        let choices = &mut self.choices;
        self.disk = Arc::new(self.disk.crash(&mut |limit| choices.below(limit)));
        if self.durable.len() > 1 && self.choices.below(3) == 0 {
            self.durable.pop();
        }
        let (state, counts) = self.durable.last().unwrap().clone();
        self.account = Account::open(Arc::clone(&self.disk) as Arc<dyn Media>, options(), &state).unwrap();
        self.birth = state.birth().0;
        self.folded = self.folded.min(self.birth);
        self.reader = None;
        self.ahead.clear();
        (self.collected, self.committed) = (counts.clone(), counts);
        self.check();
    }

    /// Counts, bytes and usage are those of the model. Only right after a commit.
    pub fn check(&mut self) {
        let mut counts = Counts::new();
        let mut usage: BTreeMap<SegmentId, u32> = BTreeMap::new();
        self.account
            .for_each_slot(&mut |found| {
                *usage.entry(found.slot.place.segment).or_default() += found.slot.place.length;
                for index in (0..32).filter(|index| found.slot.live >> index & 1 == 1) {
                    counts.insert((found.id, index), 1);
                }
                for (index, extra) in &found.extras {
                    *counts.get_mut(&(found.id, *index)).unwrap() += i64::from(*extra);
                }
            })
            .unwrap();
        for ((id, index), count) in &mut counts {
            *count += self.account.pending_delta(*id, *index).unwrap();
        }
        counts.retain(|_, count| *count != 0);
        assert_eq!(counts, self.committed);
        let live: BTreeSet<SlotId> = self.committed.keys().map(|(id, _)| *id).collect();
        live.into_iter().for_each(|id| self.check_bytes(id));
        let places = self.reader.iter().flat_map(|reader| &reader.places);
        places.for_each(|(place, bytes)| assert_eq!(self.bytes(*place), *bytes, "what a reader looked up"));
        self.check_usage(usage);
    }

    pub fn check_bytes(&mut self, id: SlotId) {
        let slot = self.account.lookup(id).unwrap().unwrap();
        if slot.kind == SlotKind::Node {
            assert_eq!(self.account.read_node(id).unwrap(), node(id));
            return;
        }
        let mut bytes = Vec::new();
        self.account.read_extent(id, &mut bytes).unwrap();
        let extent = Extent::open(&bytes, id, &mut self.with).unwrap();
        assert_eq!(extent.damaged(), 0);
        assert_eq!(slot.live & !extent.header().present, 0, "live blocks are present");
    }

    pub fn check_usage(&self, mut usage: BTreeMap<SegmentId, u32>) {
        let pages = &self.account.pages;
        let books = self.account.books.lock();
        let mut add = |_, link: &crate::account::link::Link| {
            *usage.entry(link.place.segment).or_default() += link.place.length;
            Ok(())
        };
        self.account.ledger.read().slots.walk(pages, &mut add).unwrap();
        books.usage_root.walk(pages, &mut add).unwrap();
        let log = books.log.head.iter().chain(books.log.chunks.iter().map(|chunk| &chunk.link));
        log.for_each(|link| add((0, 0), link).unwrap());
        for segment in self.account.segments().present().keys() {
            let counted = books.usage.get(*segment).map_or(0, |record| record.live);
            assert_eq!(counted, usage.remove(segment).unwrap_or(0), "live bytes of segment {segment:?}");
        }
        assert!(usage.is_empty(), "something lies in segments that are gone: {usage:?}");
        let records = self.account.segments().present().into_keys().filter_map(|segment| books.usage.get(segment));
        let punched = records.map(|record| u64::from(record.punched)).sum();
        assert_eq!(books.figures(), (self.account.totals().live, punched));
    }

    pub fn step(&mut self) {
        let (now, next) = (self.birth + 1, self.birth + 2);
        match self.pick(100) {
            0..40 => self.append(now),
            40..50 => self.append(next),
            50..88 => self.change(),
            88..95 => {
                self.commit();
                self.check();
            }
            95..97 => self.clean(),
            97 => [Self::punch, Self::read_later][self.pick(2)](self),
            _ => self.crash(),
        }
    }
}
