//! Gives long dead stretches inside segments back to the host, where moving all that lives around them costs more.
//!
//! Invariants: what is given back lies in a finished segment in which neither of the last two durable commits, nor one that
//! somebody reads, changed anything, so none of them refers to it; and all that lives there is known, because it adds up
//! to what the usage table counts. Nothing is ever appended to a finished segment, so what is dead there stays so.

use std::ops::Range;

use crate::account::Account;
use crate::account::radix::Root;
use crate::account::slots::{PAGE_SLOTS, page_of};
use crate::account::usage::{Record, SegmentUsage};
use crate::error::{ErrorKind, Result};
use crate::format::{Birth, SegmentId, SlotId};
use crate::segment::{BLOCK_LEN, Place, SLOTS_MAX, Stream};

/// What became of a segment with dead stretches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// It changed too recently, or is gone: ask again after more commits.
    NotYet,
    /// So many bytes were given back that were not before.
    Bytes(u64),
}

impl Account {
    /// The finished segments of extents in which so much is dead, and not given back, that there may be a long stretch.
    pub fn punchable_segments(&self) -> Vec<SegmentUsage> {
        let books = self.books.lock();
        let finished = books.usage.finished().filter(|usage| usage.stream == Stream::Data);
        let dead = |usage: &SegmentUsage| books.usage.get(usage.segment).map_or(0, Record::dead);
        finished.filter(|usage| dead(usage) >= self.options.punched_min).collect()
    }

    /// Gives back the long dead stretches of a segment. `durable` is the last commit whose superblock is durable, and
    /// `oldest_reader` the oldest whose root somebody reads. Commits and readers may go on meanwhile.
    pub fn give_back(&self, segment: SegmentId, durable: Birth, oldest_reader: Birth) -> Result<GivenBack> {
        let Some((record, root)) = self.settled(segment, durable, oldest_reader) else { return Ok(GivenBack::NotYet) };
        let Some(living) = self.all_living(segment, root, record.live)? else { return Ok(GivenBack::Bytes(0)) };
        let stretches = dead_stretches(living, record.sealed, self.options.punched_min);
        if stretches.is_empty() {
            return Ok(GivenBack::Bytes(0));
        }
        match self.segments().punch(segment, &stretches) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(GivenBack::NotYet),
            other => other?,
        }
        let punched = stretches.iter().map(|stretch| stretch.end - stretch.start).sum();
        let mut books = self.books.lock();
        let more = books.usage.set_punched(segment, punched);
        *self.figures.lock() = books.figures();
        Ok(GivenBack::Bytes(u64::from(more)))
    }

    /// A segment's record, and the slot table as of that, if both superblock slots and all readers agree on what is dead.
    fn settled(&self, segment: SegmentId, durable: Birth, oldest_reader: Birth) -> Option<(Record, Root)> {
        let books = self.books.lock();
        let record = *books.usage.get(segment).filter(|record| record.sealed > 0)?;
        let changed = record.changed.max(books.opened);
        let ledger = self.ledger.read();
        let settled = changed < durable && changed <= oldest_reader && !ledger.pins(segment);
        settled.then_some((record, ledger.slots))
    }

    /// The places of all that lives in a segment, which add up to `live` bytes, or `None` if not all of it can be found.
    fn all_living(&self, segment: SegmentId, root: Root, live: u32) -> Result<Option<Vec<Place>>> {
        let adds_up =
            |places: &Vec<Place>| places.iter().map(|place| u64::from(place.length)).sum::<u64>() == u64::from(live);
        // Most segments hold what was first written to them, and the slot table tells that at once.
        let born = Some(self.born_in(segment, root)?).filter(adds_up);
        if born.is_some() {
            return Ok(born);
        }
        let found = self.scan_segment(segment, &|_| None)?;
        Ok(Some(found.into_iter().map(|found| found.slot.place).collect()).filter(adds_up))
    }

    fn born_in(&self, segment: SegmentId, root: Root) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        let first = page_of(SlotId::new(segment, 0))?;
        for number in first..first + u64::from(SLOTS_MAX / PAGE_SLOTS) {
            if let Some(link) = root.find(&self.pages, number)? {
                let page = self.pages.slot_page(&link, number)?;
                places.extend(page.iter().map(|(_, slot)| slot.place).filter(|place| place.segment == segment));
            }
        }
        Ok(places)
    }
}

/// The whole blocks between `living`, and behind the last of it up to `end`, in stretches of at least `length_min` bytes.
fn dead_stretches(mut living: Vec<Place>, end: u32, length_min: u32) -> Vec<Range<u32>> {
    living.sort();
    let starts = living.iter().map(|place| place.offset).chain([end]);
    let ends = [0].into_iter().chain(living.iter().map(Place::end));
    let whole = |(start, end): (u32, u32)| start.next_multiple_of(BLOCK_LEN)..end / BLOCK_LEN * BLOCK_LEN;
    ends.zip(starts).map(whole).filter(|stretch| stretch.start + length_min.max(1) <= stretch.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Choices;

    /// Against a bit for each byte.
    #[test]
    fn dead_stretches_are_all_that_are_long_enough_and_nothing_that_lives() {
        for seed in 0..200 {
            let choices = &mut Choices::new(seed);
            let (mut living, mut offset, end) = (Vec::new(), 0, 60 * BLOCK_LEN);
            loop {
                let most = [1, 9000, 60_000][choices.below(3) as usize];
                offset += choices.below(most) as u32;
                let length = 1 + choices.below(most) as u32;
                if offset + length > end {
                    break;
                }
                living.push(Place { segment: SegmentId(1), offset, length });
                offset += length;
            }
            let lives = |block: u32| {
                let (start, end) = (block * BLOCK_LEN, (block + 1) * BLOCK_LEN);
                living.iter().any(|place| place.offset < end && place.end() > start)
            };
            let mut expected: Vec<Range<u32>> = Vec::new();
            for block in (0..60).filter(|block| !lives(*block)) {
                let start = block * BLOCK_LEN;
                match expected.last_mut().filter(|last| last.end == start) {
                    Some(last) => last.end += BLOCK_LEN,
                    None => expected.push(start..start + BLOCK_LEN),
                }
            }
            expected.retain(|stretch| stretch.end - stretch.start >= 3 * BLOCK_LEN);
            // In any order.
            living.reverse();
            assert_eq!(dead_stretches(living, end, 3 * BLOCK_LEN), expected, "seed {seed}");
        }
    }
}
