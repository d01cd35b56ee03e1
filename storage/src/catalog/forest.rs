//! Records, and the forest that heads and snapshots form.
//!
//! Invariant: only snapshots are parents, and a parent is no younger than its child. A holder's pointers that were born no later
//! than its parent are the parent's too; the later ones belong to its own edge.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Holder, Properties, State};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, SnapshotId, Timestamp};

/// Whether something can be used, undeleted, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum Fate {
    Live,
    /// Since when.
    Destroyed(Timestamp),
    /// It is hidden, and stays only for those who share with it.
    Purged,
}

/// Which chunks of the system tree are a dead list: `first` and those after it, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub id: u64,
    pub first: u64,
    pub end: u64,
}

impl List {
    /// How many chunks it has.
    pub fn chunks(&self) -> u64 {
        self.end - self.first
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }
}

/// A place in the forest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::catalog) struct Edge {
    pub parent: Option<SnapshotId>,
    /// What the parent reaches, and this does not.
    pub list: List,
    pub state: State,
}

/// A dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::catalog) struct Dataset {
    pub fate: Fate,
    pub created: Timestamp,
    /// The dataset whose name is in front of this one's; none unless live.
    pub folder: Option<DatasetId>,
    /// The last part of the name; once destroyed, the whole name that it had.
    pub name: String,
    pub properties: Properties,
    /// None once it is reclaimed, while snapshots of the dataset remain.
    pub head: Option<Edge>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::catalog) struct Snapshot {
    /// Its own: that of its dataset counts too.
    pub fate: Fate,
    pub created: Timestamp,
    pub dataset: DatasetId,
    pub name: String,
    pub birth: Birth,
    pub automatic: bool,
    pub holds: BTreeSet<String>,
    pub edge: Edge,
    pub sifted: Sifted,
}

/// What sifting a hidden snapshot with several children has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in crate::catalog) struct Sifted {
    /// Whether pointers may be gone that its tree has: that is not read any more, but what its children have and lost.
    pub is_hollow: bool,
    /// The sum of the ends of its children's lists as far as nothing stands in each of them.
    pub ends: u64,
}

impl Catalog {
    pub(in crate::catalog) fn edge(&self, holder: Holder) -> Result<&Edge> {
        match holder {
            Holder::Head(id) => self.datasets.get(&id).and_then(|dataset| dataset.head.as_ref()),
            Holder::Snapshot(id) => self.snapshots.get(&id).map(|snapshot| &snapshot.edge),
        }
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "the dataset or snapshot does not exist any more"))
    }

    /// The edge, to be changed but for its parent and its list.
    pub(in crate::catalog) fn edge_mut(&mut self, holder: Holder) -> Result<&mut Edge> {
        self.edits.touch(holder);
        match holder {
            Holder::Head(id) => self.datasets.get_mut(&id).and_then(|dataset| dataset.head.as_mut()),
            Holder::Snapshot(id) => self.snapshots.get_mut(&id).map(|snapshot| &mut snapshot.edge),
        }
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "the dataset or snapshot does not exist any more"))
    }

    /// The birth of a parent; that of no parent is before all others.
    pub(crate) fn birth(&self, parent: Option<SnapshotId>) -> Birth {
        parent.and_then(|id| self.snapshots.get(&id)).map_or(Birth(0), |snapshot| snapshot.birth)
    }

    /// The parent in the forest, hidden or not.
    pub(crate) fn parent(&self, holder: Holder) -> Option<SnapshotId> {
        self.edge(holder).ok().and_then(|edge| edge.parent)
    }

    /// The dead list of the edge to the parent.
    pub(crate) fn list(&self, holder: Holder) -> Result<List> {
        Ok(self.edge(holder)?.list)
    }

    /// Whether the holder is hidden, and waits for those who share with it or for its turn to be reclaimed.
    pub(crate) fn is_purged(&self, holder: Holder) -> bool {
        match holder {
            Holder::Head(id) => self.datasets.get(&id).is_some_and(|dataset| dataset.fate == Fate::Purged),
            Holder::Snapshot(id) => self.snapshots.get(&id).is_some_and(|snapshot| snapshot.fate == Fate::Purged),
        }
    }

    /// Whether a snapshot's tree may lack what nobody below it has: what its children have and lost is read instead.
    pub(crate) fn is_hollow(&self, holder: Holder) -> bool {
        let Holder::Snapshot(id) = holder else { return false };
        self.snapshots.get(&id).is_some_and(|snapshot| snapshot.sifted.is_hollow)
    }

    /// Whoever has this parent, in the order of their lists' ids.
    pub(crate) fn children(&self, parent: SnapshotId) -> impl DoubleEndedIterator<Item = Holder> + '_ {
        self.index.children.range((parent, 0)..=(parent, u64::MAX)).map(|(_, child)| *child)
    }

    /// Births later than this belong to the holder's edge alone: when one of those pointers dies, it is free. It is the
    /// birth of the parent in the forest. Of a holder that does not exist nothing is free.
    pub fn threshold(&self, holder: Holder) -> Birth {
        self.edge(holder).map_or(Birth(u64::MAX), |edge| self.birth(edge.parent))
    }

    /// Puts a holder below another parent.
    pub(in crate::catalog) fn adopt(&mut self, child: Holder, parent: Option<SnapshotId>) -> Result<()> {
        self.change_edge(child, |edge| edge.parent = parent)
    }

    /// Changes a holder's parent or list.
    pub(in crate::catalog) fn change_edge(&mut self, holder: Holder, change: impl FnOnce(&mut Edge)) -> Result<()> {
        let mut edge = self.edge(holder)?.clone();
        self.index.leave_edge(&edge);
        let before = edge.parent;
        change(&mut edge);
        self.index.enter_edge(holder, &edge);
        let after = edge.parent;
        *self.edge_mut(holder)? = edge;
        before.into_iter().chain(after).for_each(|parent| self.review_sift(parent));
        Ok(())
    }

    /// An empty list with a new id.
    pub(in crate::catalog) fn new_list(&mut self) -> List {
        self.next_list += 1;
        self.edits.touch_counters();
        List { id: self.next_list - 1, first: 0, end: 0 }
    }

    /// An id that no dataset or snapshot has had.
    pub(in crate::catalog) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.edits.touch_counters();
        self.next_id - 1
    }
}
