//! Whether all that a commit wrote is there: for who finds a state and does not know if it was ever made durable.
//!
//! Invariant: whatever was appended after the state before is read and proven by what it says of itself: pages by their
//! links, nodes and extents by their own checksums. What lies further in front was durable before that state was.

use crate::account::link::Link;
use crate::account::radix::{Key, Node};
use crate::account::slots::{Slot, SlotKind, SlotPage, id_of};
use crate::account::{Account, AccountState};
use crate::error::{ErrorKind, Result};
use crate::extent::{Compressor, Extent};
use crate::format::SlotId;
use crate::segment::{Place, SegmentsState, Stream};

/// Looks at what is newer than another state.
struct Newer<'a> {
    account: &'a Account,
    before: Option<&'a SegmentsState>,
    identify: &'a dyn Fn(&[u8]) -> Option<SlotId>,
    with: Compressor,
}

impl Account {
    /// Reads all that the commit of `state` appended since that of `before`, an earlier one of which it is known that it
    /// became durable; without one, all there is. `identify` reads the id out of a node's bytes, if they are a whole node's.
    pub fn check_written(
        &self,
        state: &AccountState,
        before: Option<&AccountState>,
        identify: &dyn Fn(&[u8]) -> Option<SlotId>,
    ) -> Result<()> {
        let before = before.map(|before| &before.segments);
        let mut newer = Newer { account: self, before, identify, with: Compressor::new()? };
        let mut below: Vec<(Key, Link)> =
            state.slots.link.iter().map(|link| ((state.slots.height, 0), *link)).collect();
        while let Some((key, link)) = below.pop() {
            // What is above a new page is new.
            if !newer.has(Stream::Node, link.place) {
                continue;
            }
            let bytes = self.pages.bytes(&link)?;
            if key.0 == 0 {
                newer.check_page(&SlotPage::decode(&bytes, key.1)?)?;
                continue;
            }
            below.extend(Node::decode(&bytes, key)?.below(key));
        }
        Ok(())
    }

    /// Makes durable what was appended since `before` and may only have been seen in a cache.
    pub fn flush_written(&self, before: Option<&AccountState>) -> Result<()> {
        self.segments().flush_since(before.map(|before| &before.segments))
    }
}

impl Newer<'_> {
    fn has(&self, stream: Stream, place: Place) -> bool {
        let open = self.before.and_then(|before| before.open.iter().find(|open| open.stream == stream));
        open.is_none_or(|open| (place.segment, place.offset) >= (open.segment, open.length))
    }

    fn check_page(&mut self, page: &SlotPage) -> Result<()> {
        for (slot, value) in page.iter() {
            if self.has(value.kind.stream(), value.place) {
                let id = id_of(page.number, slot);
                self.check_slot(id, value).map_err(|error| error.during(format!("read the slot {id:?}")))?;
            }
        }
        Ok(())
    }

    fn check_slot(&mut self, id: SlotId, slot: &Slot) -> Result<()> {
        let mut bytes = vec![0; slot.place.length as usize];
        self.account.segments().read(slot.place, &mut bytes)?;
        let is_whole = match slot.kind {
            SlotKind::Node => (self.identify)(&bytes) == Some(id),
            SlotKind::Extent => Extent::open(&bytes, id, &mut self.with)?.damaged() == 0,
        };
        if is_whole { Ok(()) } else { Err(ErrorKind::Corrupt.into()) }
    }
}
