//! The record layer of RPC over TCP (RFC 5531, 11): fragments in, whole records out.
//!
//! Invariant: a record is never longer than a buffer, and memory is taken only from the budget. What a
//! peer announces is checked before anything is read or taken for it; a record once begun must
//! come to its end in time.

use std::io::{self, IoSliceMut, Read};
use std::time::{Duration, Instant};

use crate::nfs::buffers::{Buffer, LARGEST_LEN, Portion};

/// Set in a fragment's mark when it is the record's last.
pub const LAST_FRAGMENT: u32 = 1 << 31;
/// Fragments that a record may come in.
const FRAGMENTS_MAX: usize = 256;
/// Bytes read ahead, so that small records, also those with a page of a database, cost one call to the system.
const AHEAD_LEN: usize = 16 << 10;
/// How long a record may take from its first byte to its last.
const RECORD_TIME_MAX: Duration = Duration::from_secs(60);

/// Why no more records come.
#[derive(Debug)]
pub enum End {
    /// The peer closed between records, or was idle for too long.
    Closed,
    /// The peer broke off or stalled within a record.
    Broken,
    /// The peer announced more than a record can hold.
    Refused,
}

/// Reads records from a stream.
pub struct RecordReader {
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
    began: Instant,
}

impl Default for RecordReader {
    fn default() -> Self {
        Self { ahead: vec![0; AHEAD_LEN].into_boxed_slice(), start: 0, end: 0, began: Instant::now() }
    }
}

impl RecordReader {
    /// Whether bytes of the next record are here already.
    pub fn has_more(&self) -> bool {
        self.start < self.end
    }

    /// Whether a whole record is here already, so that reading it waits for nobody.
    pub fn has_whole(&self) -> bool {
        let ready = self.ahead[self.start..self.end].split_first_chunk();
        ready.is_some_and(|(mark, rest)| {
            let mark = u32::from_be_bytes(*mark);
            mark & LAST_FRAGMENT != 0 && rest.len() >= (mark & !LAST_FRAGMENT) as usize
        })
    }

    /// The next record. `is_idle` is asked, whenever reading timed out between records, whether to end.
    pub fn read(
        &mut self,
        stream: &mut impl Read,
        portion: &Portion,
        is_idle: &mut dyn FnMut() -> bool,
    ) -> Result<Buffer, End> {
        self.wait_for_bytes(stream, is_idle)?;
        self.began = Instant::now();
        let mut record: Option<Buffer> = None;
        for _ in 0..FRAGMENTS_MAX {
            let mark = self.mark(stream)?;
            let is_last = mark & LAST_FRAGMENT != 0;
            let length = (mark & !LAST_FRAGMENT) as usize;
            let before = record.as_ref().map_or(0, |record| record.filled().len());
            if before + length > LARGEST_LEN {
                return Err(End::Refused);
            }
            // A record in parts gets the largest buffer at once, so that nobody waits for a larger one while
            // holding one that others wait for.
            let mut whole = record.take().unwrap_or_else(|| portion.take(if is_last { length } else { LARGEST_LEN }));
            self.fill(stream, whole.extend(length))?;
            if is_last {
                return Ok(whole);
            }
            record = Some(whole);
        }
        Err(End::Refused)
    }

    fn wait_for_bytes(&mut self, stream: &mut impl Read, is_idle: &mut dyn FnMut() -> bool) -> Result<(), End> {
        while !self.has_more() {
            match stream.read(&mut self.ahead) {
                Ok(0) => return Err(End::Closed),
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) && !is_idle() => {}
                Err(_) => return Err(End::Closed),
            }
        }
        Ok(())
    }

    fn mark(&mut self, stream: &mut impl Read) -> Result<u32, End> {
        let mut mark = [0; 4];
        self.fill(stream, &mut mark)?;
        Ok(u32::from_be_bytes(mark))
    }

    /// Fills `target`, straight from the stream once what was read ahead is used up.
    fn fill(&mut self, stream: &mut impl Read, target: &mut [u8]) -> Result<(), End> {
        let ready = target.len().min(self.end - self.start);
        target[..ready].copy_from_slice(&self.ahead[self.start..self.start + ready]);
        self.start += ready;
        let mut at = ready;
        while at < target.len() {
            let wanted = target.len() - at;
            let mut slices = [IoSliceMut::new(&mut target[at..]), IoSliceMut::new(&mut self.ahead)];
            match stream.read_vectored(&mut slices) {
                Ok(0) => return Err(End::Broken),
                Ok(count) => {
                    at += count.min(wanted);
                    (self.start, self.end) = (0, count.saturating_sub(wanted));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Broken),
            }
            if self.began.elapsed() > RECORD_TIME_MAX {
                return Err(End::Broken);
            }
        }
        Ok(())
    }
}

/// Whether a call to the system ended because its time was over.
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nfs::buffers::Buffers;

    /// Gives its bytes in pieces of at most `piece`.
    struct Pieces<'a> {
        bytes: &'a [u8],
        piece: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.piece.min(buffer.len()).min(self.bytes.len());
            self.bytes.read(&mut buffer[..piece])
        }

        fn read_vectored(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            let mut left = self.piece;
            let mut count = 0;
            for slice in slices {
                let piece = left.min(slice.len());
                let got = self.bytes.read(&mut slice[..piece])?;
                (left, count) = (left - got, count + got);
            }
            Ok(count)
        }
    }

    fn fragment(body: &[u8], last: bool) -> Vec<u8> {
        let mark = body.len() as u32 | if last { LAST_FRAGMENT } else { 0 };
        [&mark.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn records_come_whole_however_they_are_cut() {
        let bodies: Vec<Vec<u8>> = [1, 40, 9_000, 3, 70_000, 8_192, 17].map(|len| vec![len as u8; len]).to_vec();
        let fragments = bodies.iter().flat_map(|body| {
            let (front, back) = body.split_at(body.len() / 3);
            [fragment(front, false), fragment(back, true), fragment(body, true)]
        });
        let bytes: Vec<u8> = fragments.flatten().collect();
        for piece in [1, 7, 4_096, 100_000] {
            let buffers = Buffers::new(1 << 20);
            let mut stream = Pieces { bytes: &bytes, piece };
            let mut reader = RecordReader::default();
            for body in bodies.iter().flat_map(|body| [body, body]) {
                assert_eq!(reader.read(&mut stream, &buffers.portion(None), &mut || true).unwrap().filled(), body);
            }
            assert!(matches!(reader.read(&mut stream, &buffers.portion(None), &mut || true), Err(End::Closed)));
            assert_eq!(buffers.in_use(), 0);
        }
    }

    #[test]
    fn a_record_is_whole_once_reading_it_waits_for_nobody() {
        let bytes = [fragment(b"one", true), fragment(b"two", true), fragment(b"in parts", false)].concat();
        for (cut, after_one, after_two) in (7..=bytes.len()).map(|cut| (cut, cut >= 14, false)) {
            let buffers = Buffers::new(1 << 20).portion(None);
            let mut stream = Pieces { bytes: &bytes[..cut], piece: usize::MAX };
            let mut reader = RecordReader::default();
            assert!(!reader.has_whole());
            assert_eq!(reader.read(&mut stream, &buffers, &mut || true).unwrap().filled(), b"one");
            assert_eq!(reader.has_whole(), after_one, "of {cut} bytes");
            if after_one {
                assert_eq!(reader.read(&mut stream, &buffers, &mut || true).unwrap().filled(), b"two");
                assert_eq!(reader.has_whole(), after_two, "of {cut} bytes");
            }
        }
    }

    #[test]
    fn giants_and_endless_fragments_are_refused_before_memory_is_taken() {
        let endless = fragment(b"", false).repeat(FRAGMENTS_MAX + 1);
        let grown = fragment(&[0; LARGEST_LEN / 2], false).repeat(3);
        let giants = [vec![0xff; 8], vec![0x7f, 0xff, 0xff, 0xff], endless, grown];
        for bytes in giants {
            let buffers = Buffers::new(1 << 20);
            let mut stream = Pieces { bytes: &bytes, piece: usize::MAX };
            let end = RecordReader::default().read(&mut stream, &buffers.portion(None), &mut || true);
            assert!(matches!(end, Err(End::Refused)));
        }
        let half = fragment(&[0; 100], true);
        let mut stream = Pieces { bytes: &half[..50], piece: usize::MAX };
        let end = RecordReader::default().read(&mut stream, &Buffers::new(1).portion(None), &mut || true);
        assert!(matches!(end, Err(End::Broken)));
    }
}
