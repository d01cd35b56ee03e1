use super::*;
use crate::format::example::{documented, render};
use crate::format::{Checksum, SegmentId};
use crate::media::{Choices, Simulator};

fn superblock(commit: u64) -> Superblock {
    Superblock { pool: PoolId(*b"0123456789abcdef"), commit, payload: vec![commit as u8; 1 + commit as usize * 100] }
}

#[test]
fn a_cut_or_torn_publish_leaves_the_old_or_the_new_one() {
    let media = Simulator::new();
    let file = Superblock::create(&media, &superblock(6)).unwrap();
    superblock(7).publish(&*file).unwrap();
    for commit in [8, 9] {
        let (old, new) = (superblock(commit - 1), superblock(commit));
        for operations in 0.. {
            let media = media.duplicate().with_fuse(operations);
            let promised = new.publish(&*Superblock::open(&media).unwrap());
            for torn_at in 0..=SLOT_LEN {
                let found = Superblock::current(&media.tear(|_| torn_at)).unwrap();
                assert!(found == new || (found == old && promised.is_err()), "{operations} {torn_at}");
            }
            if promised.is_ok() {
                assert_eq!(operations, 2);
                break;
            }
        }
        new.publish(&*file).unwrap();
    }
}

#[test]
fn a_cut_create_leaves_no_file_or_a_whole_one() {
    for operations in 0.. {
        let media = Simulator::new().with_fuse(operations);
        let promised = Superblock::create(&media, &superblock(1));
        for seed in 0..20 {
            let mut choices = Choices::new(seed);
            let after = media.crash(&mut |limit| choices.below(limit));
            match Superblock::current(&after) {
                Ok(found) => assert_eq!(found, superblock(1)),
                Err(error) => {
                    assert!(promised.is_err() && error.kind() == ErrorKind::NotFound, "{error:?}");
                    Superblock::create(&after, &superblock(1)).unwrap();
                }
            }
        }
        if promised.is_ok() {
            return;
        }
    }
}

#[test]
fn what_a_killed_process_or_a_failed_flush_left_is_durable_once_it_was_read() {
    for flush_fails in [false, true] {
        let media = Simulator::new();
        Superblock::create(&media, &superblock(1)).unwrap();
        match flush_fails {
            true => media.fail_flush(0),
            false => media.set_fuse(Some(1)),
        }
        superblock(2).publish(&*Superblock::open(&media).unwrap()).unwrap_err();
        let reopened = media.duplicate();
        assert_eq!(Superblock::current(&reopened).unwrap().commit, 2);
        let reopened = reopened.with_fuse(1);
        superblock(3).publish(&*Superblock::open(&reopened).unwrap()).unwrap_err();
        assert_eq!(Superblock::current(&reopened.tear(|_| 100)).unwrap().commit, 2);
    }
}

#[test]
fn every_flipped_bit_is_damage_and_two_damaged_slots_are_corruption() {
    let media = Simulator::new();
    let file = Superblock::create(&media, &superblock(1)).unwrap();
    superblock(2).publish(&*file).unwrap();
    for offset in 0..SLOT_LEN as u64 {
        let media = media.duplicate();
        media.corrupt(SUPERBLOCK_NAME, offset, 1 << (offset % 8)).unwrap();
        assert_eq!(Superblock::current(&media).unwrap().commit, 1, "{offset}");
        media.corrupt(SUPERBLOCK_NAME, SLOT_DISTANCE + offset, 0x10).unwrap();
        assert_eq!(Superblock::current(&media).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    superblock(4).publish(&*file).unwrap();
    file.write_at(&superblock(4).encode(), SLOT_DISTANCE).unwrap();
    assert_eq!(Superblock::both(&media).unwrap(), [Some(superblock(4)), None], "one in the other's place");
    let other = Superblock { pool: PoolId([9; 16]), ..superblock(5) };
    other.publish(&*file).unwrap();
    assert_eq!(Superblock::current(&media).unwrap_err().kind(), ErrorKind::Corrupt);
    file.truncate(SLOT_DISTANCE).unwrap();
    assert_eq!(Superblock::both(&media).unwrap(), [Some(superblock(4)), None]);
}

fn sealed(mut slot: Vec<u8>) -> [u8; SLOT_LEN] {
    let body = SLOT_LEN - 32;
    let checksum = Checksum::of(&slot[..body]);
    slot[body..].copy_from_slice(&checksum.0);
    slot.try_into().unwrap()
}

#[test]
fn a_newer_version_is_told_apart_from_damage() {
    let media = Simulator::new();
    let file = Superblock::create(&media, &superblock(1)).unwrap();
    let mut slot = superblock(2).encode();
    slot[8] = 2;
    file.write_at(&slot, 0).unwrap();
    assert_eq!(Superblock::current(&media).unwrap().commit, 1, "a version without its checksum is damage");
    file.write_at(&sealed(slot), 0).unwrap();
    assert_eq!(Superblock::current(&media).unwrap_err().kind(), ErrorKind::UnknownVersion);
}

#[test]
fn no_bytes_make_decoding_panic() {
    let mut choices = Choices::new(3);
    for _ in 0..2000 {
        let mut slot = superblock(3).encode();
        for _ in 0..choices.below(4) {
            slot[choices.below(48) as usize] = choices.below(256) as u8;
        }
        if let Ok(found) = Superblock::decode(&sealed(slot.clone())) {
            assert!(found.encode() == sealed(slot), "only what we write is read");
        }
    }
}

#[test]
fn the_documented_example_is_what_is_stored() {
    let example = documented("Superblock slot", SLOT_LEN);
    let decoded = Superblock::decode(example.as_slice().try_into().unwrap()).unwrap();
    assert_eq!(decoded.payload, b"roots");
    assert_eq!((decoded.commit, decoded.pool), (42, PoolId(*b"0123456789abcdef")));
    assert!(decoded.encode() == example);
}

#[test]
fn what_is_restored_is_there_however_it_ends_and_also_on_a_full_host() {
    for is_full in [false, true] {
        for operations in 0.. {
            let media = Simulator::new();
            let file = Superblock::create(&media, &superblock(6)).unwrap();
            superblock(7).publish(&*file).unwrap();
            [10, SLOT_DISTANCE + 10].iter().for_each(|at| media.corrupt(SUPERBLOCK_NAME, *at, 1).unwrap());
            assert!(Superblock::is_lost(&media).unwrap());
            media.set_capacity(is_full.then_some(2 * SLOT_DISTANCE));
            media.set_fuse(Some(operations));
            let promised = superblock(9).restore(&media);
            for seed in 0..20 {
                let mut choices = Choices::new(seed);
                let after = media.crash(&mut |limit| choices.below(limit));
                let is_lost = Superblock::is_lost(&after).unwrap();
                assert!(!(is_lost && promised.is_ok()), "{operations}");
                assert!(is_lost || Superblock::current(&after).unwrap() == superblock(9));
            }
            if promised.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_copy_counts_only_whole_and_in_its_place() {
    for (payload_len, length) in [(0, 512), (434, 512), (435, 1024), (COPY_PAYLOAD_LEN_MAX, 1024)] {
        assert_eq!(Superblock::copy_len(payload_len), length);
        let whole = Superblock { payload: vec![7; payload_len], ..superblock(6) };
        let (offset, end) = (4_096 - length as u32, 4_096);
        let copy = whole.encode_copy(SegmentId(3), offset, end);
        assert_eq!(copy.len(), length);
        let decode = |copy: &[u8]| Superblock::decode_copy(copy, SegmentId(3), offset);
        assert_eq!(decode(&copy).unwrap(), whole);
        assert!(Superblock::decode_copy(&copy, SegmentId(4), offset).is_err());
        assert!(Superblock::decode_copy(&copy, SegmentId(3), offset + 4_096).is_err());
        for at in 0..length {
            let mut damaged = copy.clone();
            damaged[at] ^= 1 << (at % 8);
            let error = decode(&damaged).unwrap_err();
            assert!(!matches!(error, DecodeError::Version { .. }), "{at}: a version without its checksum is damage");
        }
        (0..length).for_each(|length| assert!(decode(&copy[..length]).is_err()));
        let mut newer = copy;
        newer[8] = 2;
        let checksum = Checksum::of(&newer[..length - 32]);
        newer[length - 32..].copy_from_slice(&checksum.0);
        assert!(matches!(decode(&newer), Err(DecodeError::Version { found: 2, .. })));
    }
}

#[test]
fn the_documented_copy_is_what_is_stored() {
    let example = Superblock { payload: b"roots".to_vec(), ..superblock(42) };
    let bytes = example.encode_copy(SegmentId(3), 3_584, 4_096);
    assert_eq!(bytes, documented("Superblock copy", bytes.len()), "\n{}", render(&bytes));
    assert_eq!(Superblock::decode_copy(&bytes, SegmentId(3), 3_584).unwrap(), example);
}
