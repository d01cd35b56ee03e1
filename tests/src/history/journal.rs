//! What a pool has promised, and so which states a crash may leave.
//!
//! Invariant: what may be found is the state of a commit (a base) and the logged events since, up to some point at or
//! after the last that was promised: never one without those before it. Unstable writes since the commit are not
//! among the events; a sync is one that sets the file to what it was then. A commit of some datasets leaves the others
//! in its base as they were in the one before.

use std::collections::{BTreeMap, BTreeSet};

use cow_storage::format::{DatasetId, InodeNumber};
use cow_storage::fs::{Context, FileSystem};

use crate::history::tree::{Body, Object, Piece};
use crate::history::{Call, Finds, Tree, World};
use crate::model::Saved;

/// Something that a log keeps.
#[derive(Clone)]
pub(super) enum Effect {
    /// A call that was made at a time when the next new inode got this number.
    Call { call: Box<Call>, who: Context, next_inode: u64 },
    /// A file was made durable as it was.
    Synced(InodeNumber, Saved),
}

#[derive(Clone)]
pub(super) struct Event {
    pub dataset: DatasetId,
    pub effect: Effect,
}

/// A step that ended in failure.
pub(super) struct InFlight {
    /// Commits that may have been made.
    pub bases: Vec<Base>,
    /// What may have been logged.
    pub events: Vec<Event>,
}

/// A commit, and how many of the events came before it.
#[derive(Clone)]
pub(super) struct Base {
    world: World,
    events: usize,
    /// The same for datasets that were committed by themselves later.
    cuts: BTreeMap<DatasetId, usize>,
}

impl Base {
    /// A commit of everything after so many events.
    pub fn whole(world: World, events: usize) -> Self {
        Self { world, events, cuts: BTreeMap::new() }
    }

    /// A later commit, after so many events, of what was done to a pool as a whole and to the heads of some datasets.
    pub fn with(&self, mut world: World, heads: &[DatasetId], events: usize) -> Self {
        for (id, dataset) in world.datasets.iter_mut().filter(|(id, _)| !heads.contains(id)) {
            if let Some(before) = self.world.datasets.get(id) {
                dataset.files = before.files.clone();
            }
        }
        let mut cuts = self.cuts.clone();
        cuts.extend(heads.iter().map(|id| (*id, events)));
        Self { world, events: self.events, cuts }
    }

    /// Whether the commit has the event of that number.
    fn has(&self, number: usize, event: &Event) -> bool {
        number < self.events.max(self.cuts.get(&event.dataset).copied().unwrap_or(0))
    }
}

pub(super) struct Journal {
    /// The last commit.
    pub base: Base,
    events: Vec<Event>,
    /// So many of the events are promised.
    promised: usize,
    /// Files that were written to without a promise since they were last synced, or since the last commit.
    pub unsynced: BTreeSet<(DatasetId, InodeNumber)>,
    /// Those of them that were written to since [`Journal::begin_cut`].
    since_cut: BTreeSet<(DatasetId, InodeNumber)>,
    /// Datasets that were committed by themselves since then.
    passed: BTreeSet<DatasetId>,
}

impl Journal {
    /// Begins with a state that is durable.
    pub fn new(world: World) -> Self {
        Self {
            base: Base::whole(world, 0),
            events: Vec::new(),
            promised: 0,
            unsynced: BTreeSet::new(),
            since_cut: BTreeSet::new(),
            passed: BTreeSet::new(),
        }
    }

    /// Notes what a step logged. If it returned only when all that its dataset logged was durable, that is promised, and
    /// with it what others logged before.
    pub fn log(&mut self, dataset: DatasetId, events: Vec<Event>, durable: bool) {
        for event in &events {
            if let Effect::Synced(inode, _) = &event.effect {
                self.unsynced.remove(&(dataset, *inode));
                self.since_cut.remove(&(dataset, *inode));
            }
        }
        self.events.extend(events);
        // Of what a commit has nobody waits for the log.
        let mut numbered = self.events.iter().enumerate();
        let last = numbered.rposition(|(at, event)| event.dataset == dataset && !self.base.has(at, event));
        if let (Some(last), true) = (last, durable) {
            self.promised = self.promised.max(last + 1);
        }
    }

    /// Notes that everything was committed in this state, and `count` events were logged since.
    pub fn committed(&mut self, world: World, count: usize) {
        self.unsynced.clear();
        self.forget(self.events.len() - count);
        self.base = Base::whole(world, 0);
    }

    /// Notes that the heads of some datasets were committed in this state, and `count` events were logged since.
    pub fn committed_some(&mut self, world: World, heads: &[DatasetId], count: usize) {
        self.unsynced.retain(|(id, _)| !heads.contains(id));
        self.since_cut.retain(|(id, _)| !heads.contains(id));
        self.passed.extend(heads);
        self.base = self.base.with(world, heads, self.events.len() - count);
    }

    fn forget(&mut self, events: usize) {
        self.events.drain(..events);
        self.promised = self.promised.saturating_sub(events);
    }

    /// Notes a file that was written to without a promise.
    pub fn note_unsynced(&mut self, file: (DatasetId, InodeNumber)) {
        self.unsynced.insert(file);
        self.since_cut.insert(file);
    }

    /// A commit is cut now, and steps follow before it ends. Returns how many events came before.
    pub fn begin_cut(&mut self) -> usize {
        self.since_cut.clear();
        self.passed.clear();
        self.events.len()
    }

    /// The commit that was cut after so many events, when the world was this, is durable.
    pub fn end_cut(&mut self, world: &World, events: usize) {
        self.base = self.cut_base(world, events);
        self.base.events = 0;
        self.base.cuts.values_mut().for_each(|count| *count -= events);
        self.forget(events);
        self.unsynced = std::mem::take(&mut self.since_cut);
    }

    /// What that commit leaves: of datasets that were committed by themselves meanwhile what these commits left.
    pub fn cut_base(&self, world: &World, events: usize) -> Base {
        let mut base = Base::whole(self.base.world.clone(), events);
        for (id, dataset) in base.world.datasets.iter_mut().filter(|(id, _)| !self.passed.contains(id)) {
            if let Some(cut) = world.datasets.get(id) {
                dataset.files = cut.files.clone();
            }
        }
        let passed = self.base.cuts.iter().filter(|(id, _)| self.passed.contains(id));
        base.cuts = passed.map(|(id, count)| (*id, *count)).collect();
        base
    }

    /// How many events there are.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// The world that is what was found, or for every state that would be allowed why it is not that.
    pub fn recover(
        &self,
        in_flight: Option<&InFlight>,
        finds: &Finds,
        (exact, cramped): (bool, bool),
    ) -> Result<World, Vec<String>> {
        let mut bases = vec![&self.base];
        let mut events: Vec<&Event> = self.events.iter().collect();
        if let Some(InFlight { bases: possible, events: more }) = in_flight {
            events.extend(more);
            bases.extend(possible);
        }
        let mut differences = Vec::new();
        for base in bases {
            let (mut world, from) = (base.world.unbound(), base.events);
            if cramped {
                world.purge_as_in(&finds.destroyed);
            }
            for at in from..=events.len() {
                if at >= self.promised {
                    match finds.difference(&world, exact) {
                        None => return Ok(world),
                        Some(difference) => differences.push(format!("{at} of {from}..{}: {difference}", events.len())),
                    }
                }
                let Some(event) = events.get(at) else { break };
                if base.has(at, event) {
                    continue;
                }
                if at >= self.events.len() && event.is_half_done(&world, finds, exact) {
                    return Ok(world);
                }
                event.repeat(&world);
            }
        }
        Err(differences)
    }
}

impl Event {
    /// Does it again. What it was done to may be gone: it had no name, and was only retained.
    fn repeat(&self, world: &World) {
        let Some(dataset) = world.datasets.get(&self.dataset) else { return };
        match &self.effect {
            Effect::Synced(_, saved) => dataset.files.restore(saved),
            Effect::Call { call, who, next_inode } => {
                dataset.files.set_next_inode(*next_inode);
                // Where a write was lost that made the file longer, nothing is there to be punched.
                if let Call::Punch(inode, offset, _) = &**call
                    && dataset.files.attributes(*inode).is_ok_and(|found| found.size <= *offset)
                {
                    return dataset.files.touch_content(who, *inode);
                }
                let _ = call.unguarded().make(&*dataset.files, who);
            }
        }
    }

    /// Whether a sync that failed wrote a part of its file, and that is what was found: each byte is old or new.
    /// If so, the world has it.
    fn is_half_done(&self, world: &World, finds: &Finds, exact: bool) -> bool {
        let Effect::Synced(inode, saved) = &self.effect else { return false };
        let (Some(dataset), Some(found)) = (world.datasets.get(&self.dataset), finds.trees.get(&self.dataset)) else {
            return false;
        };
        let files = &dataset.files;
        let (Some(before), Some(found)) = (files.save(*inode), found.objects.get(inode)) else { return false };
        let read = || Tree::of(&**files).ok().and_then(|mut tree| tree.objects.remove(inode));
        let old = read();
        files.restore(saved);
        let (Some(old), Some(new), Body::File(pieces)) = (old, read(), &found.body) else { return false };
        if found.is_between(&old, &new) {
            files.set_file(&found.attributes, pieces);
            if finds.difference(world, exact).is_none() {
                return true;
            }
        }
        files.restore(&before);
        false
    }
}

impl Object {
    /// Whether a file has of each byte the old or the new value, and so its size and times.
    fn is_between(&self, old: &Self, new: &Self) -> bool {
        let (Body::File(found), Body::File(before), Body::File(after)) = (&self.body, &old.body, &new.body) else {
            return false;
        };
        let sizes = [old.attributes.size, new.attributes.size];
        let size_fits = (sizes[0].min(sizes[1])..=sizes[0].max(sizes[1])).contains(&self.attributes.size);
        let modified = self.attributes.modified;
        let time_fits = modified == old.attributes.modified || modified == new.attributes.modified;
        let byte_fits = |at: u64| {
            let byte = byte_at(found, at);
            byte == byte_at(before, at) || byte == byte_at(after, at)
        };
        let all = [found, before, after].into_iter().flatten();
        size_fits && time_fits && all.flat_map(|(range, _)| range.clone()).all(byte_fits)
    }
}

fn byte_at(pieces: &[Piece], at: u64) -> u8 {
    let next = pieces.partition_point(|(range, _)| range.end <= at);
    let found = pieces.get(next).filter(|(range, _)| range.contains(&at));
    found.map_or(0, |(range, bytes)| bytes[(at - range.start) as usize])
}
