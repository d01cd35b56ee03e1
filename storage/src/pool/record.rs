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
