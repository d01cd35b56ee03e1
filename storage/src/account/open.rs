//! Reads an account from what the superblock says.

use crate::account::books::Books;
use crate::account::ledger::Ledger;
use crate::account::log::{Log, Pending, decode_chunk, decode_head};
use crate::account::pages::Pages;
use crate::account::state::AccountState;
use crate::account::usage::Usage;
use crate::error::Result;
use crate::format::Birth;
use crate::segment::Finished;

/// Reads usage table and free log. Slot pages are read when they are asked for.
pub fn read(pages: &Pages, state: &AccountState) -> Result<(Ledger, Books)> {
    let mut usage = Usage::default();
    let mut load = |pages: &Pages| {
        state.usage.walk(pages, &mut |key, link| match key.0 {
            0 => pages.decoded(link, |bytes| usage.decode_page(bytes, key.1)),
            _ => Ok(()),
        })
    };
    load(pages).map_err(|error| error.during("read the usage table"))?;
    for open in &state.segments.open {
        usage.finish(open.stream, Finished { segment: open.segment, length: open.length }, state.birth);
    }
    let (log, pending) = read_log(pages, state).map_err(|error| error.during("read the free log"))?;
    // What no record knows is left over from after this commit, or waited to be unlinked. The state before
    // this one may need it: so it waits until that one is overwritten.
    let unknown = pages.segments.present().into_keys().filter(|segment| usage.get(*segment).is_none());
    let retired = unknown.map(|segment| (Birth(state.birth.0 + 1), segment)).collect();
    let ledger = Ledger::new(state.birth, state.slots, pending);
    let books = Books { usage, usage_root: state.usage, log, retired, opened: state.birth, ..Books::default() };
    Ok((ledger, books))
}

/// Reads the free log: what it is made of, and the deltas in it that no page has applied.
pub fn read_log(pages: &Pages, state: &AccountState) -> Result<(Log, Pending)> {
    let mut pending = Pending::default();
    let Some(head) = state.log else { return Ok((Log::default(), pending)) };
    let chunks = pages.decoded(&head, decode_head)?;
    for chunk in &chunks {
        pages.decoded(&chunk.link, decode_chunk)?.into_iter().for_each(|entry| pending.apply(entry));
    }
    Ok((Log { head: Some(head), chunks }, pending))
}
