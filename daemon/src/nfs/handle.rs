//! File handles: which file of which dataset or snapshot, and a proof that this pool's server made it.
//!
//! Layout, little-endian: version 1 byte, zeros 3, dataset 8, snapshot 8 (0: the head), inode 8, tag 16.
//!
//! Invariant: the tag is a keyed hash of all bytes before it, so nobody makes a handle of one
//! dataset, clone or file out of another's. Nothing in a handle changes with restarts, renames or
//! rewinds, and none of its numbers is ever reused.

use cow_storage::format::{DatasetId, InodeNumber, SnapshotId};

use crate::nfs::status::Status;
use crate::nfs::xdr::{Decoder, Garbage};

/// Longest handle that NFSv3 allows, in bytes.
pub const LENGTH_MAX: usize = 64;
/// Bytes in ours.
pub const LENGTH: usize = BODY_LENGTH + TAG_LENGTH;
const BODY_LENGTH: usize = 28;
const TAG_LENGTH: usize = 16;
const VERSION: u8 = 1;

/// Stands for the directory of a dataset's snapshots, which no inode has.
pub const SNAPSHOTS: InodeNumber = InodeNumber(i64::MAX as u64);

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The dataset.
    pub dataset: DatasetId,
    /// The snapshot of it, unless it is the head.
    pub snapshot: Option<SnapshotId>,
    /// The file, or [`SNAPSHOTS`].
    pub inode: InodeNumber,
}

/// Makes handles and knows its own.
#[derive(Clone)]
pub struct HandleKey([u8; 32]);

impl HandleKey {
    /// Uses this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The handle's bytes.
    pub fn seal(&self, handle: &Handle) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[4..12].copy_from_slice(&handle.dataset.0.to_le_bytes());
        bytes[12..20].copy_from_slice(&handle.snapshot.map_or(0, |snapshot| snapshot.0).to_le_bytes());
        bytes[20..28].copy_from_slice(&handle.inode.0.to_le_bytes());
        let tag = self.tag(&bytes[..BODY_LENGTH]);
        bytes[BODY_LENGTH..].copy_from_slice(&tag);
        bytes
    }

    /// What a client's bytes name: `BadHandle` unless this key made them.
    pub fn open(&self, bytes: &[u8]) -> Result<Handle, Status> {
        let bytes: &[u8; LENGTH] = bytes.try_into().map_err(|_| Status::BAD_HANDLE)?;
        let (body, tag) = bytes.split_at(BODY_LENGTH);
        // All bytes are compared, so that the time it takes tells nothing of the tag.
        let difference = self.tag(body).iter().zip(tag).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
        if difference != 0 || body[0] != VERSION {
            return Err(Status::BAD_HANDLE);
        }
        let number = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes"));
        let snapshot = Some(number(12)).filter(|&snapshot| snapshot != 0).map(SnapshotId);
        Ok(Handle { dataset: DatasetId(number(4)), snapshot, inode: InodeNumber(number(20)) })
    }

    pub(in crate::nfs) fn tag(&self, body: &[u8]) -> [u8; TAG_LENGTH] {
        let hash = blake3::keyed_hash(&self.0, body);
        *hash.as_bytes().first_chunk().expect("a hash is longer")
    }
}

/// A handle's bytes off the front of arguments.
pub fn decode<'a>(arguments: &mut Decoder<'a>) -> Result<&'a [u8], Garbage> {
    arguments.opaque(LENGTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_what_was_sealed_and_nothing_else() {
        let key = HandleKey::new([7; 32]);
        for snapshot in [None, Some(SnapshotId(9))] {
            let handle = Handle { dataset: DatasetId(3), snapshot, inode: InodeNumber(1 << 40) };
            let sealed = key.seal(&handle);
            assert_eq!(key.open(&sealed), Ok(handle));
            assert_eq!(HandleKey::new([8; 32]).open(&sealed), Err(Status::BAD_HANDLE));
            for bit in 0..LENGTH * 8 {
                let mut forged = sealed;
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open(&forged), Err(Status::BAD_HANDLE));
            }
            for length in 0..LENGTH {
                assert_eq!(key.open(&sealed[..length]), Err(Status::BAD_HANDLE));
            }
        }
    }
}
