use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ErrorKind;
use crate::format::{Decoder, Encoder, SegmentId};
use crate::media::{Choices, Media, Simulator};
use crate::segment::{BLOCK_LEN, Place, SegmentOptions, Segments, SegmentsState, Stream};

const OPTIONS: SegmentOptions = SegmentOptions { segment_len: 1 << 20, reserve_count: 2 };

fn open(disk: &Arc<Simulator>, state: Option<&SegmentsState>) -> Segments {
    Segments::open(Arc::clone(disk) as Arc<dyn Media>, OPTIONS, state).unwrap()
}

fn state_of(segments: &Segments) -> SegmentsState {
    segments.state_with(&segments.exclusive(Stream::Node, true).unwrap())
}

fn bytes_of(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (number * 31 + at as u64 * 7 + at as u64 / 256) as u8).collect()
}

fn read(segments: &Segments, place: Place) -> Vec<u8> {
    let mut out = vec![0; place.length as usize];
    segments.read(place, &mut out).unwrap();
    out
}

/// Appends, flushes and crashes at random; what was flushed stays, and places never overlap.
#[test]
fn flushed_bytes_survive_every_crash() {
    for seed in 0..20 {
        let mut choices = Choices::new(seed);
        let mut disk = Arc::new(Simulator::new());
        let mut segments = open(&disk, None);
        let mut durable = BTreeMap::new();
        let mut state = state_of(&segments);
        for _ in 0..4 {
            let mut written = durable.clone();
            for number in 0..choices.below(60) {
                let stream = Stream::ALL[choices.below(2) as usize];
                let length = [4096, 1 + choices.below(90_000)][choices.below(2) as usize] as usize;
                let bytes = bytes_of(number, length);
                let place = segments.append(stream, false, &bytes).unwrap();
                assert!(stream == Stream::Data || length != 4096 || place.offset.is_multiple_of(BLOCK_LEN));
                assert!(written.insert(place, bytes).is_none());
                if choices.below(12) == 0 {
                    state = state_of(&segments);
                    segments.flush().unwrap();
                    durable = written.clone();
                }
            }
            assert!(written.iter().all(|(place, bytes)| read(&segments, *place) == *bytes));
            let places: Vec<_> = written.keys().collect();
            assert!(places.windows(2).all(|two| two[0].segment < two[1].segment || two[0].end() <= two[1].offset));
            disk = Arc::new(disk.crash(&mut |limit| choices.below(limit)));
            segments = open(&disk, Some(&state));
            segments.cut_tails(&state).unwrap();
            assert!(durable.iter().all(|(place, bytes)| read(&segments, *place) == *bytes));
        }
    }
}

#[test]
fn a_failed_write_or_flush_poisons() {
    for fail in [Simulator::fail_write, Simulator::fail_flush] {
        let disk = Arc::new(Simulator::new());
        let segments = open(&disk, None);
        segments.append(Stream::Data, false, &[1; 100]).unwrap();
        fail(&disk, 0);
        assert_eq!(segments.flush().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(segments.flush().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(segments.append(Stream::Node, true, &[1]).unwrap_err().kind(), ErrorKind::Poisoned);
    }
}

/// When the host is full, ordinary appends fail, privileged ones use up the reserve, and nothing breaks.
#[test]
fn the_reserve_is_for_the_privileged() {
    let disk = Arc::new(Simulator::new());
    let segments = open(&disk, None);
    disk.set_capacity(Some(5 << 20));
    assert!(segments.prepare().unwrap());
    let fill = |privileged| {
        let mut appended = 0;
        loop {
            match segments.append(Stream::Data, privileged, &[7; 1 << 19]) {
                Ok(_) => appended += 1,
                Err(error) => break (appended, error.kind()),
            }
        }
    };
    assert_eq!(fill(false), (4, ErrorKind::NoSpace));
    assert_eq!(fill(true), (4, ErrorKind::NoSpace));
    segments.flush().unwrap();
    assert!(!segments.prepare().unwrap());
    segments.retire(&[SegmentId(0)]).unwrap();
    segments.append(Stream::Data, false, &[7; 1 << 19]).unwrap();
    assert!(!segments.prepare().unwrap(), "the reserve is still empty");
}

/// What is planned exclusively lands there, across segments.
#[test]
fn plans_come_true() {
    let segments = open(&Arc::new(Simulator::new()), None);
    segments.append(Stream::Node, false, &[1; 1_000]).unwrap();
    let mut exclusive = segments.exclusive(Stream::Node, true).unwrap();
    for length in [1, 512, 3_096, 4_096] {
        let place = exclusive.place_to_block_end(length).unwrap();
        assert!(place.end().is_multiple_of(BLOCK_LEN) && (length..length + BLOCK_LEN).contains(&place.length));
        assert_eq!(exclusive.append(&bytes_of(7, place.length as usize)).unwrap(), place);
    }
    let pieces: Vec<_> = (0..40).map(|number| bytes_of(number, 4096 + 2_000 * number as usize)).collect();
    let places: Vec<_> = pieces.iter().map(|piece| exclusive.place(piece.len() as u32).unwrap()).collect();
    assert!(places.last().unwrap().segment > places[0].segment);
    for (piece, place) in pieces.iter().zip(&places) {
        assert_eq!(exclusive.append(piece).unwrap(), *place);
    }
    drop(exclusive);
    segments.flush().unwrap();
    assert!(pieces.iter().zip(&places).all(|(piece, place)| read(&segments, *place) == *piece));
}

#[test]
fn ids_count_per_segment_and_tails_are_cut() {
    let disk = Arc::new(Simulator::new());
    let segments = open(&disk, None);
    for slot in 0..10 {
        let (id, place) = segments.append_numbered(Stream::Data, false, 100, |_, _, out| out.fill(1)).unwrap();
        assert_eq!((id.segment(), id.slot()), (place.segment, slot));
        segments.append(Stream::Data, false, &[0; 10]).unwrap();
    }
    let state = state_of(&segments);
    segments.append(Stream::Data, false, &[9; 5_000]).unwrap();
    segments.flush().unwrap();
    let again = open(&disk, Some(&state));
    again.cut_tails(&state).unwrap();
    assert_eq!(again.file_length(SegmentId(0)).unwrap(), 4096);
    assert!(again.append(Stream::Data, false, &[1]).unwrap().segment > SegmentId(0));

    let mut encoded = Encoder::default();
    state.encode(&mut encoded);
    assert_eq!(SegmentsState::decode(&mut Decoder::new(&encoded.bytes)).unwrap(), state);
    assert_eq!(disk.open("data-0000000000").unwrap().length().unwrap(), 4096);
}
