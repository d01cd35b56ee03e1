//! What the items of one inode say of each other.
//!
//! Invariant: of what is the same in both trees nothing is known but that it fits: so totals are told as changes of the totals
//! that the old inode speaks of.

use crate::content::{ALLOCATED_KIND, Items, RUN_KIND};
use crate::error::Result;
use crate::format::{DecodeError, InodeNumber};
use crate::fs::layout::{
    DATA_END, ENTRY_KIND, ENTRY_SIZE, INODE_KIND, NAME_KIND, TARGET_KIND, XATTR_CHUNK_KIND, XATTR_KIND, inode_key,
};
use crate::fs::{FileKind, Inode, directory, inode, links, xattrs};
use crate::tree::{Change, Content, Key};

/// An inode's items as they differ.
pub struct Object {
    /// Its number.
    pub number: InodeNumber,
    block_len: u64,
    /// The inode in the old tree, if it differs from the new one.
    old: Option<Inode>,
    /// The inode in the new tree, if it differs from the old one.
    pub new: Option<Inode>,
    inode_differs: bool,
    found: Totals,
    /// Bytes of blocks, and bytes that are counted as allocated: also only what differs.
    blocks: i64,
    counted: i64,
    /// After the last block that only the new tree has.
    blocks_end: u64,
    /// Why an item of the new tree cannot be decoded.
    undecoded: Option<String>,
}

/// How much there is of what an inode counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Totals {
    entries: i64,
    subdirectories: i64,
    further_names: i64,
    /// Bytes in the names of extended attributes, each with one more.
    xattr_names: i64,
    /// Bytes that extended attributes lack.
    xattr_bytes: i64,
    target: i64,
}

impl Totals {
    fn of(inode: Option<&Inode>) -> Self {
        let Some(inode) = inode else { return Self::default() };
        let links = i64::from(inode.links);
        let xattr_names = i64::from(inode.xattr_names);
        let size = i64::try_from(inode.size).unwrap_or(i64::MAX);
        match inode.kind {
            FileKind::Directory => {
                let subdirectories = (links - 2).max(0);
                Self { entries: size / ENTRY_SIZE as i64, subdirectories, xattr_names, ..Self::default() }
            }
            kind => {
                let target = if kind == FileKind::Symlink { size } else { 0 };
                Self { further_names: (links - 1).max(0), xattr_names, target, ..Self::default() }
            }
        }
    }

    fn combine(self, other: Self, with: impl Fn(i64, i64) -> i64) -> Self {
        Self {
            entries: with(self.entries, other.entries),
            subdirectories: with(self.subdirectories, other.subdirectories),
            further_names: with(self.further_names, other.further_names),
            xattr_names: with(self.xattr_names, other.xattr_names),
            xattr_bytes: with(self.xattr_bytes, other.xattr_bytes),
            target: with(self.target, other.target),
        }
    }

    /// What of `self` is not what was expected.
    fn differs(&self, expected: &Self) -> Option<String> {
        let pairs = [
            (self.entries, expected.entries, "its size tells of {} names in it, and it has {}"),
            (self.subdirectories, expected.subdirectories, "its links tell of {} directories in it, and it has {}"),
            (self.further_names, expected.further_names, "its links tell of {} further names, and it knows of {}"),
            (self.xattr_names, expected.xattr_names, "it counts {} bytes of names of attributes, and has {}"),
            (self.xattr_bytes, expected.xattr_bytes, "its attributes should lack {} bytes, and lack {}"),
            (self.target, expected.target, "its target has {} bytes, of which {} are there"),
        ];
        let (found, expected, text) = pairs.into_iter().find(|(found, expected, _)| found != expected)?;
        Some(text.replacen("{}", &expected.to_string(), 1).replacen("{}", &found.to_string(), 1))
    }
}

impl Object {
    /// Nothing is known to differ.
    pub fn new(number: InodeNumber, block_len: u64) -> Self {
        let found = Totals::default();
        Self {
            number,
            block_len,
            old: None,
            new: None,
            inode_differs: false,
            found,
            blocks: 0,
            counted: 0,
            blocks_end: 0,
            undecoded: None,
        }
    }

    /// Takes in what differs.
    pub fn take(&mut self, change: &Change<'_>) {
        for (side, sign) in [(change.old, -1), (change.new, 1)] {
            let taken = match side {
                None => Ok(()),
                Some(Content::Block(_)) => self.block(change, sign),
                Some(Content::Bytes(value)) => self.value(change, value, sign),
            };
            if let (Err(error), 1) = (taken, sign) {
                self.undecoded = Some(error.to_string());
            }
        }
    }

    fn block(&mut self, change: &Change<'_>, sign: i64) -> Result<(), DecodeError> {
        if change.key.kind != RUN_KIND {
            return Err(DecodeError::Field("kind of a block"));
        }
        self.blocks += sign * self.block_len as i64;
        if sign > 0 {
            self.blocks_end = self.blocks_end.max(change.key.position + 1);
        }
        Ok(())
    }

    fn value(&mut self, change: &Change<'_>, value: &[u8], sign: i64) -> Result<(), DecodeError> {
        let found = &mut self.found;
        match change.key.kind {
            INODE_KIND => {
                self.inode_differs = true;
                let inode = inode::decode(self.number, value)?;
                *(if sign > 0 { &mut self.new } else { &mut self.old }) = Some(inode);
            }
            ENTRY_KIND => {
                let (_, kind, _) = directory::decode(value)?;
                found.entries += sign;
                found.subdirectories += if kind == FileKind::Directory { sign } else { 0 };
            }
            NAME_KIND => {
                links::decode(value)?;
                found.further_names += sign;
            }
            XATTR_KIND => {
                let header = xattrs::decode(value)?;
                found.xattr_names += sign * i64::from(xattrs::name_size(header.name));
                found.xattr_bytes += sign * (header.value_length - header.inline.len()) as i64;
            }
            XATTR_CHUNK_KIND => found.xattr_bytes -= sign * value.len() as i64,
            TARGET_KIND => found.target += sign * value.len() as i64,
            ALLOCATED_KIND => {
                let bytes = value.try_into().map_err(|_| DecodeError::Truncated)?;
                self.counted += sign * i64::try_from(u64::from_le_bytes(bytes)).unwrap_or(i64::MAX);
            }
            _ => return Err(DecodeError::Field("kind of an item")),
        }
        Ok(())
    }

    /// Whether it is in another directory than before, or new.
    pub fn is_moved(&self) -> bool {
        let home = |inode: &Option<Inode>| inode.as_ref().map(|inode| inode.home);
        home(&self.old) != home(&self.new)
    }

    /// What does not fit, if anything.
    pub fn problem(&self, items: &dyn Items) -> Result<Option<String>> {
        if let Some(error) = &self.undecoded {
            return Ok(Some(format!("an item cannot be read: {error}")));
        }
        let unchanged = match self.inode_differs {
            true => None,
            // It was decoded when it was new.
            false => items.get(inode_key(self.number))?.and_then(|value| inode::decode(self.number, &value).ok()),
        };
        let (old, new) = (self.old.as_ref().or(unchanged.as_ref()), self.new.as_ref().or(unchanged.as_ref()));
        let found = self.found.combine(Totals::of(old), |found, before| found.saturating_add(before));
        let differs = found.differs(&Totals::of(new));
        let Some(new) = new else {
            let is_there = differs.is_some() || self.blocks_end > 0 || self.counted > 0 || self.is_left(items)?;
            return Ok(is_there.then(|| "something is stored of an inode that does not exist".to_owned()));
        };
        if differs.is_some() {
            return Ok(differs);
        }
        if self.blocks != self.counted {
            return Ok(Some(format!("its blocks have {} bytes, and it counts {}", self.blocks, self.counted)));
        }
        self.size_problem(old, new, items)
    }

    /// Whether something is left of an inode that went.
    fn is_left(&self, items: &dyn Items) -> Result<bool> {
        let mut is_left = false;
        if self.old.is_some() {
            let (first, last) = (Key::new(self.number.0, 0, 0), Key::new(self.number.0, u8::MAX, u64::MAX));
            items.scan(first, last, &mut |_, _| {
                is_left = true;
                false
            })?;
            is_left = is_left || items.seek(self.number, 0, DATA_END, true)?.is_some();
        }
        Ok(is_left)
    }

    fn size_problem(&self, old: Option<&Inode>, new: &Inode, items: &dyn Items) -> Result<Option<String>> {
        if new.is_directory() && !new.size.is_multiple_of(ENTRY_SIZE) {
            return Ok(Some(format!("{} bytes are no size of a directory", new.size)));
        }
        if new.kind != FileKind::Regular {
            return Ok((self.blocks_end > 0).then(|| "it has blocks, and is no file".to_owned()));
        }
        let end = new.size.next_multiple_of(self.block_len);
        let is_shorter = old.is_some_and(|old| old.size > new.size);
        let is_beyond = self.blocks_end.saturating_mul(self.block_len) > end
            || is_shorter && end < DATA_END && items.seek(self.number, end, DATA_END, true)?.is_some();
        Ok(is_beyond.then(|| format!("it has {} bytes, and blocks behind them", new.size)))
    }
}
