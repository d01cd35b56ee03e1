//! What the intent log keeps of a change: whose it is, and the change.

use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, Decoder, Encoder};
use crate::fs::Record;

const VERSION: u8 = 1;
/// Bytes before the file system's record.
const FRONT_LEN: usize = 1 + 8;

/// A log record: version (u8), dataset (u64), and the file system's record.
pub fn encode(dataset: DatasetId, record: &Record<'_>) -> Vec<u8> {
    let encoded = record.encode();
    let mut out = Encoder::with_capacity(FRONT_LEN + encoded.head.len() + encoded.tail.len());
    out.u8(VERSION).u64(dataset.0).raw(&encoded.head).raw(encoded.tail);
    out.bytes
}

/// Reads back what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<(DatasetId, Record<'_>)> {
    let mut from = Decoder::new(bytes);
    let version = from.u8()?;
    if version != VERSION {
        let message = format!("the intent log has records of version {version}: open the pool with a newer cow");
        return Err(Error::new(ErrorKind::UnknownVersion, message));
    }
    let dataset = DatasetId(from.u64()?);
    Ok((dataset, Record::decode(from.rest())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{InodeNumber, Timestamp, example};

    #[test]
    fn the_documented_example_is_what_is_logged() {
        let at = Timestamp { seconds: 1_700_000_000, nanoseconds: 5 };
        let inode = InodeNumber(7);
        let record =
            Record::Write { inode, offset: 4096, bytes: b"cow", modified: at, changed: at, clear_setid: false };
        let bytes = encode(DatasetId(3), &record);
        assert_eq!(bytes, example::documented("Log record", bytes.len()), "\n{}", example::render(&bytes));
        assert_eq!(decode(&bytes).unwrap(), (DatasetId(3), record));
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(decode(&newer).unwrap_err().kind(), ErrorKind::UnknownVersion);
        (0..bytes.len() - 3).for_each(|length| assert!(decode(&bytes[..length]).is_err(), "{length} bytes"));
    }
}
