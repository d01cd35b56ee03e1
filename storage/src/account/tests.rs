//! Random histories against a plain map of reference counts, with crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use crate::account::{Account, AccountOptions, AccountState, GivenBack, NODE_LEN, SlotKind};
use crate::error::ErrorKind;
use crate::extent::{Compressor, Extent, HASH_LEN, HEADER_LEN, Origin, Sealed};
use crate::format::{Birth, DatasetId, Decoder, Encoder, InodeNumber, SegmentId, SlotId};
use crate::media::{Choices, Media, Simulator};
use crate::segment::{Place, SegmentOptions, Stream};
use crate::sync::{AtomicBool, Ordering};

const ORIGIN: Origin = Origin { dataset: DatasetId(1), inode: InodeNumber(2), first_block: 3 };

/// References by block; a node counts as one block.
type Counts = BTreeMap<(SlotId, u8), i64>;

fn options() -> AccountOptions {
    let segments = SegmentOptions { segment_len: 1 << 20, reserve_count: 1 };
    let (pending_max, fold_pages, hurry_pages) = (300, 2, 1000);
    AccountOptions { segments, cache_len: 256 << 10, pending_max, fold_pages, hurry_pages, punched_min: 8 << 10 }
}

fn node(id: SlotId) -> [u8; NODE_LEN] {
    let mut bytes = [0xee; NODE_LEN];
    bytes[..8].copy_from_slice(&id.0.to_le_bytes());
    bytes
}

fn identify(bytes: &[u8]) -> Option<SlotId> {
    let id = SlotId(u64::from_le_bytes(bytes[..8].try_into().unwrap()));
    bytes[8..].iter().all(|byte| *byte == 0xee).then_some(id)
}

/// A pool's history: the account under test, the model, and the states that a superblock would name.
struct History {
    disk: Arc<Simulator>,
    account: Account,
    choices: Choices,
    with: Compressor,
    /// As of the last commit, of the one being collected, and what the one after adds.
    committed: Counts,
    collected: Counts,
    ahead: Vec<(SlotId, u8, i64)>,
    durable: Vec<(AccountState, Counts)>,
    birth: u64,
    folded: u64,
    given_back: u64,
    reader: Option<Reader>,
}

/// Somebody who has looked up places, and reads them later.
struct Reader {
    birth: u64,
    places: Vec<(Place, Vec<u8>)>,
}

impl History {
    fn new(seed: u64) -> Self {
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

    fn pick(&mut self, limit: usize) -> usize {
        self.choices.below(limit as u64) as usize
    }

    fn add(&mut self, generation: u64, id: SlotId, index: u8, change: i64) {
        if generation == self.birth + 1 {
            *self.collected.entry((id, index)).or_default() += change;
            self.collected.retain(|_, count| *count > 0);
        } else {
            self.ahead.push((id, index, change));
        }
    }

    fn append(&mut self, generation: u64) {
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

    fn change(&mut self) {
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
    fn clean(&mut self) {
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
                    Sealed::reseal(&extent, found.slot.live, Some(1), &mut self.with).unwrap().bytes
                }
            };
            self.account.relocate(found.id, found.slot.place, &bytes).unwrap();
            assert!(!self.account.relocate(found.id, found.slot.place, &bytes).unwrap());
        }
        self.account.rewrite_pages(&BTreeSet::from([usage.segment])).unwrap();
    }

    /// Gives back what is dead for both durable states, as a process does that is killed or goes on.
    fn punch(&mut self) {
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
    fn read_later(&mut self) {
        if self.reader.take().is_none() {
            let ids: BTreeSet<SlotId> = self.committed.keys().map(|(id, _)| *id).collect();
            let places = ids.into_iter().map(|id| self.account.lookup(id).unwrap().unwrap().place);
            let places = places.map(|place| (place, self.bytes(place))).collect();
            self.reader = Some(Reader { birth: self.birth, places });
        }
    }

    fn bytes(&self, place: Place) -> Vec<u8> {
        let mut bytes = vec![0; place.length as usize];
        self.account.segments().read(place, &mut bytes).unwrap();
        bytes
    }

    fn oldest(&self) -> Birth {
        Birth(self.reader.as_ref().map_or(self.birth, |reader| reader.birth))
    }

    fn commit(&mut self) {
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
    fn crash(&mut self) {
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
    fn check(&mut self) {
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

    fn check_bytes(&mut self, id: SlotId) {
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

    fn check_usage(&self, mut usage: BTreeMap<SegmentId, u32>) {
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

    fn step(&mut self) {
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

#[test]
fn histories_agree_with_the_model() {
    let mut given_back = 0;
    for seed in 0..30 {
        let mut history = History::new(seed);
        (0..300).for_each(|_| history.step());
        given_back += history.given_back;
    }
    assert!(given_back > 300_000, "{given_back} bytes were given back");
}

/// Segments that were written at once and die in part, with steps of all kinds close together.
#[test]
fn what_is_given_back_is_in_neither_durable_state() {
    let mut given_back = 0;
    for seed in 0..40 {
        let mut history = History::new(seed);
        (0..150).for_each(|_| history.append(history.birth + 1));
        history.commit();
        for _ in 0..120 {
            match history.pick(20) {
                0..8 => history.change(),
                8..10 => history.append(history.birth + 1),
                10..14 => {
                    history.account.hurry();
                    history.folded = history.birth + 1;
                    history.commit();
                    history.check();
                }
                14 => history.clean(),
                15..18 => history.punch(),
                18 => history.read_later(),
                _ => history.crash(),
            }
        }
        given_back += history.given_back;
    }
    assert!(given_back > 5 << 20, "{given_back} bytes were given back");
}

/// Nobody may come upon zeros: not who opens the state before, nor who has looked up a place before something was moved.
#[test]
fn what_died_is_given_back_when_both_states_and_all_readers_are_past_it() {
    let mut history = History::new(2);
    let plain: Vec<u8> = (0..32 * 4096).map(|_| history.choices.below(256) as u8).collect();
    let mut append = |account: &Account| {
        let mut sealed = Sealed::seal(&plain, 4096, None, ORIGIN, &mut history.with);
        account.append_extent(Birth(2), false, &mut sealed).unwrap()
    };
    let account = &history.account;
    let ids: Vec<SlotId> = (0..20).map(|_| append(account)).collect();
    let commit = |account: &Account, birth| {
        let state = account.commit(Birth(birth), Birth(0), None).unwrap();
        account.segments().flush().unwrap();
        state
    };
    commit(account, 2);
    let (first, mut bytes) = (account.lookup(ids[1]).unwrap().unwrap().place, Vec::new());
    for id in &ids[1..4] {
        let place = account.lookup(*id).unwrap().unwrap().place;
        account.read_extent(*id, &mut bytes).unwrap();
        assert_eq!(place.segment, first.segment);
        assert!(account.relocate(*id, place, &bytes).unwrap());
    }
    let give_back =
        |account: &Account, durable, oldest| account.give_back(first.segment, Birth(durable), Birth(oldest));
    assert_eq!(give_back(account, 2, 2).unwrap(), GivenBack::NotYet, "the moves are no part of a commit yet");
    commit(account, 3);
    assert_eq!(give_back(account, 3, 3).unwrap(), GivenBack::NotYet, "the state before has it where it was");
    let state = commit(account, 4);
    assert_eq!(give_back(account, 4, 2).unwrap(), GivenBack::NotYet, "a reader may have it where it was");

    // Opened again, nobody knows when it was moved.
    let disk = Arc::new(history.disk.duplicate());
    let opened = Account::open(Arc::clone(&disk) as Arc<dyn Media>, options(), &state).unwrap();
    assert_eq!(give_back(&opened, 4, 4).unwrap(), GivenBack::NotYet);
    commit(&opened, 5);
    let GivenBack::Bytes(given) = give_back(&opened, 5, 5).unwrap() else { panic!("it is time") };
    assert_eq!(given, 3 * (32 << 12), "whole blocks");
    assert_eq!(give_back(account, 4, 3).unwrap(), GivenBack::Bytes(given));
    let used = |disk: &Simulator| disk.space().unwrap().total - disk.space().unwrap().free;
    assert_eq!(used(&disk.crash(&mut |_| 0)), used(&disk), "a crash does not bring it back");
    let state = commit(&opened, 6);
    let again = Account::open(disk as Arc<dyn Media>, options(), &state).unwrap();
    assert_eq!(again.totals().stored, opened.totals().stored + given % (256 << 10), "what is known is rounded down");
    ids.iter().for_each(|id| again.read_extent(*id, &mut bytes).unwrap());
}

/// What a later commit will have lies where no page tells of it yet, though its segment was finished long ago.
#[test]
fn what_waits_for_a_later_commit_is_not_given_back() {
    let mut history = History::new(3);
    let plain: Vec<u8> = (0..32 * 4096).map(|_| history.choices.below(256) as u8).collect();
    let mut append = |birth| {
        let mut sealed = Sealed::seal(&plain, 4096, None, ORIGIN, &mut history.with);
        history.account.append_extent(Birth(birth), false, &mut sealed).unwrap()
    };
    let ids: Vec<SlotId> = (0..20).map(|number| append(if number % 3 == 0 { 2 } else { 9 })).collect();
    let segment = ids[0].segment();
    let mut bytes = Vec::new();
    for birth in 2..12 {
        history.account.commit(Birth(birth), Birth(0), None).unwrap();
        history.account.segments().flush().unwrap();
        let given = history.account.give_back(segment, Birth(birth), Birth(birth)).unwrap();
        assert_eq!(given, if birth < 9 { GivenBack::NotYet } else { GivenBack::Bytes(0) }, "commit {birth}");
        for id in &ids {
            history.account.read_extent(*id, &mut bytes).unwrap();
            assert_eq!(Extent::open(&bytes, *id, &mut history.with).unwrap().damaged(), 0);
        }
    }
}

/// Also where a stretch begins or ends within an extent, and where what died looks like the beginning of another.
#[test]
fn what_lives_between_stretches_that_were_given_back_is_found() {
    let mut history = History::new(1);
    let mut disguise = Vec::new();
    let mut all = Vec::new();
    for number in 0..400_u64 {
        let blocks = 1 + history.pick(4);
        let mut plain: Vec<u8> = (0..blocks * 4096).map(|_| history.choices.below(256) as u8).collect();
        let end = plain.len() - disguise.len();
        plain[end..].copy_from_slice(&disguise);
        let mut sealed = Sealed::seal(&plain, 4096, None, ORIGIN, &mut history.with);
        let id = history.account.append_extent(Birth(2), false, &mut sealed).unwrap();
        if disguise.is_empty() {
            disguise = sealed.bytes[..HEADER_LEN + blocks * HASH_LEN].to_vec();
        }
        all.push((id, blocks as u8, number / 11 % 2 == 0));
    }
    history.account.commit(Birth(2), Birth(0), None).unwrap();
    for (id, blocks, _) in all.iter().filter(|(_, _, dies)| *dies) {
        history.account.free(Birth(3), *id, 0, *blocks).unwrap();
    }
    for birth in 3..6 {
        history.account.hurry();
        history.account.commit(Birth(birth), Birth(birth - 1), None).unwrap();
        history.account.segments().flush().unwrap();
    }
    let segments = history.account.punchable_segments();
    assert!(segments.len() > 2);
    for usage in segments {
        let given = history.account.give_back(usage.segment, Birth(5), Birth(5)).unwrap();
        assert!(matches!(given, GivenBack::Bytes(bytes) if bytes > 200_000), "{given:?}");
        let found = history.account.scan_segment(usage.segment, &identify).unwrap();
        let found: Vec<SlotId> = found.into_iter().map(|found| found.id).collect();
        let lives = all.iter().filter(|(id, _, dies)| id.segment() == usage.segment && !dies).map(|(id, ..)| *id);
        assert_eq!(found, lives.collect::<Vec<_>>());
        let again = history.account.give_back(usage.segment, Birth(5), Birth(5)).unwrap();
        assert_eq!(again, GivenBack::Bytes(0), "it was given back before");
    }
}

/// Whatever operation of a commit the power goes at, the last durable state opens whole.
#[test]
fn a_commit_can_be_cut_anywhere() {
    for seed in 0..3 {
        for operations in 0.. {
            let mut history = History::new(seed);
            while history.birth < 4 {
                match history.pick(10) {
                    0..6 => history.append(history.birth + 1),
                    6..9 => history.change(),
                    _ => history.commit(),
                }
            }
            (0..60).for_each(|_| history.append(history.birth + 1));
            history.account.hurry();
            history.disk.set_fuse(Some(operations));
            let committed =
                history.account.commit(Birth(5), Birth(4), None).and_then(|_| history.account.segments().flush());
            let done = committed.is_ok();
            if !done {
                let again = history.account.commit(Birth(6), Birth(4), None);
                assert_eq!(again.unwrap_err().kind(), ErrorKind::Poisoned);
            }
            history.crash();
            history.append(history.birth + 1);
            history.commit();
            history.check();
            if done {
                break;
            }
        }
    }
}

/// When everything dies, its files go, after one more commit and not before.
#[test]
fn what_died_is_unlinked() {
    let mut history = History::new(9);
    (0..300).for_each(|_| history.append(history.birth + 1));
    history.commit();
    let count = |history: &History| history.disk.list().unwrap().len();
    let full = count(&history);
    for ((id, index), _) in history.collected.clone() {
        history.account.free(Birth(history.birth + 1), id, index, 1).unwrap();
    }
    history.collected.clear();
    for last in [full, full, 5, 5] {
        history.account.hurry();
        history.folded = history.birth + 1;
        let before = history.disk.list().unwrap();
        history.commit();
        assert!(count(&history) <= last + 1, "{before:?} then {:?}", history.disk.list().unwrap());
    }
    history.check();
    assert!(history.committed.is_empty());
}

/// Whoever asks for figures holds no lock that a move of an extent, or a commit, waits for. (Else this hangs.)
#[test]
fn figures_can_be_asked_for_at_any_time() {
    let account = Account::create(Arc::new(Simulator::new()), options()).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asker = || {
            while !is_over.load(Ordering::Relaxed) {
                account.totals();
            }
        };
        scope.spawn(asker);
        scope.spawn(asker);
        for birth in 1..30 {
            let ids: Vec<SlotId> = (0..50).map(|_| account.append_node(Birth(birth), node).unwrap()).collect();
            account.commit(Birth(birth), Birth(0), None).unwrap();
            for id in ids {
                let place = account.lookup(id).unwrap().unwrap().place;
                assert!(account.relocate(id, place, &node(id)).unwrap());
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// A commit that passes another must not refer to what that one brings: after a crash in between it would be missing.
#[test]
fn what_a_later_commit_brings_is_no_hit_for_an_earlier_one() {
    let history = History::new(6);
    let id = history.account.append_node(Birth(9), node).unwrap();
    assert!(!history.account.add_reference(Birth(8), id, 0).unwrap());
    assert!(history.account.add_reference(Birth(9), id, 0).unwrap());
}

/// A hit for the next generation keeps a block that the one before frees.
#[test]
fn a_hit_ahead_of_the_free_keeps_the_block() {
    let mut history = History::new(5);
    history.append(2);
    let (id, index) = *history.collected.keys().next().unwrap();
    history.commit();
    assert!(history.account.add_reference(Birth(4), id, index).unwrap());
    history.account.free(Birth(3), id, index, 1).unwrap();
    history.account.hurry();
    history.account.commit(Birth(3), Birth(3), None).unwrap();
    assert!(history.account.lookup(id).unwrap().is_some());
    history.account.hurry();
    history.account.commit(Birth(4), Birth(4), None).unwrap();
    assert!(history.account.lookup(id).unwrap().is_some_and(|slot| slot.live >> index & 1 == 1));
    history.account.free(Birth(5), id, index, 1).unwrap();
    history.account.commit(Birth(5), Birth(4), None).unwrap();
    assert!(!history.account.add_reference(Birth(6), id, index).unwrap(), "nothing refers to it any more");
    assert!(history.account.lookup(id).unwrap().is_some(), "a reader of commit 4 may still read it");
}

/// All that is pending is folded in a hurry, but no more pages are in memory at a time than is said.
#[test]
fn a_hurry_lasts_until_all_is_folded() {
    let media: Arc<dyn Media> = Arc::new(Simulator::new());
    let account = Account::create(media, AccountOptions { hurry_pages: 3, fold_pages: 1, ..options() }).unwrap();
    let mut commits = 1..;
    let mut commit = || {
        let birth = commits.next().unwrap();
        account.commit(Birth(birth), Birth(birth - 1), None).unwrap();
        account.totals().pending
    };
    let ids: Vec<SlotId> = (0..1500).map(|_| account.append_node(Birth(1), node).unwrap()).collect();
    commit();
    // One of each page, of which the segment of a MiB has one.
    let pages: BTreeMap<SegmentId, SlotId> = ids.iter().map(|id| (id.segment(), *id)).collect();
    assert!(pages.len() >= 6, "{}", pages.len());
    pages.values().for_each(|id| account.free(Birth(2), *id, 0, 1).unwrap());
    let mut left = pages.len() as u64;
    assert_eq!(commit(), left, "a commit does not fold what it frees");
    account.hurry();
    while left > 0 {
        left = left.saturating_sub(3);
        assert_eq!(commit(), left);
    }
}

#[test]
fn ids_of_no_writer_are_corrupt() {
    let history = History::new(1);
    let strange = SlotId::new(SegmentId(1), SlotId::SLOTS_PER_SEGMENT - 1);
    assert_eq!(history.account.lookup(strange).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(history.account.free(Birth(9), strange, 0, 1).unwrap_err().kind(), ErrorKind::Corrupt);
    let absent = SlotId::new(SegmentId((1 << 40) - 1), 0);
    assert_eq!(history.account.lookup(absent).unwrap(), None);
    assert_eq!(history.account.read_node(absent).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(Stream::ALL.len(), 2);
}
