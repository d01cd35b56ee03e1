//! Looks for what stands in several dead lists, a piece of the shortest at a time.
//!
//! Invariant: what is left of a piece in the end was read in all of them.

use crate::catalog::{Catalog, List};
use crate::error::Result;
use crate::format::SnapshotId;
use crate::reclaim::Sources;
use crate::reclaim::sieve::{Pointer, Sieve, pointers};

/// Which lists are looked through.
#[derive(Debug)]
pub struct Search {
    /// Whose children's they are.
    pub fork: SnapshotId,
    /// The ids of the children's lists.
    pub ids: Vec<u64>,
    /// The id of the shortest one, the first chunk of its next piece, and the end that it had.
    shortest: u64,
    next: u64,
    end: u64,
    /// The sum of the ends of all lists: at first, and with what sifting has appended since.
    pub ends: u64,
    piece: Option<Piece>,
}

/// A piece of the shortest list, and how far others were read past it.
#[derive(Debug)]
struct Piece {
    read: Vec<Pointer>,
    sieve: Sieve,
    /// The other lists that are not read yet, the shortest last.
    rest: Vec<List>,
    state: PieceState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PieceState {
    /// It is read.
    Reading,
    /// Others are read past it.
    Passing,
    /// What is left of it is in all lists.
    Found,
}

impl Search {
    /// Nothing is read yet.
    pub fn new(fork: SnapshotId, lists: &[List]) -> Option<Self> {
        let shortest = lists.iter().min_by_key(|list| list.chunks())?;
        Some(Self {
            fork,
            ids: lists.iter().map(|list| list.id).collect(),
            shortest: shortest.id,
            next: shortest.first,
            end: shortest.end,
            ends: lists.iter().map(|list| list.end).sum(),
            piece: None,
        })
    }

    /// Whether these are still the children's lists.
    pub fn is_of(&self, lists: &[List]) -> bool {
        self.ids.iter().eq(lists.iter().map(|list| &list.id))
    }

    /// Begins the next piece, if none is under way and one is left.
    pub fn begin_piece(&mut self, lists: &[List]) {
        if self.piece.is_none() && self.next < self.end {
            let mut rest: Vec<List> = lists.iter().filter(|list| list.id != self.shortest).copied().collect();
            rest.sort_unstable_by_key(|list| std::cmp::Reverse(list.chunks()));
            let (read, sieve, state) = (Vec::new(), Sieve::default(), PieceState::Reading);
            self.piece = Some(Piece { read, sieve, rest, state });
        }
    }

    /// Reads about so many pointers. Returns how many that were.
    pub fn go_on(&mut self, sources: Sources<'_>, budget: u64, pointers_max: usize) -> Result<u64> {
        let mut done = 0;
        while done < budget
            && let Some(piece) = &mut self.piece
        {
            done += 1;
            match piece.state {
                PieceState::Reading if self.next < self.end && piece.read.len() < pointers_max => {
                    let entries = Catalog::read_stored_chunk(sources.nodes, sources.system, self.shortest, self.next)?;
                    done += entries.len() as u64;
                    piece.read.extend(entries.iter().flat_map(pointers));
                    self.next += 1;
                }
                PieceState::Reading => {
                    piece.sieve = Sieve::new(std::mem::take(&mut piece.read));
                    piece.state = PieceState::Passing;
                }
                PieceState::Passing => done += piece.pass(sources)?,
                PieceState::Found => break,
            }
            if self.piece.as_ref().is_some_and(|piece| piece.state == PieceState::Passing && piece.sieve.is_empty()) {
                self.piece = None;
            }
        }
        Ok(done)
    }

    /// Whether something was found that is in all lists.
    pub fn has_found(&self) -> bool {
        self.piece.as_ref().is_some_and(|piece| piece.state == PieceState::Found)
    }

    /// Takes what was found.
    pub fn take_found(&mut self) -> Option<Sieve> {
        let found = self.piece.take_if(|piece| piece.state == PieceState::Found);
        found.map(|piece| piece.sieve)
    }

    /// Whether all lists are read, and nothing is to be taken.
    pub fn is_done(&self) -> bool {
        self.piece.is_none() && self.next == self.end
    }

    /// Reads no further.
    pub fn end(&mut self) {
        (self.piece, self.next) = (None, self.end);
    }
}

impl Piece {
    /// Reads a chunk of the list in turn past the piece.
    fn pass(&mut self, sources: Sources<'_>) -> Result<u64> {
        let Some(list) = self.rest.last_mut() else {
            self.state = PieceState::Found;
            return Ok(0);
        };
        if list.is_empty() || self.sieve.is_full() {
            self.sieve.keep_seen();
            self.rest.pop();
            return Ok(0);
        }
        let entries = Catalog::read_stored_chunk(sources.nodes, sources.system, list.id, list.first)?;
        list.first += 1;
        entries.iter().for_each(|entry| self.sieve.see(entry, &mut |_, _| {}));
        Ok(entries.len() as u64)
    }
}
