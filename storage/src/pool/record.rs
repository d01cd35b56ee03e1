//! What the intent log keeps of a change: whose it is, and the change; and where a head was taken back.
//!
//! Invariant: behind a rewind's mark a head's records are of what it had from then on. They would fit an older state of it by
//! chance at best, so who replays them there is told.

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, DecodeError, Decoder, Encoder};
use crate::fs::{CallId, Record};
use crate::intent::Logged;

const CHANGE_VERSION: u8 = 1;
const REWIND_VERSION: u8 = 2;
const CALLED_VERSION: u8 = 3;
/// Bytes before the file system's record.
const FRONT_LEN: usize = 1 + 8;

/// A log record, decoded.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
pub enum LogRecord<'a> {
    /// A change of a head, and the call that it was made for.
    Change(DatasetId, Option<CallId>, Record<'a>),
    /// From here on a head goes on from a snapshot, if this commit was made.
    Rewind(DatasetId, Birth),
}

/// A change: version (u8), dataset (u64), the call if it is known (16 bytes), and the file system's record.
pub fn encode(dataset: DatasetId, call: Option<CallId>, record: &Record<'_>) -> Vec<u8> {
    let encoded = record.encode();
    let call = call.as_ref().map(|call| &call.0[..]);
    let call_len = call.map_or(0, <[u8]>::len);
    let mut out = Encoder::with_capacity(FRONT_LEN + call_len + encoded.head.len() + encoded.tail.len());
    let version = if call.is_some() { CALLED_VERSION } else { CHANGE_VERSION };
    out.u8(version).u64(dataset.0).raw(call.unwrap_or_default()).raw(&encoded.head).raw(encoded.tail);
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
    if !matches!(version, CHANGE_VERSION | REWIND_VERSION | CALLED_VERSION) {
        let (found, known) = (version.into(), CALLED_VERSION.into());
        return Err(DecodeError::Version { structure: "a log record", found, known }.into());
    }
    let dataset = DatasetId(from.u64()?);
    if version != REWIND_VERSION {
        let call = if version == CALLED_VERSION { Some(CallId(from.array()?)) } else { None };
        return Ok(LogRecord::Change(dataset, call, Record::decode(from.rest())?));
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
        Ok(LogRecord::Change(dataset, ..)) if rewound.contains(&dataset) => {
            let message =
                format!("it goes on with dataset {} as a commit rewound it that the superblock has no more", dataset.0);
            Some(Err(Error::new(ErrorKind::Corrupt, message)))
        }
        Ok(LogRecord::Change(dataset, _, record)) => Some(Ok((logged, dataset, record))),
    })
}

/// The calls that changes in the log were made for, of commits too that came since.
pub fn calls(records: &[Logged]) -> impl Iterator<Item = CallId> {
    records.iter().filter_map(|logged| match decode(&logged.bytes) {
        Ok(LogRecord::Change(_, call, _)) => call,
        _ => None,
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
        let call = Some(CallId([0xca; 16]));
        let (change, called) = (encode(DatasetId(3), None, &record), encode(DatasetId(3), call, &record));
        let rewind = encode_rewind(DatasetId(3), Birth(77));
        let cases = [
            ("Log record", &change, 3, LogRecord::Change(DatasetId(3), None, record.clone())),
            ("Log record of a call", &called, 3, LogRecord::Change(DatasetId(3), call, record)),
            ("Rewind's mark", &rewind, 0, LogRecord::Rewind(DatasetId(3), Birth(77))),
        ];
        for (name, bytes, any, record) in cases {
            assert_eq!(*bytes, example::documented(name, bytes.len()), "\n{}", example::render(bytes));
            assert_eq!(decode(bytes).unwrap(), record);
            let newer = [&[4], &bytes[1..]].concat();
            assert_eq!(decode(&newer).unwrap_err().kind(), ErrorKind::UnknownVersion);
            (0..bytes.len() - any).for_each(|length| assert!(decode(&bytes[..length]).is_err(), "{length} bytes"));
        }
        assert!(decode(&[&rewind[..], &[0]].concat()).is_err());
    }
}
