//! The layout of a page of the usage table: a header and 128 records, of which unused ones are zero.

use crate::account::link::decode_front;
use crate::account::usage::{PAGE_RECORDS, Record, Usage};
use crate::format::{Birth, DecodeError, Decoder, Encoder, SegmentId};
use crate::segment::Stream;

const MAGIC: &[u8; 4] = b"COWU";
const VERSION: u16 = 1;
const NAME: &str = "a usage page";
const HEADER_LEN: usize = 4 + 2 + 2 + 8;
const RECORD_LEN: usize = 4 + 4 + 6 + 1 + 1;
/// What was punched is stored in such units: a segment that lives has fewer of them than a byte can count.
const PUNCHED_UNIT: u32 = 256 << 10;
/// Bytes of an encoded page, whatever is in it.
pub const PAGE_LEN: usize = HEADER_LEN + PAGE_RECORDS as usize * RECORD_LEN;

impl Usage {
    /// The bytes of a page.
    pub fn encode_page(&self, page: u64) -> Vec<u8> {
        let mut out = Encoder::with_capacity(PAGE_LEN);
        out.raw(MAGIC).u16(VERSION).u16(0).u64(page);
        for (segment, record) in self.page(page) {
            let at = HEADER_LEN + (segment.0 % PAGE_RECORDS) as usize * RECORD_LEN;
            out.bytes.resize(at, 0);
            out.u32(record.live).u32(record.sealed).u48(record.newest.0).u8(record.stream as u8);
            out.u8((record.punched / PUNCHED_UNIT).min(255) as u8);
        }
        out.bytes.resize(PAGE_LEN, 0);
        out.bytes
    }

    /// Takes in the records of a page.
    pub fn decode_page(&mut self, bytes: &[u8], page: u64) -> Result<(), DecodeError> {
        let mut from = Decoder::new(bytes);
        decode_front(&mut from, NAME, MAGIC, VERSION)?;
        let is_ours = from.u16()? == 0 && from.u64()? == page && page < SegmentId::LIMIT / PAGE_RECORDS;
        if !is_ours || bytes.len() != PAGE_LEN {
            return Err(DecodeError::Field("usage page"));
        }
        for number in page * PAGE_RECORDS..(page + 1) * PAGE_RECORDS {
            let (live, sealed, newest) = (from.u32()?, from.u32()?, Birth(from.u48()?));
            let stream = Stream::ALL.get(usize::from(from.u8()?));
            let stream = *stream.filter(|_| number < SegmentId::LIMIT).ok_or(DecodeError::Field("stream"))?;
            let punched = u32::from(from.u8()?) * PUNCHED_UNIT;
            if punched > sealed {
                return Err(DecodeError::Field("punched bytes"));
            }
            if live == 0 && (sealed > 0 || newest > Birth(0) || punched > 0 || stream != Stream::ALL[0]) {
                return Err(DecodeError::Field("live bytes"));
            }
            if live > 0 {
                self.load(SegmentId(number), Record { stream, live, sealed, newest, punched, changed: Birth(0) });
            }
        }
        Ok(())
    }
}
