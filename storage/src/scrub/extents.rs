//! Reads what is stored in the order in which it lies, many extents at once, and checks every block that somebody refers to.

use crate::error::Result;
use crate::executor::map;
use crate::extent::{Compressor, Extent, Header};
use crate::format::SlotId;
use crate::scrub::report::{Meter, told};
use crate::scrub::window::{Entry, Window, digest};
use crate::segment::Place;
use crate::store::Store;

/// Bytes that are read together, as long as no larger gap than [`GAP_MAX`] lies between.
const SPAN_LEN: u32 = 1 << 20;
/// Bytes that are read and not wanted, rather than reading twice.
const GAP_MAX: u32 = 64 << 10;
/// Spans that are under way at once: 16 MiB of memory.
const SPANS_TOGETHER: usize = 16;

/// An extent that is damaged.
#[derive(Debug)]
pub struct Broken {
    /// Which one.
    pub id: SlotId,
    /// A bit for each block that is hit.
    pub blocks: u32,
    /// What is wrong.
    pub problem: String,
}

/// Checks what was read of a slot, or tells why it cannot be read.
pub type Check<'c> = dyn Fn(&Entry, Result<&[u8]>, &mut Compressor) -> Option<Broken> + Sync + 'c;

/// Reads and checks the extents of a window. Returns early when told to stop.
pub fn check(store: &Store, window: &Window, meter: &mut Meter<'_>) -> Result<Vec<Broken>> {
    let wanted = |entry: &&Entry| !entry.is_node && window.referenced(entry) != 0;
    let entries = window.entries().iter().filter(wanted).collect();
    let check = |entry: &Entry, bytes: Result<&[u8]>, with: &mut Compressor| check_referred(window, entry, bytes, with);
    check_all(store, entries, &check, &mut |entries| {
        for entry in entries.iter().copied().flatten() {
            meter.count(1, u64::from(entry.place.length));
        }
        meter.go_on()
    })
}

/// Reads slots and has each checked. `read` is told what was, and returns whether to go on.
pub fn check_all(
    store: &Store,
    mut entries: Vec<&Entry>,
    check: &Check<'_>,
    read: &mut dyn FnMut(&[&[&Entry]]) -> bool,
) -> Result<Vec<Broken>> {
    entries.sort_unstable_by_key(|entry| entry.place);
    let mut broken = Vec::new();
    for batch in spans(&entries).chunks(SPANS_TOGETHER) {
        let checked = map(store.executor(), batch.len(), |number| check_span(store, batch[number], check));
        for found in checked {
            broken.extend(found?);
        }
        if !read(batch) {
            break;
        }
    }
    Ok(broken)
}

/// Cuts sorted extents into what is read together.
fn spans<'a, 'e>(entries: &'a [&'e Entry]) -> Vec<&'a [&'e Entry]> {
    let mut spans = Vec::new();
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let start = first.place;
        let mut end = start.end();
        let joins = |entry: &&&Entry| {
            let place = entry.place;
            let joins = place.segment == start.segment
                && place.offset <= end.saturating_add(GAP_MAX)
                && place.end() - start.offset <= SPAN_LEN;
            end = end.max(place.end());
            joins
        };
        let count = 1 + rest[1..].iter().take_while(joins).count();
        let (span, after) = rest.split_at(count);
        spans.push(span);
        rest = after;
    }
    spans
}

fn check_span(store: &Store, span: &[&Entry], check: &Check<'_>) -> Result<Vec<Broken>> {
    let place = whole(span);
    let mut bytes = vec![0; place.length as usize];
    let segments = store.account().segments();
    // When it cannot be read as a whole, each extent gets its own chance.
    let is_read = segments.read(place, &mut bytes).is_ok();
    store.with_compressor(|compressor| {
        let mut broken = Vec::new();
        for entry in span {
            broken.extend(if is_read {
                let start = (entry.place.offset - place.offset) as usize;
                check(entry, Ok(&bytes[start..start + entry.place.length as usize]), compressor)
            } else {
                let mut own = vec![0; entry.place.length as usize];
                let own = segments.read(entry.place, &mut own).map(|()| &own[..]);
                check(entry, own, compressor)
            });
        }
        Ok(broken)
    })
}

fn whole(span: &[&Entry]) -> Place {
    let Place { segment, offset, .. } = span[0].place;
    let end = span.iter().map(|entry| entry.place.end()).max().unwrap_or(offset);
    Place { segment, offset, length: end - offset }
}

/// Checks an extent by itself and by those who refer to it.
fn check_referred(window: &Window, entry: &Entry, bytes: Result<&[u8]>, with: &mut Compressor) -> Option<Broken> {
    let wanted = window.referenced(entry);
    let hit = match check_extent(entry, wanted, bytes, with) {
        Err(broken) => return Some(broken),
        Ok(header) if header.block_len_log2 != window.block_len_log2(entry) => {
            (wanted, "its blocks are not of its dataset's size")
        }
        Ok(header) => {
            let differs = |(index, found, sum): &(u8, u32, u32)| {
                let stored = digest(&header.hashes[usize::from(*index)].block_hash());
                *sum != stored.wrapping_mul(*found)
            };
            let blocks = window.blocks(entry).filter(|(_, block)| block.found > 0);
            let sums = blocks.map(|(index, block)| (index, block.found, block.digest));
            let other = sums.filter(differs).fold(0, |bits, (index, ..)| bits | 1 << index);
            (other, "it holds other blocks than the tree says")
        }
    };
    (hit.0 != 0).then(|| broken(entry, hit.0, hit.1))
}

/// Checks blocks of an extent by what its header says.
pub fn check_extent(
    entry: &Entry,
    wanted: u32,
    bytes: Result<&[u8]>,
    with: &mut Compressor,
) -> std::result::Result<Header, Broken> {
    let bytes = bytes.map_err(|error| broken(entry, wanted, &told(&error)))?;
    let extent = Extent::open(bytes, entry.id, with).map_err(|error| broken(entry, wanted, &told(&error)))?;
    let header = extent.header();
    let absent = wanted & !header.present;
    if absent != 0 {
        return Err(broken(entry, absent, "it lacks blocks that are referred to"));
    }
    let damaged = extent.damaged() & wanted;
    if damaged != 0 {
        return Err(broken(entry, damaged, "a block is not what was written"));
    }
    Ok(header.clone())
}

fn broken(entry: &Entry, blocks: u32, problem: &str) -> Broken {
    let problem = format!("the extent {:?} is damaged: {problem}", entry.id);
    Broken { id: entry.id, blocks, problem }
}
