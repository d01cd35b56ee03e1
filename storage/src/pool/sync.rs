//! Makes a file durable: fsync and COMMIT.
//!
//! What was written without promise is logged as the file has it now. Where that is much, a commit is
//! cheaper than to write it twice.

use std::ops::Range;
use std::sync::Arc;

use crate::catalog::Holder;
use crate::content::Items;
use crate::error::{ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs;
use crate::intent::Ticket;
use crate::pool::core::Core;
use crate::pool::head::Head;
use crate::pool::record;
use crate::sync::Ordering;

/// More bytes than this make a commit instead.
const INLINE_LEN_MAX: u64 = 256 << 10;
/// Bytes that a log record of a write may have beside those written.
const RECORD_FRONT_LEN_MAX: u64 = 256;

/// What a file needs to become durable.
enum Need {
    /// A wait for the log.
    Log(Option<Ticket>),
    /// A commit that has the head's changes and is cut after this one.
    Commit(u64),
}

impl Core {
    /// Most bytes of files that the log takes from one call; a small log takes less.
    pub fn inline_len_max(&self) -> u64 {
        INLINE_LEN_MAX.min(self.log.record_len_max() as u64 - RECORD_FRONT_LEN_MAX)
    }

    /// Returns when all that was written to the file so far, and its attributes, are durable.
    pub fn sync(&self, head: &Arc<Head>, inode: InodeNumber, now: Timestamp) -> Result<()> {
        if !head.waits_for_sync() || matches!(head.holder, Holder::Snapshot(_)) {
            return self.check();
        }
        match self.log_unlogged(head, inode)? {
            Need::Log(None) => Ok(()),
            Need::Log(Some(ticket)) => self.log.wait(ticket).inspect_err(|_| self.poison()),
            Need::Commit(seen) => self.commit_head_if_none_since(head, seen, now),
        }
    }

    fn log_unlogged(&self, head: &Arc<Head>, inode: InodeNumber) -> Result<Need> {
        let _gate = self.gate.read();
        self.check()?;
        // Taken before the state is looked at: a commit that began earlier may not have all of it.
        let seen = self.last_cut.load(Ordering::Acquire);
        let mut operations = match head.operate() {
            Err(error) if error.kind() == ErrorKind::ReadOnly => return Ok(Need::Commit(seen)),
            other => other?,
        };
        let (_pin, present) = self.view(head)?;
        let ranges = present.layers.unlogged(inode);
        let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        if total > self.inline_len_max() {
            return Ok(Need::Commit(seen));
        }
        let reader = fs::Reader::new(&present.layers, &self.names);
        // The last bytes that were written may have been given up since: then only this tells the size.
        let size = reader.attributes(inode)?.size;
        let end = (present.layers.is_unlogged(inode) && ranges.last().is_none_or(|last| last.end < size))
            .then_some(size..size);
        for range in ranges.iter().chain(&end) {
            match self.log_range(head, &reader, &present.layers, inode, range) {
                Ok(ticket) => operations.last_logged = Some(ticket),
                Err(error) if error.kind() == ErrorKind::Busy => return Ok(Need::Commit(seen)),
                Err(error) => return Err(error),
            }
        }
        present.layers.mark_logged(inode, &ranges);
        Ok(Need::Log(operations.last_logged))
    }

    fn log_range(
        &self,
        head: &Head,
        reader: &fs::Reader<'_>,
        items: &dyn Items,
        inode: InodeNumber,
        range: &Range<u64>,
    ) -> Result<Ticket> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        items.read(inode, range.start, &mut bytes)?;
        let record = reader.present_write(inode, range.start, &bytes)?;
        self.log.append(&record::encode(head.dataset, None, &record))
    }
}
