//! What the next commit stores in the system tree.
//!
//! Invariant: what is touched here and what the system tree has make the catalog in memory. A dead list's chunk
//! is kept here until it is taken, and read from here first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::catalog::layout::{self, PIECE_LENGTH, PIECES_MAX};
use crate::catalog::{Catalog, Holder, codec};
use crate::format::{DatasetId, SnapshotId};
use crate::tree::{Edit, Key};

/// A record that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Record {
    Counters,
    Job,
    Dataset(DatasetId),
    UserProperties(DatasetId),
    Snapshot(SnapshotId),
    Holds(SnapshotId),
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(in crate::catalog) struct Edits {
    records: BTreeSet<Record>,
    chunks: BTreeMap<(u64, u64), Vec<u8>>,
    dropped: Vec<(u64, Range<u64>)>,
}

impl Edits {
    /// The record of a head's dataset or of a snapshot changed.
    pub fn touch(&mut self, holder: Holder) {
        self.records.insert(match holder {
            Holder::Head(id) => Record::Dataset(id),
            Holder::Snapshot(id) => Record::Snapshot(id),
        });
    }

    pub fn touch_user_properties(&mut self, dataset: DatasetId) {
        self.records.insert(Record::UserProperties(dataset));
    }

    pub fn touch_holds(&mut self, snapshot: SnapshotId) {
        self.records.insert(Record::Holds(snapshot));
    }

    pub fn touch_job(&mut self) {
        self.records.insert(Record::Job);
    }

    pub fn touch_counters(&mut self) {
        self.records.insert(Record::Counters);
    }

    pub fn put_chunk(&mut self, list: u64, number: u64, chunk: Vec<u8>) {
        self.chunks.insert((list, number), chunk);
    }

    pub fn chunk(&self, list: u64, number: u64) -> Option<&[u8]> {
        self.chunks.get(&(list, number)).map(Vec::as_slice)
    }

    pub fn drop_chunks(&mut self, list: u64, numbers: Range<u64>) {
        if numbers.is_empty() {
            return;
        }
        let pending: Vec<_> =
            self.chunks.range((list, numbers.start)..(list, numbers.end)).map(|(at, _)| *at).collect();
        pending.iter().for_each(|at| drop(self.chunks.remove(at)));
        match self.dropped.last_mut() {
            Some((last, range)) if *last == list && range.end == numbers.start => range.end = numbers.end,
            _ => self.dropped.push((list, numbers)),
        }
    }
}

impl Catalog {
    /// Whether something changed since the edits were last taken.
    pub fn has_edits(&self) -> bool {
        self.edits != Edits::default()
    }

    /// The edits of the system tree that store what changed since the last call. Reclaiming reads dead lists from the
    /// system tree, so it may go on only once these are applied.
    pub fn take_edits(&mut self) -> Vec<Edit> {
        let Edits { records, chunks, dropped } = std::mem::take(&mut self.edits);
        let mut edits = Vec::new();
        for (list, numbers) in dropped {
            edits.push(Edit::DeleteRange(layout::chunk(list, numbers.start), layout::chunk(list, numbers.end - 1)));
        }
        edits.extend(chunks.into_iter().map(|((list, number), chunk)| Edit::Put(layout::chunk(list, number), chunk)));
        records.into_iter().for_each(|record| self.edit_record(record, &mut edits));
        edits
    }

    fn edit_record(&self, record: Record, edits: &mut Vec<Edit>) {
        let put = |key, bytes: Option<Vec<u8>>| bytes.map_or(Edit::Delete(key), |bytes| Edit::Put(key, bytes));
        match record {
            Record::Counters => {
                edits.push(Edit::Put(layout::counters(), codec::encode_counters(self.next_id, self.next_list)));
            }
            Record::Job => edits.push(put(layout::job(), self.job.as_ref().map(codec::encode_job))),
            Record::Dataset(id) => {
                edits.push(put(layout::dataset(id), self.datasets.get(&id).map(codec::encode_dataset)));
            }
            Record::Snapshot(id) => {
                edits.push(put(layout::snapshot(id), self.snapshots.get(&id).map(codec::encode_snapshot)));
            }
            Record::UserProperties(id) => {
                let user = self.datasets.get(&id).map(|dataset| &dataset.properties.user);
                let texts = user.into_iter().flatten().flat_map(|(key, value)| [key, value]);
                edit_texts(layout::USER_PROPERTIES, id.0, &codec::encode_texts(texts), edits);
            }
            Record::Holds(id) => {
                let holds = self.snapshots.get(&id).map(|snapshot| &snapshot.holds);
                edit_texts(layout::HOLDS, id.0, &codec::encode_texts(holds.into_iter().flatten()), edits);
            }
        }
    }
}

/// Stores texts in pieces, in place of all that were there.
fn edit_texts(kind: u8, id: u64, texts: &[u8], edits: &mut Vec<Edit>) {
    let key = |number: u64| -> Key { layout::piece(kind, id, number) };
    edits.push(Edit::DeleteRange(key(0), key(PIECES_MAX - 1)));
    let pieces = texts.chunks(PIECE_LENGTH).enumerate();
    edits.extend(pieces.map(|(number, piece)| Edit::Put(key(number as u64), piece.to_vec())));
}
