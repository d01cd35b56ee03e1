//! Finds the roots again when a superblock slot is damaged, or both: in the copies among the nodes.
//!
//! Invariant: nothing changes before a copy was found that counts. A copy is written before its commit is durable, so the
//! newest one counts only once all that its commit wrote was read whole; if it was not, the commit before is the last one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::account::{Account, AccountOptions, AccountState};
use crate::catalog::{Catalog, Holder};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::Inline;
use crate::format::{DecodeError, PoolId, Timestamp};
use crate::intent::IntentLog;
use crate::media::Media;
use crate::pool::open::{log_id, refused};
use crate::pool::payload::Payload;
use crate::pool::record;
use crate::scrub::told;
use crate::segment::{Backwards, Block, SegmentOptions};
use crate::store::Store;
use crate::superblock::{COPY_LENGTHS, Superblock};
use crate::tree::Node;

/// Bytes of memory for each of the caches.
const CACHE_LEN: u64 = 16 << 20;

/// A superblock that was found again and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredSuperblock {
    /// The pool's id.
    pub pool: PoolId,
    /// The number of the commit that opening goes on from.
    pub commit: u64,
    /// When that was asked for.
    pub committed: Timestamp,
    /// Changes that the log has beyond it, which opening replays.
    pub records: u64,
    /// Copies that were newer and did not count, the newest first.
    pub passed_over: Vec<PassedOver>,
}

/// A copy that did not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The number of its commit.
    pub commit: u64,
    /// What is missing: a commit that a crash cut off was never durable, so nothing of it was promised.
    pub reason: String,
}

/// A copy that is whole.
struct Copy {
    superblock: Superblock,
    payload: Payload,
}

/// All copies, the newest first.
struct Copies {
    blocks: Backwards,
    /// Found, and not yet taken.
    ahead: VecDeque<Copy>,
}

/// Whether there is a pool whose superblock is gone or has no whole slot.
pub fn is_lost(media: &Arc<dyn Media>) -> Result<bool> {
    Ok(Superblock::is_lost(&**media)? && Copies::of(media)?.next()?.is_some())
}

/// The number of the newest commit of which there is a copy.
pub fn newest_copy(media: &Arc<dyn Media>) -> Result<Option<u64>> {
    let newest = Copies::of(media)?.next()?;
    Ok(newest.map(|copy| copy.superblock.commit))
}

/// What opening goes on from: the newest slot. If the other one is damaged, that may have been of a later commit: then the
/// copy of that, if it counts, is put into the slot again.
pub fn current(media: &Arc<dyn Media>) -> Result<Superblock> {
    let newest = Superblock::current(&**media)?;
    if Superblock::both(&**media)?.iter().all(Option::is_some) {
        return Ok(newest);
    }
    let Some(later) = later(media, &newest)? else { return Ok(newest) };
    later.publish(&*Superblock::open(&**media)?)?;
    Ok(later)
}

/// The last copy, if it is of a later commit than a slot, and that commit was whole.
fn later(media: &Arc<dyn Media>, slot: &Superblock) -> Result<Option<Superblock>> {
    let mut copies = Copies::of(media)?;
    let Some(Copy { superblock, payload }) = copies.next()? else { return Ok(None) };
    // Of the same parity, it would go over the only slot that is whole.
    let is_later = superblock.pool == slot.pool && superblock.commit > slot.commit;
    if !is_later || (superblock.commit - slot.commit).is_multiple_of(2) {
        return Ok(None);
    }
    let before = copies.before(superblock.commit)?.map(|copy| &copy.payload.account);
    match check(media, &payload, before) {
        Ok((store, _)) => store.account().flush_written(before).map(|()| Some(superblock)),
        Err(error) if error.kind() == ErrorKind::UnknownVersion => Err(error),
        // A file that ends too early is no more whole than one with other bytes.
        Err(_) => Ok(None),
    }
}

/// Writes the superblock again as the newest copy that counts has it. Replays nothing: opening does.
pub fn recover(media: &Arc<dyn Media>) -> Result<RecoveredSuperblock> {
    let act = "cannot recover the superblock";
    if !Superblock::is_lost(&**media).map_err(|error| refused(error).during(act))? {
        let message = "the superblock has a whole slot: there is nothing to recover, the pool opens with it";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    search(media).map_err(|error| refused(error).during(act))
}

fn search(media: &Arc<dyn Media>) -> Result<RecoveredSuperblock> {
    let mut copies = Copies::of(media)?;
    let mut passed_over: Vec<PassedOver> = Vec::new();
    while let Some(Copy { superblock, payload }) = copies.next()? {
        // A copy of the same commit that lies further in front is of an attempt that was given up for this one.
        if passed_over.last().is_some_and(|passed| superblock.commit >= passed.commit) {
            continue;
        }
        let before = copies.before(superblock.commit)?.map(|copy| &copy.payload.account);
        match check(media, &payload, before) {
            Ok((store, records)) => {
                // After a killed process what was read may only have been in a cache.
                store.account().flush_written(before)?;
                superblock.restore(&**media)?;
                let (pool, commit, committed) = (superblock.pool, superblock.commit, payload.committed);
                return Ok(RecoveredSuperblock { pool, commit, committed, records, passed_over });
            }
            Err(error) if error.kind() == ErrorKind::UnknownVersion => return Err(error),
            Err(error) => passed_over.push(PassedOver { commit: superblock.commit, reason: told(&error) }),
        }
    }
    let reasons =
        passed_over.iter().map(|passed| format!("; commit {} is not whole: {}", passed.commit, passed.reason));
    let message = format!("no copy among the nodes can be used{}", reasons.take(3).collect::<String>());
    Err(Error::new(ErrorKind::Corrupt, message))
}

/// Whether a pool can be opened from here, and all that was promised since is in the log. Returns what it was read through,
/// and how many records there are.
fn check(media: &Arc<dyn Media>, payload: &Payload, before: Option<&AccountState>) -> Result<(Store, u64)> {
    let options = SegmentOptions { segment_len: payload.segment_len, reserve_count: payload.reserve_count };
    let account = Account::open(Arc::clone(media), AccountOptions::new(options, CACHE_LEN), &payload.account)?;
    account.check_written(&payload.account, before, &|bytes| Node::stored_id(bytes))?;
    let store = Store::new(account, Arc::new(Inline), CACHE_LEN, 0);
    let catalog = Catalog::load(&store, &payload.system)?;
    let records = IntentLog::look(&**media, log_id(&payload.secret), payload.log)?;
    for change in record::changes(&records, payload.account.birth()) {
        let (logged, dataset, _) = change?;
        if !payload.cuts.has(dataset, logged) && catalog.state(Holder::Head(dataset)).is_err() {
            let message = format!("the intent log goes on with dataset {}, which is not there yet", dataset.0);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
    }
    Ok((store, records.len() as u64))
}

impl Copies {
    fn of(media: &Arc<dyn Media>) -> Result<Self> {
        Ok(Self { blocks: Backwards::new(Arc::clone(media))?, ahead: VecDeque::new() })
    }

    /// The next older one.
    fn next(&mut self) -> Result<Option<Copy>> {
        match self.ahead.pop_front() {
            Some(copy) => Ok(Some(copy)),
            None => self.find(),
        }
    }

    /// The newest that is left of a commit before `commit`.
    fn before(&mut self, commit: u64) -> Result<Option<&Copy>> {
        let is_before = |copy: &Copy| copy.superblock.commit < commit;
        while !self.ahead.iter().any(is_before) {
            let Some(copy) = self.find()? else { return Ok(None) };
            self.ahead.push_back(copy);
        }
        Ok(self.ahead.iter().find(|copy| is_before(copy)))
    }

    fn find(&mut self) -> Result<Option<Copy>> {
        for block in self.blocks.by_ref() {
            if let Some(copy) = copy_in(&block?)? {
                return Ok(Some(copy));
            }
        }
        Ok(None)
    }
}

/// The copy at the end of a block, if there is a whole one.
fn copy_in(block: &Block) -> Result<Option<Copy>> {
    let decode = |length| {
        let at = block.bytes.len() - length;
        Superblock::decode_copy(&block.bytes[at..], block.segment, block.offset + at as u32)
    };
    let is_copy = |found: &Result<_, DecodeError>| matches!(found, Ok(_) | Err(DecodeError::Version { .. }));
    let superblock = match COPY_LENGTHS.into_iter().map(decode).find(is_copy) {
        Some(Ok(superblock)) => superblock,
        Some(Err(cause)) => return Err(Error::from(cause).during("read the superblock's copies")),
        None => return Ok(None),
    };
    // A node ends with what users stored, and that can be anything.
    if Node::stored_id(&block.bytes).is_some() {
        return Ok(None);
    }
    match Payload::decode(&superblock.payload) {
        Ok(payload) if payload.account.birth().0 == superblock.commit => Ok(Some(Copy { superblock, payload })),
        Err(error) if error.kind() == ErrorKind::UnknownVersion => Err(error),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
