//! Extents from the disk: those that lie side by side come in one read.
//!
//! Invariant: an extent that a read of several does not give is read once more by itself, so it fails only as it would
//! alone.

use crate::account::SlotKind;
use crate::error::{Error, Result};
use crate::extent::{Extent, PlainBlock};
use crate::format::{DecodeError, SegmentId};
use crate::segment::Place;
use crate::store::Store;
use crate::store::bench::Bench;
use crate::sync::Ordering;
use crate::tree::BlockPointer;

/// Plain bytes that are wanted of one read: so much is read and decoded by one thread.
const SPAN_PLAIN_MAX: u64 = 256 << 10;
/// Stored bytes of one read, what lies between the extents included.
const SPAN_LEN_MAX: u32 = 512 << 10;
/// Bytes between two extents that are read and not used.
const GAP_MAX: u32 = 16 << 10;

/// A block that is to be read: its place in the caller's list, and what it is.
pub(in crate::store) type Wanted = (usize, BlockPointer);
/// A block that was read: its place in the caller's list, and its bytes.
pub(in crate::store) type Got = (usize, PlainBlock);

/// Extents that lie side by side, and what is wanted of each.
pub(in crate::store) struct Span {
    /// All of it.
    place: Place,
    extents: Vec<(Place, Vec<Wanted>)>,
}

impl Span {
    fn of(place: Place, wanted: &[Wanted]) -> Self {
        Self { place, extents: vec![(place, wanted.to_vec())] }
    }

    fn wanted_len(&self) -> usize {
        self.extents.iter().map(|(_, wanted)| wanted.len()).sum()
    }

    /// Takes up the extent that lies next, unless it is too far away or the span is long enough.
    fn takes(&mut self, place: Place, wanted: &[Wanted], block_len: u32) -> bool {
        let plain_len = (self.wanted_len() + wanted.len()) as u64 * u64::from(block_len);
        let fits = place.segment == self.place.segment
            && place.offset.saturating_sub(self.place.end()) <= GAP_MAX
            && place.end().saturating_sub(self.place.offset) <= SPAN_LEN_MAX
            && plain_len <= SPAN_PLAIN_MAX;
        if fits {
            self.place.length = place.end().max(self.place.end()) - self.place.offset;
            self.extents.push((place, wanted.to_vec()));
        }
        fits
    }
}

impl Store {
    /// The reads that bring `missing`, which is in order of ids.
    pub(in crate::store) fn spans(&self, missing: &[Wanted], block_len: u32) -> Vec<Span> {
        let extents = missing.chunk_by(|(_, left), (_, right)| left.id == right.id);
        let place = |wanted: &[Wanted]| {
            let slot = self.account.lookup(wanted[0].1.id).ok()??;
            Some(slot.place).filter(|_| slot.kind == SlotKind::Extent)
        };
        // What is not found is a span of its own that cannot be read, and tells why.
        let nowhere = Place { segment: SegmentId(u64::MAX), offset: 0, length: 0 };
        let mut places: Vec<(Place, &[Wanted])> =
            extents.map(|wanted| (place(wanted).unwrap_or(nowhere), wanted)).collect();
        places.sort_by_key(|(place, _)| *place);
        let mut spans: Vec<Span> = Vec::new();
        for (place, wanted) in places {
            let taken = spans.last_mut().is_some_and(|span| span.takes(place, wanted, block_len));
            if !taken {
                spans.push(Span::of(place, wanted));
            }
        }
        spans
    }

    /// Reads blocks of the extents of a span.
    pub(in crate::store) fn fetch_span(&self, span: &Span, block_len: u32, bench: &mut Bench) -> Result<Vec<Got>> {
        let mut blocks = Vec::with_capacity(span.wanted_len());
        let mut left: Vec<&[Wanted]> = Vec::new();
        if span.extents.len() > 1 && self.read_span(span, &mut bench.stored) {
            for (place, wanted) in &span.extents {
                let at = (place.offset - span.place.offset) as usize;
                let stored = &bench.stored[at..at + place.length as usize];
                let opened = Extent::open(stored, wanted[0].1.id, &mut bench.compressor);
                match opened.and_then(|extent| self.take(&extent, wanted, block_len)) {
                    Ok(got) => blocks.extend(got),
                    Err(_) => left.push(wanted),
                }
            }
        } else {
            left.extend(span.extents.iter().map(|(_, wanted)| &wanted[..]));
        }
        for wanted in left {
            blocks.extend(self.fetch(wanted, block_len, bench)?);
        }
        assert_eq!(blocks.len(), span.wanted_len(), "what is not told of reads as zeros");
        Ok(blocks)
    }

    fn read_span(&self, span: &Span, stored: &mut Vec<u8>) -> bool {
        self.fetched.fetch_add(span.extents.len() as u64, Ordering::Relaxed);
        stored.resize(span.place.length as usize, 0);
        self.account.segments().read(span.place, stored).is_ok()
    }

    /// Reads blocks of one extent.
    pub(in crate::store) fn fetch(&self, wanted: &[Wanted], block_len: u32, bench: &mut Bench) -> Result<Vec<Got>> {
        let id = wanted[0].1.id;
        let mut last = None;
        self.fetched.fetch_add(1, Ordering::Relaxed);
        // Twice: it may have been moved between looking it up and reading it.
        for _ in 0..2 {
            self.account.read_extent(id, &mut bench.stored)?;
            let opened = Extent::open(&bench.stored, id, &mut bench.compressor);
            match opened.and_then(|extent| self.take(&extent, wanted, block_len)) {
                Ok(blocks) => return Ok(blocks),
                Err(error) => last = Some(error),
            }
        }
        let cause = last.expect("the loop ends early or with an error");
        Err(Error::because(cause.kind(), format!("read blocks of the extent {id:?}"), cause))
    }

    /// Proves the blocks that are wanted, and keeps them and perhaps their neighbours.
    fn take(&self, extent: &Extent<'_>, wanted: &[Wanted], block_len: u32) -> Result<Vec<Got>, DecodeError> {
        if extent.header().block_len() != block_len as usize {
            return Err(DecodeError::Field("block length"));
        }
        let blocks: Vec<Got> = wanted
            .iter()
            .map(|(which, pointer)| {
                Ok((*which, PlainBlock::from(extent.block(usize::from(pointer.index), &pointer.hash)?)))
            })
            .collect::<Result<_, DecodeError>>()?;
        for ((_, bytes), (_, pointer)) in blocks.iter().zip(wanted) {
            self.keep_block(extent.header().id, pointer.index, pointer.hash, bytes.clone());
        }
        self.keep_neighbours(extent, wanted);
        Ok(blocks)
    }

    /// Keeps the blocks behind those that are wanted, if these begin the extent: whoever reads in order does that
    /// and comes for them next, and who reads at random seldom does, and has no use for them.
    fn keep_neighbours(&self, extent: &Extent<'_>, wanted: &[Wanted]) {
        let (first, last) = (wanted[0].1.index, wanted[wanted.len() - 1].1.index);
        if first != 0 {
            return;
        }
        for index in last + 1..extent.header().hashes.len() as u8 {
            let hash = extent.header().hashes[usize::from(index)].block_hash();
            if let Ok(bytes) = extent.block(usize::from(index), &hash) {
                self.keep_block(extent.header().id, index, hash, PlainBlock::from(bytes));
            }
        }
    }
}
