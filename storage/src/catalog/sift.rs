//! Sifting: what all children of a hidden snapshot have lost is taken out of their dead lists, for nobody needs it.
//!
//! Invariant: found entries leave one child's list after the other, in the order of the lists' ids, and are freed or go to the
//! snapshot's own list as they leave the last one. So that one has all that its parent has and it has not, at every moment. What
//! a list was relieved of is kept beside it until it is done: a pointer may stand in a list more than once.

use crate::catalog::forest::{Fate, Sifted};
use crate::catalog::index::Family;
use crate::catalog::jobs::{Job, Phase};
use crate::catalog::{Catalog, Holder, List};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, SnapshotId};
use crate::tree::Dead;

/// The children's lists must grow by one part in so many before they are sifted again: each of their chunks is then read and
/// written about as often.
const GROWTH_PARTS: u64 = 4;
/// A child that goes counts as growth of so many parts by the number of children: of up to 16 of them each is enough.
const PARTS_A_CHILD: u64 = 4;

/// How far a sifting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sift {
    /// What all children have lost.
    pub found: List,
    /// What the list in turn was relieved of so far.
    pub taken: List,
    pub stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// `found` grows.
    Find,
    /// It is taken out of the list of this id, which has been gone through when its first chunk is number `until`.
    Take { list: u64, until: u64 },
    /// That is done for this list, and `taken` is dropped, or after the last one `found`.
    Drop { list: u64 },
}

/// What is to be done next for a sifting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub sift: Sift,
    /// The list that found entries are taken out of; of no use in other stages.
    pub list: List,
    /// The snapshot's own list.
    pub own: List,
    /// Whether they are free when they leave it, or the snapshot's own list's if born no later than `after`.
    pub is_last: bool,
    pub after: Birth,
}

impl Catalog {
    /// The snapshot to be sifted next, if nothing else is to be done before.
    pub(crate) fn next_sift(&self) -> Option<SnapshotId> {
        let is_free = self.job.is_none() && self.index.leaves.is_empty() && self.index.merges.is_empty();
        self.index.sifts.last().filter(|_| is_free).map(|(_, id)| *id)
    }

    /// All snapshots that may be sifted, however little their children's lists have grown.
    pub(crate) fn forks(&self) -> impl Iterator<Item = SnapshotId> + '_ {
        let families = self.index.families.iter().rev();
        families.map(|(id, _)| *id).filter(|id| self.is_fork(*id) && self.index.family(*id).empty == 0)
    }

    /// Whether a snapshot is hidden and has several children.
    pub(crate) fn is_fork(&self, id: SnapshotId) -> bool {
        self.is_purged(Holder::Snapshot(id)) && self.index.family(id).children > 1
    }

    /// Whether nothing stands in the lists of all children, as far as is known.
    pub(crate) fn is_settled(&self, id: SnapshotId) -> bool {
        self.growth(id) == 0 && self.job.is_none_or(|job| job.holder != Holder::Snapshot(id))
    }

    /// Chunks that came to the children's lists since they were sifted.
    fn growth(&self, id: SnapshotId) -> u64 {
        let known = self.snapshots.get(&id).map_or(0, |snapshot| snapshot.sifted.ends);
        self.index.family(id).ends.saturating_sub(known)
    }

    /// The lists of a snapshot's children, by id.
    pub(crate) fn lists_below(&self, id: SnapshotId) -> Vec<List> {
        self.children(id).filter_map(|child| self.list(child).ok()).collect()
    }

    /// Notes entries that all lists of these ids have. Returns false, and does nothing, if the children have others by now.
    pub(crate) fn found(&mut self, id: SnapshotId, lists: &[u64], entries: Vec<Dead>) -> Result<bool> {
        if !self.lists_below(id).iter().map(|list| list.id).eq(lists.iter().copied()) {
            return Ok(false);
        }
        let mut sift = match self.job {
            None => self.begin_sift(id)?,
            Some(Job { holder, phase: Phase::Sift(sift) })
                if holder == Holder::Snapshot(id) && sift.stage == Stage::Find =>
            {
                sift
            }
            _ => return Ok(false),
        };
        self.append_to(&mut sift.found, entries);
        self.put_sift(id, sift);
        Ok(true)
    }

    fn begin_sift(&mut self, id: SnapshotId) -> Result<Sift> {
        let snapshot = self.snapshots.get_mut(&id).filter(|snapshot| snapshot.fate == Fate::Purged);
        let snapshot = snapshot.ok_or_else(|| Error::new(ErrorKind::NotFound, "nothing is to be sifted"))?;
        snapshot.sifted.is_hollow = true;
        self.edits.touch(Holder::Snapshot(id));
        Ok(Sift { found: self.new_list(), taken: self.new_list(), stage: Stage::Find })
    }

    fn put_sift(&mut self, id: SnapshotId, sift: Sift) {
        self.job = Some(Job { holder: Holder::Snapshot(id), phase: Phase::Sift(sift) });
        self.edits.touch_job();
        self.review_sift(id);
    }

    /// What is to be done next for the sifting under way.
    pub(in crate::catalog) fn turn(&self, holder: Holder, sift: Sift) -> Result<Turn> {
        let Holder::Snapshot(id) = holder else { return Err(ErrorKind::NotFound.into()) };
        let after = self.birth(self.parent(holder));
        let nothing = List { id: 0, first: 0, end: 0 };
        let list = match sift.stage {
            Stage::Find => nothing,
            Stage::Take { list, .. } | Stage::Drop { list } => self.list(self.child_with(id, list)?)?,
        };
        Ok(Turn { sift, list, own: self.list(holder)?, is_last: self.list_after(id, list.id).is_none(), after })
    }

    fn child_with(&self, id: SnapshotId, list: u64) -> Result<Holder> {
        let child = self.index.children.get(&(id, list)).copied();
        child.ok_or_else(|| Error::new(ErrorKind::NotFound, "a snapshot that is sifted has lost a child"))
    }

    /// The next child's list.
    fn list_after(&self, id: SnapshotId, list: u64) -> Option<List> {
        let child = self.index.children.range((id, list + 1)..=(id, u64::MAX)).next();
        child.and_then(|(_, child)| self.list(*child).ok())
    }

    fn sift_under_way(&self) -> Result<(SnapshotId, Sift)> {
        match self.job {
            Some(Job { holder: Holder::Snapshot(id), phase: Phase::Sift(sift) }) => Ok((id, sift)),
            _ => Err(Error::new(ErrorKind::Invalid, "nothing is being sifted")),
        }
    }

    /// All that was found is noted: from now on it is taken out of the lists.
    pub(crate) fn found_all(&mut self) -> Result<()> {
        let (id, sift) = self.sift_under_way()?;
        self.next_turn(id, sift, 0);
        Ok(())
    }

    fn next_turn(&mut self, id: SnapshotId, mut sift: Sift, before: u64) {
        if let Some(List { id, end, .. }) = self.list_after(id, before) {
            sift.stage = Stage::Take { list: id, until: end };
        }
        self.put_sift(id, sift);
    }

    /// Takes the first chunks off the list in turn: of their entries `kept` stay in it, and `taken` are what was found. With
    /// `is_done` that is all of what was found. From the last list entries go to the snapshot's own if the parent has them; the
    /// others are freed by the caller. Returns how many chunks were appended to the list.
    pub(crate) fn taken(&mut self, chunks: u64, kept: Vec<Dead>, taken: Vec<Dead>, is_done: bool) -> Result<u64> {
        let (id, mut sift) = self.sift_under_way()?;
        let Turn { list, is_last, after, .. } = self.turn(Holder::Snapshot(id), sift)?;
        let child = self.child_with(id, list.id)?;
        self.append(child, kept)?;
        self.take_chunks(child, chunks)?;
        let appended = self.list(child)?.end - list.end;
        if is_last {
            let shared = taken.iter().filter(|dead| dead.birth <= after).copied().collect();
            self.append(Holder::Snapshot(id), shared)?;
        }
        self.append_to(&mut sift.taken, taken);
        if is_done {
            sift.stage = Stage::Drop { list: list.id };
        }
        self.put_sift(id, sift);
        Ok(appended)
    }

    /// Drops chunks of what the list in turn was relieved of, and after the last one of what was found. Then it is the next
    /// list's turn, or all is done.
    pub(crate) fn dropped(&mut self, chunks: u64) -> Result<()> {
        let (id, mut sift) = self.sift_under_way()?;
        let Turn { list, is_last, .. } = self.turn(Holder::Snapshot(id), sift)?;
        let piece = if is_last && sift.taken.is_empty() { &mut sift.found } else { &mut sift.taken };
        self.take_chunks_of(piece, chunks);
        self.put_sift(id, sift);
        match (sift.taken.is_empty(), is_last, sift.found.is_empty()) {
            (true, false, _) => self.next_turn(id, sift, list.id),
            (true, true, true) => {
                self.job = None;
                self.review(Holder::Snapshot(id));
            }
            _ => {}
        }
        Ok(())
    }

    /// Leaves the first chunk of the list in turn behind: it cannot be read. What stands in it stays in the list, in a manner of
    /// speaking: nobody takes it for found, or frees it.
    pub(in crate::catalog) fn pass_chunk_in_turn(&mut self, holder: Holder, sift: Sift) -> Result<()> {
        let Holder::Snapshot(id) = holder else { return Err(ErrorKind::NotFound.into()) };
        let turn = self.turn(holder, sift)?;
        let child = self.child_with(id, turn.list.id)?;
        self.pass_chunk(child).map(drop)
    }

    /// Ends the sifting under way, for what it has found, or would write, lies in a node that cannot be read. What was taken out
    /// of some lists stays out of them, and is never freed unless it stands in the last one.
    pub(crate) fn give_up_sift(&mut self) -> Result<()> {
        let (id, _) = self.sift_under_way()?;
        self.job = None;
        self.edits.touch_job();
        // Not again before there is more to be found.
        self.sifted(id, self.index.family(id).ends);
        self.review(Holder::Snapshot(id));
        Ok(())
    }

    /// The list that found entries are appended to, or the one that will be made for them.
    pub(crate) fn found_list(&self) -> List {
        match self.job {
            Some(Job { phase: Phase::Sift(sift), .. }) => sift.found,
            _ => List { id: self.next_list, first: 0, end: 0 },
        }
    }

    /// Nothing stands in all children's lists any more, as far as they went when the sum of their ends was this; what was appended
    /// by [`Self::taken`] since is counted in.
    pub(crate) fn sifted(&mut self, id: SnapshotId, ends: u64) {
        self.change_sifted(id, |sifted| sifted.ends = ends);
    }

    /// A child with this list went, which may have been the only one that had something.
    pub(in crate::catalog) fn lost_child(&mut self, id: SnapshotId, list: List) {
        let Family { children, chunks, .. } = self.index.family(id);
        let growth = chunks.saturating_mul(PARTS_A_CHILD).div_ceil(children + 1);
        self.change_sifted(id, |sifted| sifted.ends = sifted.ends.saturating_sub(list.end).saturating_sub(growth));
    }

    fn change_sifted(&mut self, id: SnapshotId, change: impl FnOnce(&mut Sifted)) {
        let Some(snapshot) = self.snapshots.get_mut(&id) else { return };
        let before = snapshot.sifted;
        change(&mut snapshot.sifted);
        if snapshot.sifted != before {
            self.edits.touch(Holder::Snapshot(id));
        }
        self.review_sift(id);
    }

    /// Notes whether a snapshot can be sifted, and its children's lists have grown enough for it.
    pub(in crate::catalog) fn review_sift(&mut self, id: SnapshotId) {
        let Family { chunks, empty, .. } = self.index.family(id);
        let Some(snapshot) = self.snapshots.get(&id) else { return };
        let growth = self.growth(id);
        let has_grown = empty == 0 && growth.saturating_mul(GROWTH_PARTS) > chunks.saturating_sub(growth);
        let is_sifted = self.job.is_some_and(|job| job.holder == Holder::Snapshot(id));
        let key = (snapshot.birth, id);
        match self.is_fork(id) && has_grown && !is_sifted {
            true => self.index.sifts.insert(key),
            false => self.index.sifts.remove(&key),
        };
    }
}
