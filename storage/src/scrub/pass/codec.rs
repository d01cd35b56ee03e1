//! The records of a pass. See `FORMAT.md`, "Scrub items".
//!
//! Invariant: whatever decodes encodes to the same bytes.

use std::sync::Arc;

use crate::format::{DecodeError, Decoder, Encoder, SlotId, Timestamp};
use crate::scrub::pass::{LISTED_MAX, LastPass, Pass, PassState};
use crate::scrub::report::Damage;

const VERSION: u8 = 1;

const DATASET: u8 = 1;
const PATH: u8 = 2;
const OFFSET: u8 = 4;

fn check_version(structure: &'static str, found: u8) -> Result<(), DecodeError> {
    match found {
        VERSION => Ok(()),
        _ => Err(DecodeError::Version { structure, found: found.into(), known: VERSION.into() }),
    }
}

/// The pass without its list of damage.
pub fn encode_pass(pass: &Pass) -> Vec<u8> {
    let mut record = Encoder::with_capacity(94);
    let state = match pass.state {
        PassState::Running => 1,
        PassState::Paused => 2,
        PassState::Finished => 3,
        PassState::Cancelled => 4,
    };
    record.u8(VERSION).u8(state);
    for time in [pass.begun, pass.since] {
        record.i64(time.seconds).u32(time.nanoseconds);
    }
    for number in [pass.next.0, pass.end.0, pass.total, pass.bytes, pass.objects, pass.found] {
        record.u64(number);
    }
    let LastPass { ended, found } = pass.last.unwrap_or(LastPass { ended: Timestamp::default(), found: 0 });
    record.i64(ended.seconds).u32(ended.nanoseconds).u64(found);
    record.bytes
}

/// The pass without its list of damage.
pub fn decode_pass(record: &[u8]) -> Result<Pass, DecodeError> {
    let mut record = Decoder::new(record);
    check_version("scrub pass", record.u8()?)?;
    let state = match record.u8()? {
        1 => PassState::Running,
        2 => PassState::Paused,
        3 => PassState::Finished,
        4 => PassState::Cancelled,
        _ => return Err(DecodeError::Field("scrub pass's state")),
    };
    let pass = Pass {
        state,
        begun: take_time(&mut record)?,
        since: take_time(&mut record)?,
        next: SlotId(record.u64()?),
        end: SlotId(record.u64()?),
        total: record.u64()?,
        bytes: record.u64()?,
        objects: record.u64()?,
        found: record.u64()?,
        damage: Arc::default(),
        last: take_last(&mut record)?,
    };
    if record.rest().is_empty() { Ok(pass) } else { Err(DecodeError::Field("scrub pass")) }
}

/// Damage, end to end. What comes later changes nothing of what is before it.
pub fn encode_damage(damage: &[Damage]) -> Vec<u8> {
    let mut record = Encoder::default();
    for Damage { dataset, path, offset, problem } in damage {
        if record.bytes.is_empty() {
            record.u8(VERSION);
        }
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        record.u8(flag(dataset.is_some(), DATASET) | flag(path.is_some(), PATH) | flag(offset.is_some(), OFFSET));
        for text in [dataset, path].into_iter().flatten() {
            record.counted(text.as_bytes());
        }
        if let Some(offset) = offset {
            record.u64(*offset);
        }
        record.counted(problem.as_bytes());
    }
    record.bytes
}

/// What [`encode_damage`] wrote of some.
pub fn decode_damage(record: &[u8]) -> Result<Vec<Damage>, DecodeError> {
    let mut record = Decoder::new(record);
    check_version("scrub damage", record.u8()?)?;
    let mut damage = Vec::new();
    while !record.rest().is_empty() && damage.len() < LISTED_MAX {
        let flags = record.u8()?;
        if flags > DATASET | PATH | OFFSET {
            return Err(DecodeError::Field("scrub damage's flags"));
        }
        let mut text = |flag| if flags & flag == 0 { Ok(None) } else { take_text(&mut record).map(Some) };
        let (dataset, path) = (text(DATASET)?, text(PATH)?);
        let offset = if flags & OFFSET == 0 { None } else { Some(record.u64()?) };
        damage.push(Damage { dataset, path, offset, problem: take_text(&mut record)? });
    }
    if damage.is_empty() || !record.rest().is_empty() { Err(DecodeError::Field("scrub damage")) } else { Ok(damage) }
}

/// At most so many bytes of [`encode_damage`] are about this.
pub fn damage_len_max(damage: &Damage) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() + 10);
    1 + text(&damage.dataset) + text(&damage.path) + 8 + 10 + damage.problem.len()
}

/// A time of zeros stands for none.
fn take_last(record: &mut Decoder<'_>) -> Result<Option<LastPass>, DecodeError> {
    match (take_time(record)?, record.u64()?) {
        (ended, 0) if ended == Timestamp::default() => Ok(None),
        (ended, _) if ended == Timestamp::default() => Err(DecodeError::Field("scrub pass")),
        (ended, found) => Ok(Some(LastPass { ended, found })),
    }
}

fn take_time(record: &mut Decoder<'_>) -> Result<Timestamp, DecodeError> {
    let time = Timestamp { seconds: record.i64()?, nanoseconds: record.u32()? };
    if time.nanoseconds < 1_000_000_000 { Ok(time) } else { Err(DecodeError::Field("time")) }
}

fn take_text(record: &mut Decoder<'_>) -> Result<String, DecodeError> {
    String::from_utf8(record.counted()?.to_vec()).map_err(|_| DecodeError::Field("text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{SegmentId, example};

    fn pass() -> Pass {
        Pass {
            state: PassState::Paused,
            begun: Timestamp { seconds: 1000, nanoseconds: 5 },
            since: Timestamp { seconds: 2000, nanoseconds: 0 },
            next: SlotId::new(SegmentId(5), 3),
            end: SlotId::new(SegmentId(7), 0),
            total: 1 << 30,
            bytes: 1 << 20,
            objects: 77,
            found: 2,
            damage: Arc::default(),
            last: Some(LastPass { ended: Timestamp { seconds: 500, nanoseconds: 0 }, found: 1 }),
        }
    }

    fn damage() -> Vec<Damage> {
        let of_file = Damage {
            dataset: Some("data".to_owned()),
            path: Some("/a/b".to_owned()),
            offset: Some(4096),
            problem: "rot".to_owned(),
        };
        vec![of_file, Damage::of_the_pool("lost".to_owned())]
    }

    fn decode_and_encode(heading: &str, record: &[u8]) -> Result<Vec<u8>, DecodeError> {
        match heading {
            "Scrub pass" => decode_pass(record).map(|pass| encode_pass(&pass)),
            _ => decode_damage(record).map(|damage| encode_damage(&damage)),
        }
    }

    fn examples() -> [(&'static str, Vec<u8>); 2] {
        [("Scrub pass", encode_pass(&pass())), ("Scrub damage", encode_damage(&damage()))]
    }

    #[test]
    fn documented_records_decode_and_encode_back() {
        for (heading, bytes) in examples() {
            assert_eq!(bytes, example::documented(heading, bytes.len()), "{heading}\n{}", example::render(&bytes));
        }
        assert_eq!(decode_pass(&encode_pass(&pass())), Ok(pass()));
        assert_eq!(decode_damage(&encode_damage(&damage())), Ok(damage()));
        let lengths = damage().iter().map(damage_len_max).sum::<usize>();
        assert!(encode_damage(&damage()).len() <= 1 + lengths);
    }

    #[test]
    fn records_cut_short_or_too_long_or_too_new_do_not_decode() {
        for (heading, bytes) in examples() {
            let longer = [&bytes[..], &[9]].concat();
            assert!(decode_and_encode(heading, &longer).is_err(), "{heading}");
            let newer = [&[2], &bytes[1..]].concat();
            assert!(matches!(decode_and_encode(heading, &newer), Err(DecodeError::Version { found: 2, .. })));
            for length in 0..bytes.len() {
                let cut = decode_and_encode(heading, &bytes[..length]);
                // A list may end behind any damage.
                assert!(cut.is_err() || heading == "Scrub damage" && cut.as_deref() == Ok(&bytes[..length]));
            }
        }
    }

    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes() {
        for (heading, bytes) in examples() {
            for at in 0..bytes.len() {
                for value in 0..=255 {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    if let Ok(encoded) = decode_and_encode(heading, &changed) {
                        assert_eq!(encoded, changed, "{heading} {at} {value}");
                    }
                }
            }
        }
    }
}
