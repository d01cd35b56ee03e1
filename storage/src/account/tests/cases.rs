//! What is given back, and when; commits that are cut; hits, figures and hurries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use crate::account::tests::world::*;
use crate::account::{Account, AccountOptions, GivenBack};
use crate::error::ErrorKind;
use crate::extent::{Extent, HASH_LEN, HEADER_LEN, Sealed};
use crate::format::{Birth, SegmentId, SlotId};
use crate::media::{Media, Simulator};
use crate::segment::Stream;
use crate::sync::{AtomicBool, Ordering};

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
            disguise = sealed.to_bytes()[..HEADER_LEN + blocks * HASH_LEN].to_vec();
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
