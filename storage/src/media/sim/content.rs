//! The bytes of one simulated file, sparse and cheap to copy.
//!
//! Invariant: nothing is kept past the length, so growing a file shows zeros.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

const PAGE: u64 = 4096;

type Page = [u8; PAGE as usize];

/// Pages that were never written, or only with zeros, are absent: a preallocated file costs nothing.
#[derive(Clone, Default)]
pub(super) struct Content {
    length: u64,
    pages: Arc<BTreeMap<u64, Arc<Page>>>,
    /// Pages given back to the host; the others below the length count as allocated.
    holes: Arc<BTreeSet<u64>>,
}

impl Content {
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that the host has set aside for it.
    pub fn allocated(&self) -> u64 {
        (self.length.div_ceil(PAGE) - self.holes.len() as u64) * PAGE
    }

    /// Bytes that a write of this range would newly allocate.
    pub fn growth(&self, range: &Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let beyond = range.end.div_ceil(PAGE).saturating_sub(self.length.div_ceil(PAGE));
        (beyond + self.holes.range(page_range(range)).count() as u64) * PAGE
    }

    /// Fills `buffer`, which must lie within the length.
    pub fn read(&self, buffer: &mut [u8], offset: u64) {
        for (page, within, part) in parts(offset, buffer.len()) {
            match self.pages.get(&page) {
                Some(bytes) => buffer[part].copy_from_slice(&bytes[within]),
                None => buffer[part].fill(0),
            }
        }
    }

    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        let range = offset..offset + bytes.len() as u64;
        if self.growth(&range) > 0 && !self.holes.is_empty() {
            let pages = page_range(&range);
            Arc::make_mut(&mut self.holes).retain(|page| !pages.contains(page));
        }
        self.length = self.length.max(range.end);
        let pages = Arc::make_mut(&mut self.pages);
        for (page, within, part) in parts(offset, bytes.len()) {
            let bytes = &bytes[part];
            if within.len() == PAGE as usize && bytes.iter().all(|byte| *byte == 0) {
                pages.remove(&page);
                continue;
            }
            let stored = pages.entry(page).or_insert_with(|| Arc::new([0; PAGE as usize]));
            Arc::make_mut(stored)[within].copy_from_slice(bytes);
        }
    }

    pub fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.zero(length..self.length);
            let end = length.div_ceil(PAGE);
            Arc::make_mut(&mut self.holes).retain(|page| *page < end);
        }
        self.length = length;
    }

    pub fn punch(&mut self, range: Range<u64>) {
        let range = range.start..range.end.min(self.length.next_multiple_of(PAGE));
        if range.start >= range.end {
            return;
        }
        self.zero(range.clone());
        Arc::make_mut(&mut self.holes).extend(range.start.div_ceil(PAGE)..range.end / PAGE);
    }

    fn zero(&mut self, range: Range<u64>) {
        let pages = Arc::make_mut(&mut self.pages);
        let touched: Vec<u64> = pages.range(page_range(&range)).map(|(page, _)| *page).collect();
        for page in touched {
            let start = range.start.saturating_sub(page * PAGE) as usize;
            let end = (range.end - page * PAGE).min(PAGE) as usize;
            if start == 0 && end == PAGE as usize {
                pages.remove(&page);
            } else if let Some(bytes) = pages.get_mut(&page) {
                Arc::make_mut(bytes)[start..end].fill(0);
            }
        }
    }

    /// Pages that have a byte that is not zero, in order. One that was partly written with zeros counts as none.
    pub fn written(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let pages = self.pages.iter().map(|(page, bytes)| (*page, &bytes[..]));
        pages.filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
    }

    /// Flips bits of one byte, if the file has it.
    pub fn flip(&mut self, offset: u64, mask: u8) {
        if offset < self.length {
            let mut byte = [0];
            self.read(&mut byte, offset);
            self.write(&[byte[0] ^ mask], offset);
        }
    }

    /// Takes the whole pages that `range` touches from `other`.
    pub fn copy_pages(&mut self, other: &Self, range: &Range<u64>) {
        let touched = page_range(range);
        let pages = Arc::make_mut(&mut self.pages);
        let old: Vec<u64> = pages.range(touched.clone()).map(|(page, _)| *page).collect();
        old.iter().for_each(|page| drop(pages.remove(page)));
        pages.extend(other.pages.range(touched).map(|(page, bytes)| (*page, Arc::clone(bytes))));
    }

    /// Takes the length, and which pages are allocated, from `other`.
    pub fn copy_shape(&mut self, other: &Self) {
        self.set_length(other.length);
        self.holes = Arc::clone(&other.holes);
    }
}

fn page_range(range: &Range<u64>) -> Range<u64> {
    range.start / PAGE..range.end.div_ceil(PAGE)
}

/// Cuts a transfer into pages: the page, the place within it, and the place in the caller's buffer.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let end = offset + len as u64;
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let page = at / PAGE;
        let stop = end.min((page + 1) * PAGE);
        let within = (at - page * PAGE) as usize..(stop - page * PAGE) as usize;
        let part = (at - offset) as usize..(stop - offset) as usize;
        at = stop;
        Some((page, within, part))
    })
}
