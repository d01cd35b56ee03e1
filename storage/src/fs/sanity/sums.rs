//! A sum for each inode over what entries and inodes say of its names: zero where they agree.

use std::collections::BTreeMap;

use crate::format::InodeNumber;
use crate::fs::inode::kind_code;
use crate::fs::layout::{ENTRY_KIND, INODE_KIND, NAME_KIND, ORPHAN_KIND};
use crate::fs::{FileKind, Inode, NamePlace, directory, inode, links};
use crate::tree::{Change, Content};

/// What an orphan adds. Any odd number does that no name is likely to add.
const ORPHAN: u64 = 0x9e37_79b9_7f4a_7c15;
/// What the kind of a name's inode adds, by its code.
const KIND: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// The sums of the inodes from one number on and before another.
pub struct Sums {
    from: u64,
    until: u64,
    max: usize,
    sums: BTreeMap<u64, u64>,
}

impl Sums {
    /// All inodes, until there are too many.
    pub fn first(max: usize) -> Self {
        Self { from: 0, until: u64::MAX, max: max.max(2), sums: BTreeMap::new() }
    }

    /// Those that there was no room for.
    pub fn next(self) -> Option<Self> {
        (self.until < u64::MAX).then(|| Self { from: self.until, ..Self::first(self.max) })
    }

    /// Inodes of which entries say something else than they do.
    pub fn unsettled(&self) -> impl Iterator<Item = InodeNumber> + '_ {
        self.sums.keys().map(|inode| InodeNumber(*inode))
    }

    /// Takes in what differs. What cannot be decoded says nothing: whose item it is hears of it elsewhere.
    pub fn take(&mut self, change: &Change<'_>) {
        for (side, sign) in [(change.old, u64::MAX), (change.new, 1)] {
            let Some(Content::Bytes(value)) = side else { continue };
            let object = InodeNumber(change.key.object);
            match change.key.kind {
                ENTRY_KIND => {
                    if let Ok((inode, kind, _)) = directory::decode(value) {
                        let place = NamePlace { directory: object, position: change.key.position };
                        self.add(inode, sign, name(place).wrapping_add(names_of(kind, 1)));
                    }
                }
                ORPHAN_KIND => self.add(InodeNumber(change.key.position), sign, ORPHAN),
                INODE_KIND => {
                    if let Ok(inode) = inode::decode(object, value) {
                        self.add(object, sign.wrapping_neg(), said_by(&inode));
                    }
                }
                NAME_KIND => {
                    if let Ok(place) = links::decode(value) {
                        self.add(object, sign.wrapping_neg(), name(place));
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, inode: InodeNumber, sign: u64, value: u64) {
        if !(self.from..self.until).contains(&inode.0) {
            return;
        }
        let sum = self.sums.entry(inode.0).or_default();
        *sum = sum.wrapping_add(sign.wrapping_mul(value));
        if *sum == 0 {
            self.sums.remove(&inode.0);
        } else if self.sums.len() > self.max
            && let Some(middle) = self.sums.keys().nth(self.max / 2).copied()
        {
            self.sums.split_off(&middle);
            self.until = middle;
        }
    }
}

fn name(place: NamePlace) -> u64 {
    links::hash(place) << 6
}

fn names_of(kind: FileKind, count: u32) -> u64 {
    KIND.wrapping_mul(u64::from(kind_code(kind)) * u64::from(count))
}

/// What an inode says of its names, but for those that have items of their own.
fn said_by(inode: &Inode) -> u64 {
    match (inode.number, inode.links) {
        (InodeNumber::ROOT, _) => 0,
        (_, 0) => ORPHAN,
        (_, links) => {
            let count = if inode.is_directory() { 1 } else { links };
            name(inode.home).wrapping_add(names_of(inode.kind, count))
        }
    }
}
