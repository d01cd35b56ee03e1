//! Datasets that were committed by themselves since the last commit of all.
//!
//! Such a commit leaves the log where it is, for others still need it; so it is told here which records a dataset has had already.

use std::collections::BTreeMap;

use crate::format::{DatasetId, DecodeError, Decoder, Encoder};
use crate::intent::{LogPosition, Logged};

/// Datasets with which a commit of all becomes due.
const CUTS_MAX: usize = 32;
/// Bytes that one takes.
const CUT_LEN: usize = 8 + 8;

/// For some datasets, the number of the first group of the log that has records which their roots have not.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Cuts(BTreeMap<DatasetId, u64>);

impl Cuts {
    /// Most bytes that [`Self::encode`] writes.
    pub const ENCODED_LEN_MAX: usize = 2 + CUTS_MAX * CUT_LEN;

    /// Bytes that [`Self::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        2 + self.0.len() * CUT_LEN
    }

    /// Whether there is place for some more.
    pub fn take(&self, more: usize) -> bool {
        self.0.len() + more <= CUTS_MAX
    }

    /// Notes that a dataset's root has all that came before a position.
    pub fn note(&mut self, dataset: DatasetId, position: &LogPosition) {
        self.0.insert(dataset, position.sequence());
    }

    /// Those that are later than a position.
    pub fn after(&self, position: &LogPosition) -> Self {
        self.0
            .iter()
            .map(|(dataset, sequence)| (*dataset, *sequence))
            .filter(|cut| cut.1 > position.sequence())
            .collect()
    }

    /// Whether a dataset's root has a record already.
    pub fn has(&self, dataset: DatasetId, record: &Logged) -> bool {
        !self.lack(dataset, record.sequence)
    }

    /// Whether a dataset's records of the group `sequence` still count.
    pub fn lack(&self, dataset: DatasetId, sequence: u64) -> bool {
        self.0.get(&dataset).is_none_or(|first| *first <= sequence)
    }

    /// Count (u16), and for each, in order: dataset (u64), group (u64).
    pub fn encode(&self, out: &mut Encoder) {
        out.u16(self.0.len() as u16);
        for (dataset, sequence) in &self.0 {
            out.u64(dataset.0).u64(*sequence);
        }
    }

    /// Reads back what [`Self::encode`] wrote.
    pub fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = usize::from(from.u16()?);
        if count > CUTS_MAX {
            return Err(DecodeError::Field("count of datasets committed by themselves"));
        }
        let cuts = (0..count).map(|_| Ok((DatasetId(from.u64()?), from.u64()?)));
        let cuts = cuts.collect::<Result<Vec<_>, DecodeError>>()?;
        match cuts.is_sorted_by(|before, after| before.0 < after.0) {
            true => Ok(cuts.into_iter().collect()),
            false => Err(DecodeError::Field("order of datasets committed by themselves")),
        }
    }
}

impl FromIterator<(DatasetId, u64)> for Cuts {
    fn from_iter<T: IntoIterator<Item = (DatasetId, u64)>>(cuts: T) -> Self {
        Self(cuts.into_iter().collect())
    }
}
