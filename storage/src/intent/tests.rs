use super::*;
use crate::format::example::documented;
use crate::format::{Decoder, Encoder};
use crate::intent::codec::{GroupHeader, HEADER_LEN};
use crate::media::{Choices, Simulator};

const POOL: PoolId = PoolId(*b"0123456789abcdef");
const SIZE: u64 = INTENT_LEN_MIN;

fn media_with_log(size: u64) -> Simulator {
    let media = Simulator::new();
    IntentLog::create(&media, size).unwrap();
    media
}

fn open_numbered(media: &Simulator, from: LogPosition) -> Result<(IntentLog, Vec<Logged>)> {
    IntentLog::open(media, POOL, from)
}

/// Like [`IntentLog::open`], without the numbers of groups.
fn open(media: &Simulator, from: LogPosition) -> Result<(IntentLog, Vec<Vec<u8>>)> {
    let (log, found) = open_numbered(media, from)?;
    Ok((log, found.into_iter().map(|record| record.bytes).collect()))
}

fn replayed(media: &Simulator, from: LogPosition) -> Vec<Vec<u8>> {
    open(media, from).unwrap().1
}

/// What was appended from a position on, and how much of it was promised.
#[derive(Clone)]
struct Model {
    from: LogPosition,
    records: Vec<Vec<u8>>,
    promised: usize,
    laps: u64,
    /// Positions between records, by the number of their group, and how many records came before.
    positions: Vec<(u64, usize)>,
}

impl Model {
    fn new(from: LogPosition) -> Self {
        Self { from, records: Vec::new(), promised: 0, laps: from.offset / SIZE, positions: Vec::new() }
    }

    /// Whether records tell by their numbers which positions they came after.
    fn agrees_on_positions(&self, found: &[Logged]) -> bool {
        let is_told = |(sequence, before): &(u64, usize)| {
            (0..).zip(found).all(|(at, record)| (record.sequence < *sequence) == (at < *before))
        };
        self.positions.iter().all(is_told)
    }
}

/// Appends, waits and commits at random until something fails or `steps` are done.
fn live(log: &IntentLog, model: &mut Model, choices: &mut Choices, steps: usize) -> Result<()> {
    let mut last = None;
    for _ in 0..steps {
        match choices.below(8) {
            0 => {
                let from = log.position();
                // The pool makes a superblock that names the position durable here.
                log.release(from);
                *model = Model::new(from);
                last = None;
            }
            1 => model.positions.push((log.position().sequence(), model.records.len())),
            2..4 => {
                if let Some((count, ticket)) = last.take() {
                    log.wait(ticket)?;
                    model.promised = model.promised.max(count);
                }
            }
            _ => {
                // Few different records, so that a lost one and its successor are often the same.
                let len = [1, 10, 3000, 5000, 20_000][choices.below(5) as usize];
                let record = vec![choices.below(2) as u8; len];
                match log.append(&record) {
                    Ok(ticket) => {
                        model.records.push(record);
                        last = Some((model.records.len(), ticket));
                    }
                    Err(error) if error.kind() == ErrorKind::Busy => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}

#[test]
fn what_a_crash_leaves_is_a_beginning_with_all_that_was_promised() {
    let mut laps = 0;
    for seed in 0..150 {
        let mut choices = Choices::new(seed);
        let mut media = media_with_log(SIZE);
        let mut model = Model::new(LogPosition::START);
        for _ in 0..12 {
            let looked = IntentLog::look(&media, POOL, model.from);
            let (log, found) = open_numbered(&media, model.from).unwrap_or_else(|error| panic!("{seed}: {error:?}"));
            assert!(looked.is_ok_and(|looked| looked == found), "{seed}: looking tells something else");
            assert!(model.agrees_on_positions(&found), "{seed}: a record is on the wrong side of a position");
            let found: Vec<_> = found.into_iter().map(|record| record.bytes).collect();
            assert!(found.len() >= model.promised, "{seed}: a promised record is lost");
            assert!(model.records.starts_with(&found), "{seed}: never appended, or in another order");
            model.records = found;
            model.positions.clear();
            model.promised = model.records.len();
            media.set_fuse(Some(choices.below(60)));
            let _ = live(&log, &mut model, &mut choices, 200);
            media = match choices.below(3) {
                // Only the process is gone: what it wrote can be read, though it is not durable.
                0 => media.duplicate(),
                _ => media.crash(&mut |limit| choices.below(limit)),
            };
            laps = laps.max(model.laps);
        }
    }
    assert!(laps >= 5, "the ring went round only {laps} times");
}

#[test]
fn a_single_group_cut_anywhere_and_torn_at_every_sector() {
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    log.wait(log.append(&[1; 100]).unwrap()).unwrap();
    for operations in 0.. {
        let media = media.duplicate();
        let (log, _) = open(&media, LogPosition::START).unwrap();
        media.set_fuse(Some(operations));
        let promised = log.wait(log.append(&[2; 9000]).unwrap());
        for torn_at in (0..=12 << 10).step_by(64) {
            let found = replayed(&media.tear(|_| torn_at), LogPosition::START);
            assert_eq!(found[0], [1; 100]);
            match found.len() {
                1 => assert!(promised.is_err()),
                count => assert!(count == 2 && found[1] == [2; 9000]),
            }
        }
        if promised.is_ok() {
            return;
        }
    }
}

#[test]
fn an_abandoned_group_never_follows_the_twin_of_the_one_it_followed() {
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    let _ = log.append(b"twin").unwrap();
    log.position();
    media.set_fuse(Some(2));
    log.wait(log.append(b"abandoned").unwrap()).unwrap_err();
    let mut write = 0;
    let after = media.tear(|len| {
        write += 1;
        if write == 1 { 0 } else { len }
    });
    let (log, found) = open(&after, LogPosition::START).unwrap();
    assert!(found.is_empty());
    log.wait(log.append(b"twin").unwrap()).unwrap();
    assert_eq!(replayed(&after.crash(&mut |_| 0), LogPosition::START), [b"twin"]);
}

#[test]
fn older_laps_are_never_replayed() {
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    for round in 0..100u8 {
        let from = log.position();
        log.release(from);
        assert!(replayed(&media, from).is_empty());
        log.wait(log.append(&[round; 2500]).unwrap()).unwrap();
        log.wait(log.append(&[round; 5000]).unwrap()).unwrap();
        assert_eq!(replayed(&media, from), [vec![round; 2500], vec![round; 5000]]);
    }
    assert!(log.position().offset > 10 * SIZE);
}

#[test]
fn whoever_looks_from_too_far_back_is_told() {
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    let (mut positions, mut gone) = (Vec::new(), 0);
    for round in 0..40u8 {
        let from = log.position();
        log.release(from);
        positions.push((from, round));
        log.wait(log.append(&[round; 2500]).unwrap()).unwrap();
        log.wait(log.append(&[round; 5000]).unwrap()).unwrap();
        let end = log.position().offset;
        for (from, first) in &positions {
            let looked = IntentLog::look(&media, POOL, *from);
            match end <= from.offset + SIZE {
                true => assert_eq!(looked.unwrap().len(), 2 * usize::from(1 + round - first)),
                false => {
                    gone += 1;
                    assert_eq!(looked.unwrap_err().kind(), ErrorKind::Corrupt, "{first} of {round}");
                }
            }
        }
    }
    assert!(gone > 100);
}

#[test]
fn damage_before_the_durable_end_is_corruption_and_at_the_end_it_is_a_torn_tail() {
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    for group in 0..4u8 {
        log.wait(log.append(&[group; 3000]).unwrap()).unwrap();
    }
    for group in 0..4u64 {
        for byte in (0..HEADER_LEN as u64 + 4).chain([2000, 3131]) {
            let media = media.duplicate();
            media.corrupt(INTENT_NAME, group * PAGE_LEN + byte, 1 << (byte % 8)).unwrap();
            match open(&media, LogPosition::START) {
                Ok((_, found)) => assert!(group == 3 && found.len() == 3, "{group} {byte}"),
                Err(error) => assert!(group < 3 && error.kind() == ErrorKind::Corrupt, "{group} {byte} {error:?}"),
            }
        }
    }
    let unchained = LogPosition { previous: Checksum::of(b"another"), ..LogPosition::START };
    let unchained = open(&media.duplicate(), unchained);
    assert_eq!(unchained.unwrap_err().kind(), ErrorKind::Corrupt, "a group follows only the one that it names");
    let file = media.open(INTENT_NAME).unwrap();
    let mut last = [0; PAGE_LEN as usize];
    file.read_at(&mut last, 3 * PAGE_LEN).unwrap();
    let elsewhere = media.duplicate();
    let file = elsewhere.open(INTENT_NAME).unwrap();
    file.write_at(&vec![0; 3 * PAGE_LEN as usize], PAGE_LEN).unwrap();
    file.write_at(&last, 6 * PAGE_LEN).unwrap();
    assert_eq!(replayed(&elsewhere, LogPosition::START).len(), 1, "a copy elsewhere is no witness");
    let other = IntentLog::open(&media.duplicate(), PoolId([7; 16]), LogPosition::START).unwrap();
    assert!(other.1.is_empty(), "another pool's groups are not ours");
}

#[test]
fn waiting_threads_share_flushes() {
    let media = media_with_log(4 << 20);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let log = &log;
            scope.spawn(move || {
                for count in 0..50u8 {
                    log.wait(log.append(&[thread, count]).unwrap()).unwrap();
                }
            });
        }
    });
    assert!(log.flushes() <= 400 && log.written_bytes() >= PAGE_LEN);
    let found = replayed(&media.crash(&mut |_| 0), LogPosition::START);
    for thread in 0..8 {
        let counts = found.iter().filter(|record| record[0] == thread).map(|record| record[1]);
        assert!(counts.eq(0..50), "a thread's records keep their order");
    }
}

#[test]
fn large_records_go_through_and_too_large_ones_are_refused() {
    let media = media_with_log(16 << 20);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    let large: Vec<Vec<u8>> = (0..9u8).map(|fill| vec![fill + 1; 3 << 19]).collect();
    let tickets: Vec<Ticket> = large.iter().map(|record| log.append(record).unwrap()).collect();
    log.wait(tickets[8]).unwrap();
    assert_eq!(log.append(&vec![0; log.record_len_max() + 1]).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(replayed(&media, LogPosition::START) == large);
}

#[test]
fn a_full_ring_takes_records_again_after_a_release() {
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    let mut count = 0;
    let full = loop {
        match log.append(&[1; 3000]) {
            Ok(ticket) => log.wait(ticket).unwrap(),
            Err(error) => break error,
        }
        count += 1;
        assert_eq!(log.half_full(), count >= 8);
    };
    assert_eq!((count, full.kind(), log.used_bytes()), (16, ErrorKind::Busy, SIZE));
    assert_eq!(replayed(&media, LogPosition::START).len(), 16);
    log.release(log.position());
    assert_eq!(log.used_bytes(), 0);
    log.wait(log.append(&[2; 3000]).unwrap()).unwrap();
}

#[test]
fn an_error_poisons_but_keeps_what_was_promised() {
    for fail in [|media: &Simulator| media.fail_flush(0), |media: &Simulator| media.fail_write(0)] {
        let media = media_with_log(SIZE);
        let (log, _) = open(&media, LogPosition::START).unwrap();
        let first = log.append(b"first").unwrap();
        log.wait(first).unwrap();
        fail(&media);
        let second = log.append(b"second").unwrap();
        for _ in 0..2 {
            assert_eq!(log.wait(second).unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.append(b"third").unwrap_err().kind(), ErrorKind::Poisoned);
        }
        log.wait(first).unwrap();
        assert_eq!(replayed(&media.crash(&mut |limit| limit - 1), LogPosition::START), [b"first"]);
    }
}

fn example_header() -> GroupHeader {
    let (previous, offset) = (Checksum::of(b"the group before"), 0x5000);
    GroupHeader { len: 142, records: 2, pool: POOL, offset, sequence: 9, durable: 7, previous }
}

#[test]
fn bad_groups_and_newer_versions_are_errors_and_never_panics() {
    let mut choices = Choices::new(5);
    let good = documented("Intent group", 142);
    for _ in 0..20_000 {
        let mut group = good.clone();
        group.truncate(if choices.below(2) == 0 { 142 } else { 1 + choices.below(142) as usize });
        for _ in 0..choices.below(4) {
            let at = choices.below(group.len() as u64) as usize;
            group[at] = choices.below(256) as u8;
        }
        if let Ok((header, _)) = GroupHeader::decode(&group) {
            assert!(group == good && header.records(&group).unwrap().len() == 2);
        }
        let _ = GroupHeader { records: choices.below(4) as u32, ..example_header() }.records(&group);
    }
    let media = media_with_log(SIZE);
    let (log, _) = open(&media, LogPosition::START).unwrap();
    log.wait(log.append(b"record").unwrap()).unwrap();
    let mut page = vec![0; HEADER_LEN + 10];
    let file = media.open(INTENT_NAME).unwrap();
    file.read_at(&mut page, 0).unwrap();
    page[8] = 2;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&page[..96]).update(&page[HEADER_LEN..]);
    page[96..HEADER_LEN].copy_from_slice(hasher.finalize().as_bytes());
    file.write_at(&page, 0).unwrap();
    assert_eq!(open(&media, LogPosition::START).unwrap_err().kind(), ErrorKind::UnknownVersion);
    file.truncate(100).unwrap();
    assert_eq!(open(&media, LogPosition::START).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn the_documented_examples_are_what_is_stored() {
    let example = documented("Intent group", 142);
    let (header, hash) = GroupHeader::decode(&example).unwrap();
    assert_eq!(header, example_header());
    assert_eq!(header.records(&example).unwrap(), [b"one".as_slice(), b"two"]);
    let mut encoded = example.clone();
    encoded[..HEADER_LEN].fill(0);
    assert_eq!((header.seal(&mut encoded), encoded), (hash, example));

    let example = documented("Log position", LogPosition::LEN);
    let position = LogPosition::decode(&mut Decoder::new(&example)).unwrap();
    assert_eq!(position, LogPosition { offset: 0x6000, sequence: 10, previous: Checksum::of(b"the group before") });
    let mut encoded = Encoder::default();
    position.encode(&mut encoded);
    assert_eq!(encoded.bytes, example);
    for bad in [[1, 0, 0, 0, 0, 0, 0, 0], [0, 0x10, 0, 0, 0, 0, 0, 0x80]] {
        let bytes = [&bad, &example[8..]].concat();
        assert!(LogPosition::decode(&mut Decoder::new(&bytes)).is_err());
    }
}
