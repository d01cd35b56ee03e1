//! Dead lists: pieces of at most 1000 bytes, appended, read, and dropped from the front.
//! See `FORMAT.md`, "Dead list chunk".
//!
//! Invariant: a chunk is written once; chunks leave a list in the order in which they came.

use crate::catalog::layout::{self, PIECE_LENGTH};
use crate::catalog::{Catalog, Holder, List};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Birth, DatasetId, DecodeError, Decoder, Encoder, SlotId};
use crate::tree::{Dead, NodeStore, RUN_BLOCKS_MAX, Reader, Root};

const VERSION: u8 = 1;

/// Two numbers of 64 bits, and one below 2048.
const ENTRY_LENGTH_MAX: usize = 10 + 2 + 10;

impl Catalog {
    /// Takes what a commit's edit of a head's tree left behind. What was born after the head's parent in the forest
    /// goes to `free`; the rest, which the parent still has, is appended to the head's dead list. To be called before the
    /// head is snapshotted or rewound in the same commit.
    pub fn retire(
        &mut self,
        dataset: DatasetId,
        dead: &[Dead],
        free: &mut dyn FnMut(&Dead) -> Result<()>,
    ) -> Result<()> {
        let head = Holder::Head(dataset);
        let threshold = self.birth(self.edge(head)?.parent);
        let shared = dead.iter().filter(|dead| dead.birth <= threshold).copied().collect();
        self.append(head, shared)?;
        self.retire_own(dataset, dead, free)
    }

    /// The same where the head's list takes nothing, as [`Catalog::check_end`] tells: what the parent still has is forgotten,
    /// and never freed.
    pub fn retire_own(
        &mut self,
        dataset: DatasetId,
        dead: &[Dead],
        free: &mut dyn FnMut(&Dead) -> Result<()>,
    ) -> Result<()> {
        let threshold = self.birth(self.edge(Holder::Head(dataset))?.parent);
        dead.iter().filter(|dead| dead.birth > threshold).try_for_each(free)
    }

    /// Whether the head's parent in the forest still has something of what is dead, so that it goes on the list.
    pub fn shares(&self, dataset: DatasetId, dead: &[Dead]) -> Result<bool> {
        let threshold = self.birth(self.edge(Holder::Head(dataset))?.parent);
        Ok(dead.iter().any(|dead| dead.birth <= threshold))
    }

    /// `Corrupt` if the node is damaged that the next chunk of a list goes to: a commit that puts one there fails.
    pub(crate) fn check_end(nodes: &dyn NodeStore, system: &Root, list: List) -> Result<()> {
        Reader::new(nodes, *system).get(layout::chunk(list.id, list.end)).map(drop)
    }

    /// Appends to a holder's dead list.
    pub(in crate::catalog) fn append(&mut self, holder: Holder, dead: Vec<Dead>) -> Result<()> {
        let mut list = self.edge(holder)?.list;
        if dead.is_empty() {
            return Ok(());
        }
        self.append_to(&mut list, dead);
        self.change_edge(holder, |edge| edge.list = list)
    }

    /// Appends to a list that is nobody's or somebody's.
    pub(in crate::catalog) fn append_to(&mut self, list: &mut List, mut dead: Vec<Dead>) {
        dead.sort_unstable();
        let (id, from) = (list.id, list.end);
        let chunks = encode(&dead);
        list.end += chunks.len() as u64;
        (from..).zip(chunks).for_each(|(number, chunk)| self.edits.put_chunk(id, number, chunk));
    }

    /// Takes chunks off the front of a holder's dead list. Returns whether it is empty then.
    pub(in crate::catalog) fn take_chunks(&mut self, holder: Holder, count: u64) -> Result<bool> {
        let mut list = self.edge(holder)?.list;
        self.take_chunks_of(&mut list, count);
        self.change_edge(holder, |edge| edge.list = list)?;
        Ok(list.is_empty())
    }

    /// The same of a list that is nobody's or somebody's.
    pub(in crate::catalog) fn take_chunks_of(&mut self, list: &mut List, count: u64) {
        let before = list.first;
        list.first = before.saturating_add(count).min(list.end);
        self.edits.drop_chunks(list.id, before..list.first);
    }

    /// Leaves the first chunk of a holder's dead list behind, where it is: it lies in a node that cannot be read, and so
    /// not be changed. Returns whether the list is empty then.
    pub(in crate::catalog) fn pass_chunk(&mut self, holder: Holder) -> Result<bool> {
        let mut list = self.edge(holder)?.list;
        list.first = (list.first + 1).min(list.end);
        self.change_edge(holder, |edge| edge.list = list)?;
        Ok(list.is_empty())
    }

    /// Reads a chunk of a dead list: as this commit has left it, or else from the committed system tree.
    pub(crate) fn read_chunk(&self, nodes: &dyn NodeStore, system: &Root, list: u64, number: u64) -> Result<Vec<Dead>> {
        match self.edits.chunk(list, number) {
            Some(chunk) => decode(chunk).map_err(|error| Error::from(error).during("read a dead list")),
            None => Self::read_stored_chunk(nodes, system, list, number),
        }
    }

    /// Reads a chunk of a dead list from the committed system tree.
    pub(crate) fn read_stored_chunk(nodes: &dyn NodeStore, system: &Root, list: u64, number: u64) -> Result<Vec<Dead>> {
        let stored = Reader::new(nodes, *system).get(layout::chunk(list, number))?;
        let chunk = stored.ok_or_else(|| Error::new(ErrorKind::Corrupt, "a dead list lacks a chunk"))?;
        decode(&chunk).map_err(|error| Error::from(error).during("read a dead list"))
    }
}

/// Cuts entries into chunks.
pub(in crate::catalog) fn encode(dead: &[Dead]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut rest = dead.iter().peekable();
    while rest.peek().is_some() {
        let mut chunk = Encoder::with_capacity(PIECE_LENGTH);
        chunk.u8(VERSION);
        let (mut id, mut birth) = (0, 0);
        while chunk.bytes.len() + ENTRY_LENGTH_MAX <= PIECE_LENGTH
            && let Some(entry) = rest.next()
        {
            let shape = (u64::from(entry.first) * RUN_BLOCKS_MAX as u64 + u64::from(entry.count) - 1) * 2;
            chunk.varint(zigzag(entry.id.0.wrapping_sub(id)));
            chunk.varint(shape + u64::from(entry.is_node));
            chunk.varint(zigzag(entry.birth.0.wrapping_sub(birth)));
            (id, birth) = (entry.id.0, entry.birth.0);
        }
        chunks.push(chunk.bytes);
    }
    chunks
}

/// The entries of a chunk.
pub(in crate::catalog) fn decode(chunk: &[u8]) -> Result<Vec<Dead>, DecodeError> {
    let mut chunk = Decoder::new(chunk);
    crate::catalog::codec::check_version("dead list", chunk.u8()?)?;
    let mut entries = Vec::new();
    let (mut id, mut birth) = (0u64, 0u64);
    while !chunk.rest().is_empty() {
        id = id.wrapping_add(unzigzag(chunk.varint()?));
        let shape = chunk.varint()?;
        birth = birth.wrapping_add(unzigzag(chunk.varint()?));
        let (is_node, first, count) =
            (shape % 2 == 1, shape / 2 / RUN_BLOCKS_MAX as u64, shape / 2 % RUN_BLOCKS_MAX as u64 + 1);
        if first.saturating_add(count) > RUN_BLOCKS_MAX as u64 || birth >= 1 << 48 || is_node && shape > 1 {
            return Err(DecodeError::Field("dead list's entry"));
        }
        entries.push(Dead { id: SlotId(id), first: first as u8, count: count as u8, birth: Birth(birth), is_node });
    }
    Ok(entries)
}

/// Maps differences that are small either way to small numbers.
fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ ((difference as i64) >> 63) as u64
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::example;

    #[test]
    fn a_documented_chunk_decodes_and_encodes_back() {
        let block =
            |id, first, count, birth| Dead { id: SlotId(id), first, count, birth: Birth(birth), is_node: false };
        let entries = vec![
            block(5 << 24 | 7, 0, 1, 300),
            block(5 << 24 | 7, 4, 28, 290),
            Dead { id: SlotId(6 << 24 | 2), first: 0, count: 1, birth: Birth(301), is_node: true },
        ];
        let [chunk] = &encode(&entries)[..] else { panic!("one chunk") };
        assert_eq!(*chunk, example::documented("Dead list chunk", chunk.len()), "\n{}", example::render(chunk));
        assert_eq!(decode(chunk).unwrap(), entries);
    }

    #[test]
    fn chunks_hold_extreme_entries_and_stay_small() {
        let extremes = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX];
        let mut entries = Vec::new();
        for number in 0..2000u64 {
            let (id, birth) = (extremes[number as usize % 5], if number % 3 == 0 { (1 << 48) - 1 } else { number });
            let first = (number % 32) as u8;
            let count = (number / 32 % (32 - u64::from(first)) + 1) as u8;
            entries.push(Dead { id: SlotId(id), first, count, birth: Birth(birth), is_node: false });
        }
        let chunks = encode(&entries);
        assert!(chunks.iter().all(|chunk| chunk.len() <= PIECE_LENGTH));
        let decoded: Vec<Dead> = chunks.iter().flat_map(|chunk| decode(chunk).unwrap()).collect();
        assert_eq!(decoded, entries);
    }

    #[test]
    fn chunks_that_no_writer_makes_do_not_decode() {
        for chunk in [
            &[][..],
            &[0],
            &[2],
            &[1, 0],
            &[1, 0, 3, 0],                                           // a node with two blocks
            &[1, 0, 0x80, 0x10, 0],                                  // first block 32
            &[1, 0, 0xfe, 0x0f, 0],                                  // blocks 31 to 62
            &[1, 0, 0, 1],                                           // born before 0
            &[1, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], // born at 2^48
        ] {
            assert!(decode(chunk).is_err(), "{chunk:?}");
        }
    }
}
