//! From pointers to stored bytes: each block has a part of its extent, and each of those who refer to it a part of that.
//!
//! Invariant: the parts of an extent's blocks add up to all of it, but for less than a byte.

use std::collections::HashMap;

use crate::account::{Account, References};
use crate::error::Result;
use crate::format::{Birth, SlotId};
use crate::reclaim::{Share, Told};
use crate::tree::Dead;

/// Sums are in parts of a byte, so many of which make a whole one.
const PARTS: u128 = 1 << 32;

/// Looks up references; the last answer is kept, for what belongs together comes together.
struct Lookup<'a> {
    account: &'a Account,
    birth: Birth,
    last: Option<(SlotId, Option<References>)>,
}

impl Lookup<'_> {
    fn references(&mut self, id: SlotId) -> Result<Option<References>> {
        if let Some((last, references)) = self.last
            && last == id
        {
            return Ok(references);
        }
        let references = self.account.references(id, self.birth)?;
        self.last = Some((id, references));
        Ok(references)
    }
}

fn part(references: &References, of: u128) -> u128 {
    u128::from(references.stored_len) * PARTS / u128::from(references.live().max(1)) / of
}

fn whole(parts: u128) -> u64 {
    ((parts + PARTS / 2) / PARTS) as u64
}

/// What goes when pointers do: a block that others refer to as well does not.
///
/// Memory is bounded: of a share of all extents at a time, which is halved and gone through again when it is too large.
pub struct Freed<'a> {
    lookup: Lookup<'a>,
    share: Share,
    shared_max: usize,
    parts: i128,
    pointers: u64,
    /// How many pointers to a block went that has several.
    shared: HashMap<(SlotId, u8), i64>,
}

impl<'a> Freed<'a> {
    /// Nothing of a share goes, as of commit `birth`, which the caller keeps pinned. Remembers about `shared_max` blocks at most.
    pub fn new(account: &'a Account, birth: Birth, share: Share, shared_max: usize) -> Self {
        let lookup = Lookup { account, birth, last: None };
        Self { lookup, share, shared_max, parts: 0, pointers: 0, shared: HashMap::new() }
    }

    /// Whether that is more than it may remember: then what it says is not all.
    pub fn is_full(&self) -> bool {
        self.shared.len() > self.shared_max && self.share.is_large()
    }

    /// Takes into account what is told.
    pub fn note(&mut self, told: Told<'_>) -> Result<()> {
        match told {
            Told::Goes(dead) => self.add(dead, 1),
            Told::Stays(dead) => self.add(dead, -1),
            Told::Looked(pointers) => {
                self.pointers += pointers;
                Ok(())
            }
        }
    }

    /// Takes pointers off, or back.
    fn add(&mut self, dead: &Dead, change: i64) -> Result<()> {
        self.pointers += 1;
        if !self.share.contains(dead.id) {
            return Ok(());
        }
        let Some(references) = self.lookup.references(dead.id)? else { return Ok(()) };
        let part = part(&references, 1) as i128;
        for index in dead.first..dead.first + dead.count {
            let count = references.counts[usize::from(index)] as i64;
            let gone = match count {
                0 => continue,
                1 => i64::from(change < 0),
                _ => *self.shared.entry((dead.id, index)).or_default(),
            };
            if count > 1 {
                self.shared.insert((dead.id, index), gone + change);
            }
            self.parts += part * i128::from(i64::from(gone + change == count) - i64::from(gone == count));
        }
        Ok(())
    }

    /// How many pointers were looked at; neighbours count as one.
    pub fn pointers(&self) -> u64 {
        self.pointers
    }

    /// Parts of bytes that go, to be added up and made [whole bytes](bytes).
    pub fn parts(&self) -> i128 {
        self.parts
    }
}

/// Whole bytes of the parts of all shares.
pub fn bytes(parts: i128) -> u64 {
    whole(parts.max(0) as u128)
}

/// What belongs to pointers.
pub struct Shares<'a> {
    lookup: Lookup<'a>,
    blocks: u64,
    stored: u128,
    own: u128,
}

impl<'a> Shares<'a> {
    /// Of no pointers yet, as of commit `birth`, which the caller keeps pinned.
    pub fn new(account: &'a Account, birth: Birth) -> Self {
        Self { lookup: Lookup { account, birth, last: None }, blocks: 0, stored: 0, own: 0 }
    }

    /// Adds pointers.
    pub fn add(&mut self, pointers: &Dead) -> Result<()> {
        self.blocks += u64::from(pointers.count);
        let Some(references) = self.lookup.references(pointers.id)? else { return Ok(()) };
        for index in pointers.first..pointers.first + pointers.count {
            let count = u128::from(references.counts[usize::from(index)].max(1));
            self.stored += part(&references, 1);
            self.own += part(&references, count);
        }
        Ok(())
    }

    /// How many pointers there are, each block's own.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Bytes of their blocks, as if nobody else referred to them.
    pub fn stored(&self) -> u64 {
        whole(self.stored)
    }

    /// Bytes of their blocks, of each as large a part as others who refer to it have.
    pub fn own(&self) -> u64 {
        whole(self.own)
    }
}
