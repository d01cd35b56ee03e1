//! Moves what lives out of sparse segments, so that their files can be unlinked, and gives back long dead stretches in the
//! others, where they lie.
//!
//! Survivors are written in order of dataset, inode and offset: that also mends scans of files that
//! were written at random. Ids and trees do not change, only where a slot says that it lies.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::account::{Found, GivenBack, SegmentUsage, SlotKind};
use crate::error::{ErrorKind, Result};
use crate::extent::{Encoding, Extent, Sealed};
use crate::format::{Birth, SegmentId};
use crate::pool::Progress;
use crate::pool::core::Core;
use crate::scrub::{Damage, told};
use crate::sync::Ordering;
use crate::tree::Node;

/// A segment is worth cleaning when at most this part of it lives: then its file's space pays for the move.
pub const LIVE_PERCENT_MAX: u32 = 50;
/// The level that survivors are compressed at: they have lived long enough to be worth more than at first.
const LEVEL: i8 = 3;
/// What looking through a segment for dead stretches costs of a step's budget, beside the bytes that are given back.
const LOOK_COST: u64 = 64 << 10;
/// So much more has to die in a segment that was looked through until it is worth another look.
const DIED_MIN: u32 = 256 << 10;

/// What cleaning remembers between steps.
#[derive(Debug, Default)]
pub struct Cleaning {
    /// Segments that were emptied before this commit are still listed until it is done.
    moved_before: Option<Birth>,
    /// Segments that something damaged keeps from emptying: a step does not come back to them.
    stuck: HashSet<SegmentId>,
    /// Segments that were looked through for dead stretches, and how much lived in them then.
    looked_through: HashMap<SegmentId, u32>,
    /// The host cannot take a part of a file back.
    cannot_punch: bool,
}

impl Core {
    /// Moves up to about `budget` bytes, which become free with the commits that follow; what is left of the budget goes
    /// into dead stretches, which are given back at once.
    pub fn clean_step(&self, budget: u64) -> Result<Progress> {
        self.check()?;
        let mut cleaning = self.cleaning.lock();
        let moved = self.empty_sparse(&mut cleaning, budget)?;
        let given = self.give_back_dead(&mut cleaning, budget.saturating_sub(moved.done))?;
        let damage = [moved.damage, given.damage].concat();
        Ok(Progress { done: moved.done + given.done, idle: moved.idle && given.idle, damage })
    }

    fn empty_sparse(&self, cleaning: &mut Cleaning, budget: u64) -> Result<Progress> {
        // Else what is looked up and read here could be given back meanwhile.
        let _pin = self.epoch.pin();
        let committed = self.epoch.present();
        if cleaning.moved_before.is_some_and(|birth| committed <= birth) {
            return Ok(Progress { idle: true, ..Progress::default() });
        }
        let (segments, found) = self.survivors(cleaning, budget)?;
        if segments.is_empty() {
            return Ok(Progress { idle: true, ..Progress::default() });
        }
        let (mut done, mut damage) = (0, Vec::new());
        for survivor in &found {
            match self.move_one(survivor) {
                Ok(length) => done += length,
                // It died while it was read, which is no damage.
                Err(error) if error.kind() == ErrorKind::Corrupt && !self.lies_there(survivor)? => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    cleaning.stuck.insert(survivor.slot.place.segment);
                    let problem = format!("{:?} cannot be moved to save space: {}", survivor.id, told(&error));
                    damage.push(Damage::of_the_pool(problem));
                }
                Err(error) => return Err(error),
            }
        }
        self.store.account().rewrite_pages(&segments)?;
        cleaning.moved_before = Some(committed);
        self.moved.store(true, Ordering::Release);
        Ok(Progress { done, idle: false, damage })
    }

    /// Gives back long dead stretches of segments that are not worth emptying.
    fn give_back_dead(&self, cleaning: &mut Cleaning, budget: u64) -> Result<Progress> {
        let mut progress = Progress { idle: true, ..Progress::default() };
        let mut left = budget;
        let durable = self.epoch.present();
        for usage in self.worth_a_look(cleaning) {
            if left == 0 {
                progress.idle = false;
                break;
            }
            let given = self.store.account().give_back(usage.segment, durable, self.epoch.oldest());
            if matches!(given, Ok(GivenBack::NotYet)) {
                continue;
            }
            left = left.saturating_sub(LOOK_COST);
            cleaning.looked_through.insert(usage.segment, usage.live);
            match given {
                Ok(GivenBack::Bytes(bytes)) => {
                    progress.done += bytes;
                    left = left.saturating_sub(bytes);
                }
                Err(error) if error.kind() == ErrorKind::Unsupported => cleaning.cannot_punch = true,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let problem = format!("what is dead in a segment cannot be given back: {}", told(&error));
                    progress.damage.push(Damage::of_the_pool(problem));
                }
                other => drop(other?),
            }
        }
        if progress.done > 0 {
            // The next commit is to write down what was given back.
            self.moved.store(true, Ordering::Release);
        }
        Ok(progress)
    }

    /// Segments that are not worth emptying, and in which enough died since they were looked through last.
    fn worth_a_look(&self, cleaning: &mut Cleaning) -> Vec<SegmentUsage> {
        if cleaning.cannot_punch {
            return Vec::new();
        }
        let mut segments = self.store.account().punchable_segments();
        let listed: HashSet<SegmentId> = segments.iter().map(|usage| usage.segment).collect();
        cleaning.looked_through.retain(|segment, _| listed.contains(segment));
        segments.retain(|usage| {
            let is_emptied = usage.is_sparse(LIVE_PERCENT_MAX) && !cleaning.stuck.contains(&usage.segment);
            let before = cleaning.looked_through.get(&usage.segment);
            !is_emptied && before.is_none_or(|live| usage.live + DIED_MIN <= *live)
        });
        segments
    }

    /// The sparsest segments, and all that lives in them, in the order in which it is to lie.
    fn survivors(&self, cleaning: &Cleaning, budget: u64) -> Result<(BTreeSet<SegmentId>, Vec<Found>)> {
        let account = self.store.account();
        let (mut segments, mut found, mut taken) = (BTreeSet::new(), Vec::new(), 0);
        let sparse = account.sparse_segments(LIVE_PERCENT_MAX).into_iter();
        for usage in sparse.filter(|usage| !cleaning.stuck.contains(&usage.segment)) {
            if taken > 0 && taken + u64::from(usage.live) > budget {
                break;
            }
            found.extend(account.scan_segment(usage.segment, &|bytes| Node::stored_id(bytes))?);
            taken += u64::from(usage.live);
            segments.insert(usage.segment);
        }
        found.sort_by_key(|found| (found.origin, found.id));
        Ok((segments, found))
    }

    /// Whether it still lives, and lies where it was found.
    fn lies_there(&self, survivor: &Found) -> Result<bool> {
        let now = self.store.account().lookup(survivor.id)?;
        Ok(now.is_some_and(|now| now.place == survivor.slot.place))
    }

    /// Returns the bytes that were appended.
    fn move_one(&self, survivor: &Found) -> Result<u64> {
        let account = self.store.account();
        let (id, slot) = (survivor.id, survivor.slot);
        if !self.lies_there(survivor)? {
            return Ok(0);
        }
        let mut stored = Vec::new();
        match slot.kind {
            SlotKind::Node => {
                stored = account.read_node(id)?.to_vec();
            }
            SlotKind::Extent => {
                account.read_extent(id, &mut stored)?;
                if let Some(smaller) = self.without_dead(survivor, &stored)? {
                    stored = smaller;
                }
            }
        }
        match account.relocate(id, slot.place, &stored)? {
            true => Ok(stored.len() as u64),
            false => Ok(0),
        }
    }

    /// The extent with only its live blocks, unless all of them live.
    fn without_dead(&self, survivor: &Found, stored: &[u8]) -> Result<Option<Vec<u8>>> {
        self.store.with_compressor(|compressor| {
            let extent = Extent::open(stored, survivor.id, compressor)?;
            let (present, live) = (extent.header().present, survivor.slot.live);
            if present & live == present || present & live == 0 {
                // Moved as it is: what is damaged in it is found by whoever reads or verifies it.
                return Ok(None);
            }
            let level = (extent.header().encoding == Encoding::Zstd).then_some(LEVEL);
            Ok(Some(Sealed::reseal(&extent, present & live, level, compressor)?.to_bytes()))
        })
    }
}

#[cfg(test)]
mod tests;
