//! What lies in a segment: for cleaning.

use std::collections::BTreeSet;

use crate::account::Account;
use crate::account::radix::Key;
use crate::account::slots::{Slot, SlotKind};
use crate::error::{ErrorKind, Result};
use crate::extent::{BLOCKS_MAX, HASH_LEN, HEADER_LEN, Header, Origin};
use crate::format::{SegmentId, SlotId};
use crate::segment::{BLOCK_LEN, Place, Segments, Stream};

/// Bytes read at once.
const WINDOW_LEN: u32 = 1 << 20;
/// Bytes that the header of an extent has, at most.
const FRONT_LEN: u32 = (HEADER_LEN + BLOCKS_MAX * HASH_LEN) as u32;

/// A live extent or node in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: SlotId,
    /// Where it lies, and which of its blocks live.
    pub slot: Slot,
    /// Of an extent: where its blocks were written first.
    pub origin: Option<Origin>,
}

/// A segment of extents, a piece of it in memory.
struct Window<'a> {
    segments: &'a Segments,
    segment: SegmentId,
    length: u32,
    start: u32,
    bytes: Vec<u8>,
}

impl Account {
    /// The live extents or nodes of a finished segment. `identify` reads the id out of a node's bytes, if they
    /// are a node's. What is damaged beyond recognition is not found.
    pub fn scan_segment(&self, segment: SegmentId, identify: &dyn Fn(&[u8]) -> Option<SlotId>) -> Result<Vec<Found>> {
        let length = self.segments().file_length(segment)?.min(u64::from(self.segments().options().segment_len)) as u32;
        let found = match self.segments().stream_of(segment) {
            Some(Stream::Data) => self.scan_extents(segment, length),
            Some(Stream::Node) => self.scan_nodes(segment, length, identify),
            None => Err(ErrorKind::NotFound.into()),
        };
        found.map_err(|error| error.during("look through a segment"))
    }

    /// A live extent is passed over by its length, and nothing else is: where something died, a stretch may have been given
    /// back that began and ended in the middle of an extent, and what users stored may look like one.
    fn scan_extents(&self, segment: SegmentId, length: u32) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut window = Window::new(self.segments(), segment, length);
        let mut offset = window.find(0)?;
        while offset < length {
            let mut next = offset + 1;
            if let Ok(header) = Header::decode(window.from(offset)?) {
                let place = Place { segment, offset, length: header.extent_len() as u32 };
                if self.push_live(header.id, place, SlotKind::Extent, Some(header.origin), &mut found)? {
                    next = place.end();
                }
            }
            offset = window.find(next)?;
        }
        Ok(found)
    }

    fn scan_nodes(
        &self,
        segment: SegmentId,
        length: u32,
        identify: &dyn Fn(&[u8]) -> Option<SlotId>,
    ) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for start in (0..length).step_by(WINDOW_LEN as usize) {
            let mut window = vec![0; WINDOW_LEN.min(length - start) as usize];
            self.segments().read(Place { segment, offset: start, length: window.len() as u32 }, &mut window)?;
            for (at, bytes) in window.chunks_exact(BLOCK_LEN as usize).enumerate() {
                if let Some(id) = identify(bytes) {
                    let place = Place { segment, offset: start + at as u32 * BLOCK_LEN, length: BLOCK_LEN };
                    self.push_live(id, place, SlotKind::Node, None, &mut found)?;
                }
            }
        }
        Ok(found)
    }

    /// Only the slot table knows what is current: bytes may look like an extent and be none. Returns whether it is.
    fn push_live(
        &self,
        id: SlotId,
        place: Place,
        kind: SlotKind,
        origin: Option<Origin>,
        found: &mut Vec<Found>,
    ) -> Result<bool> {
        let slot = match self.lookup(id) {
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            other => other?,
        };
        let current = slot.filter(|slot| slot.place == place && slot.kind == kind);
        found.extend(current.map(|slot| Found { id, slot, origin }));
        Ok(current.is_some())
    }

    /// Has the next commit write every page anew that lies in one of these segments, so that they empty.
    pub fn rewrite_pages(&self, segments: &BTreeSet<SegmentId>) -> Result<()> {
        let mut books = self.books.lock();
        let root = self.ledger.read().slots;
        let mut rewrite = BTreeSet::new();
        // A node is written anew with any page below it: the first that follows in the walk.
        let mut node_due = false;
        root.walk(&self.pages, &mut |(level, number): Key, link| {
            node_due |= segments.contains(&link.place.segment);
            if level == 0 && node_due {
                rewrite.insert(number);
                node_due = false;
            }
            Ok(())
        })?;
        books.rewrite.extend(rewrite);
        let mut touched = Vec::new();
        let mut node_due = false;
        let usage_root = books.usage_root;
        usage_root.walk(&self.pages, &mut |(level, number): Key, link| {
            node_due |= segments.contains(&link.place.segment);
            if level == 0 && node_due {
                touched.push(number);
                node_due = false;
            }
            Ok(())
        })?;
        touched.into_iter().for_each(|page| books.usage.touch(page));
        let pieces = books.log.chunks.iter().map(|chunk| chunk.link).chain(books.log.head);
        let log_due = pieces.into_iter().any(|link| segments.contains(&link.place.segment));
        books.rewrite_log |= log_due;
        Ok(())
    }
}

impl<'a> Window<'a> {
    fn new(segments: &'a Segments, segment: SegmentId, length: u32) -> Self {
        Self { segments, segment, length, start: 0, bytes: Vec::new() }
    }

    /// The bytes from `offset` on: what a header takes, or what there is.
    fn from(&mut self, offset: u32) -> Result<&[u8]> {
        let wanted = offset..self.length.min(offset + FRONT_LEN);
        if offset < self.start || wanted.end > self.start + self.bytes.len() as u32 {
            self.start = offset;
            self.bytes.resize(WINDOW_LEN.min(self.length - offset) as usize, 0);
            let place = Place { segment: self.segment, offset, length: self.bytes.len() as u32 };
            self.segments.read(place, &mut self.bytes)?;
        }
        Ok(&self.bytes[(offset - self.start) as usize..])
    }

    /// Where the next header may begin, from `offset` on; the length if nowhere.
    fn find(&mut self, mut offset: u32) -> Result<u32> {
        while offset < self.length {
            let bytes = self.from(offset)?;
            if let Some(at) = Header::find(bytes) {
                return Ok(offset + at as u32);
            }
            // The next one may begin in the last bytes of these.
            offset += (bytes.len() as u32).saturating_sub(3).max(1);
        }
        Ok(self.length)
    }
}
