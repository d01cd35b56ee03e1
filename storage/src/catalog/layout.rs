//! Where in the system tree the catalog's items are. See `FORMAT.md`, "Catalog items".
//!
//! Invariant: all records have object 0 and no dead list has, so loading reads records only.

use crate::format::{DatasetId, SnapshotId};
use crate::tree::Key;

pub(in crate::catalog) const DATASET: u8 = 1;
pub(in crate::catalog) const SNAPSHOT: u8 = 2;
pub(in crate::catalog) const USER_PROPERTIES: u8 = 3;
pub(in crate::catalog) const HOLDS: u8 = 4;
pub(in crate::catalog) const DEAD_LIST: u8 = 5;
pub(in crate::catalog) const JOB: u8 = 6;
pub(in crate::catalog) const COUNTERS: u8 = 7;

/// Most pieces of a text.
pub(in crate::catalog) const PIECES_MAX: u64 = 256;

/// One more than the largest id: with the number of a piece it makes a position.
pub(in crate::catalog) const ID_LIMIT: u64 = 1 << 56;

/// Bytes of a dead list's chunk or a text's piece, at most.
pub(in crate::catalog) const PIECE_LENGTH: usize = 1000;

const _: () = assert!(PIECE_LENGTH <= crate::tree::VALUE_MAX);

pub(in crate::catalog) const FIRST: Key = Key::new(0, 0, 0);
pub(in crate::catalog) const LAST: Key = Key::new(0, u8::MAX, u64::MAX);

pub(in crate::catalog) const fn dataset(id: DatasetId) -> Key {
    Key::new(0, DATASET, id.0)
}

pub(in crate::catalog) const fn snapshot(id: SnapshotId) -> Key {
    Key::new(0, SNAPSHOT, id.0)
}

/// Piece `number` of the text of kind `kind` that belongs to `id`.
pub(in crate::catalog) const fn piece(kind: u8, id: u64, number: u64) -> Key {
    Key::new(0, kind, id * PIECES_MAX + number)
}

pub(in crate::catalog) const fn chunk(list: u64, number: u64) -> Key {
    Key::new(list, DEAD_LIST, number)
}

pub(in crate::catalog) const fn job() -> Key {
    Key::new(0, JOB, 0)
}

pub(in crate::catalog) const fn counters() -> Key {
    Key::new(0, COUNTERS, 0)
}
