//! What the intent log keeps of a change: whose it is, and the change; and where a head was taken back.
//!
//! Invariant: behind a rewind's mark a head's records are of what it had from then on. They would fit an older state of it by
//! chance at best, so who replays them there is told.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, DecodeError, Decoder, Encoder};
use crate::fs::Record;
use crate::intent::Logged;

const CHANGE_VERSION: u8 = 1;
const REWIND_VERSION: u8 = 2;
/// Bytes before the file system's record.
const FRONT_LEN: usize = 1 + 8;

/// A log record, decoded.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
pub enum LogRecord<'a> {
    /// A change of a head.
    Change(DatasetId, Record<'a>),
    /// From here on a head goes on from a snapshot, if this commit was made.
    Rewind(DatasetId, Birth),
}

/// A change: version (u8), dataset (u64), and the file system's record.
pub fn encode(dataset: DatasetId, record: &Record<'_>) -> Vec<u8> {
    let encoded = record.encode();
    let mut out = Encoder::with_capacity(FRONT_LEN + encoded.head.len() + encoded.tail.len());
    out.u8(CHANGE_VERSION).u64(dataset.0).raw(&encoded.head).raw(encoded.tail);
    out.bytes
}

/// A rewind's mark: version (u8), dataset (u64), commit (u48).
pub fn encode_rewind(dataset: DatasetId, commit: Birth) -> Vec<u8> {
    let mut out = Encoder::with_capacity(FRONT_LEN + 6);
    out.u8(REWIND_VERSION).u64(dataset.0).u48(commit.0);
    out.bytes
}

/// Reads back what [`encode`] or [`encode_rewind`] wrote.
pub fn decode(bytes: &[u8]) -> Result<LogRecord<'_>> {
    let mut from = Decoder::new(bytes);
    let version = from.u8()?;
    if !matches!(version, CHANGE_VERSION | REWIND_VERSION) {
        let (found, known) = (version.into(), REWIND_VERSION.into());
        return Err(DecodeError::Version { structure: "a log record", found, known }.into());
    }
    let dataset = DatasetId(from.u64()?);
    if version == CHANGE_VERSION {
        return Ok(LogRecord::Change(dataset, Record::decode(from.rest())?));
    }
    let commit = Birth(from.u48()?);
    match from.rest().is_empty() {
        true => Ok(LogRecord::Rewind(dataset, commit)),
        false => Err(DecodeError::Field("length of a rewind's mark").into()),
    }
}

/// Changes that the log has beyond commit `last`, up to an error.
pub fn changes(records: &[Logged], last: Birth) -> impl Iterator<Item = Result<(&Logged, DatasetId, Record<'_>)>> {
    let mut rewound = HashSet::new();
    records.iter().filter_map(move |logged| match decode(&logged.bytes) {
        Err(error) => Some(Err(error)),
        Ok(LogRecord::Rewind(dataset, commit)) => {
            if commit > last {
                rewound.insert(dataset);
            }
            None
        }
        Ok(LogRecord::Change(dataset, _)) if rewound.contains(&dataset) => {
            let message =
                format!("it goes on with dataset {} as a commit rewound it that the superblock has no more", dataset.0);
            Some(Err(Error::new(ErrorKind::Corrupt, message)))
        }
        Ok(LogRecord::Change(dataset, record)) => Some(Ok((logged, dataset, record))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{InodeNumber, Timestamp, example};

    #[test]
    fn the_documented_examples_are_what_is_logged() {
        let at = Timestamp { seconds: 1_700_000_000, nanoseconds: 5 };
        let inode = InodeNumber(7);
        let record =
            Record::Write { inode, offset: 4096, bytes: b"cow", modified: at, changed: at, clear_setid: false };
        let change = encode(DatasetId(3), &record);
        let rewind = encode_rewind(DatasetId(3), Birth(77));
        let cases = [
            ("Log record", &change, 3, LogRecord::Change(DatasetId(3), record)),
            ("Rewind's mark", &rewind, 0, LogRecord::Rewind(DatasetId(3), Birth(77))),
        ];
        for (name, bytes, any, record) in cases {
            assert_eq!(*bytes, example::documented(name, bytes.len()), "\n{}", example::render(bytes));
            assert_eq!(decode(bytes).unwrap(), record);
            let newer = [&[3], &bytes[1..]].concat();
            assert_eq!(decode(&newer).unwrap_err().kind(), ErrorKind::UnknownVersion);
            (0..bytes.len() - any).for_each(|length| assert!(decode(&bytes[..length]).is_err(), "{length} bytes"));
        }
        assert!(decode(&[&rewind[..], &[0]].concat()).is_err());
    }
}
