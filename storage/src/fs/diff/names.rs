//! Matches names that went with names that came.
//!
//! A name is compared by its spot: the directory as the new side has it, and the name in it. So what
//! only moved along with a directory is where it was.
//!
//! Invariant: no two names of the old side have one spot, nor two of the new side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::content::Items;
use crate::error::Result;
use crate::format::InodeNumber;
use crate::fs::diff::collect::{Inodes, Presence};
use crate::fs::diff::report::{Report, Told};
use crate::fs::diff::{Comparison, DifferenceKind, Name, Side, Touched};
use crate::fs::paths::{climb, name_at};
use crate::fs::{FileKind, Inode, NamePlace, directory, links};

/// A directory of the new side, and a name in it.
type Spot = (InodeNumber, Vec<u8>);

impl Comparison<'_> {
    /// Turns changed inodes and names into paths.
    pub(super) fn match_names(&self, touched: Touched) -> Result<Report<'_>> {
        let mut matcher = Matcher {
            comparison: self,
            same: touched.iter().map(|(number, inodes)| (*number, inodes.same)).collect(),
            counterparts: HashMap::new(),
            gone: HashMap::new(),
            come: Vec::new(),
            report: Report::new(self),
        };
        for (number, inodes) in touched {
            matcher.inode(number, inodes)?;
        }
        matcher.finish()
    }
}

struct Matcher<'a> {
    comparison: &'a Comparison<'a>,
    /// Of touched inodes, whether both sides have the same file; of all others they have.
    same: HashMap<InodeNumber, bool>,
    /// What the new side has in the place of directories that it has not.
    counterparts: HashMap<InodeNumber, Option<InodeNumber>>,
    /// Names that went.
    gone: HashMap<Spot, Half>,
    /// Names that came.
    come: Vec<(Spot, Half)>,
    report: Report<'a>,
}

/// What a name on one side was or is.
struct Half {
    /// Of a name that went, the directory that it was in.
    directory: InodeNumber,
    inode: InodeNumber,
    kind: Presence,
    bytes: u64,
}

impl<'a> Matcher<'a> {
    fn inode(&mut self, number: InodeNumber, mut inodes: Inodes) -> Result<()> {
        let mut moved: BTreeSet<NamePlace> = inodes.gained.iter().map(|(place, _)| *place).collect();
        let gained = std::mem::take(&mut inodes.gained).into_iter();
        let mut gained: BTreeMap<Spot, NamePlace> =
            gained.map(|(place, name)| ((place.directory, name), place)).collect();
        let mut lost = Vec::new();
        for (place, name) in std::mem::take(&mut inodes.lost) {
            let spot = self.counterpart(place.directory)?.map(|directory| (directory, name.clone()));
            match spot.as_ref().filter(|_| inodes.same).and_then(|spot| gained.remove(spot)) {
                Some(stayed) => drop(moved.remove(&stayed)),
                None => lost.push((spot, (place, name))),
            }
        }
        if inodes.same {
            let pairs = lost.len().min(gained.len());
            for (_, from) in lost.drain(..pairs) {
                let to = gained.pop_first().map(|(spot, _)| spot);
                to.map_or(Ok(()), |to| self.renamed(from, to, inodes.bytes))?;
            }
        }
        self.one_sided(number, &inodes, lost, gained)?;
        if (inodes.differs || inodes.bytes > 0) && inodes.old.is_named() && inodes.new.is_named() {
            self.modified(number, &moved, inodes.bytes)?;
        }
        Ok(())
    }

    fn renamed(&mut self, (from, old): Name, (to, new): Spot, bytes: u64) -> Result<()> {
        let from = Some(self.report.node(Side::Old, from.directory, &old)?);
        let node = self.report.node(Side::New, to, &new)?;
        self.report.tell_of(node, Told { kind: DifferenceKind::Renamed, from, bytes });
        Ok(())
    }

    /// Keeps names that only one side has.
    fn one_sided(
        &mut self,
        inode: InodeNumber,
        inodes: &Inodes,
        lost: Vec<(Option<Spot>, Name)>,
        gained: BTreeMap<Spot, NamePlace>,
    ) -> Result<()> {
        if !lost.is_empty() {
            let bytes = self.bytes_on_one(Side::Old, inode, inodes)?;
            for (spot, (place, name)) in lost {
                let half = Half { directory: place.directory, inode, kind: inodes.old, bytes };
                match spot {
                    Some(spot) => drop(self.gone.insert(spot, half)),
                    None => self.removed(&name, &half)?,
                }
            }
        }
        if !gained.is_empty() {
            let bytes = self.bytes_on_one(Side::New, inode, inodes)?;
            for (spot, place) in gained {
                self.come.push((spot, Half { directory: place.directory, inode, kind: inodes.new, bytes }));
            }
        }
        Ok(())
    }

    /// Bytes of all blocks of a file that the other side has not; 0 if it has it.
    fn bytes_on_one(&self, side: Side, number: InodeNumber, inodes: &Inodes) -> Result<u64> {
        let other = if side == Side::Old { inodes.new } else { inodes.old };
        match other {
            _ if inodes.same => Ok(0),
            Presence::Absent => Ok(inodes.bytes),
            _ => self.comparison.side(side).allocated(number),
        }
    }

    /// Tells of all names of a changed inode that did not move.
    fn modified(&mut self, number: InodeNumber, moved: &BTreeSet<NamePlace>, bytes: u64) -> Result<()> {
        let told = Told { kind: DifferenceKind::Modified, from: None, bytes };
        if number == InodeNumber::ROOT {
            self.report.tell_of_root(told);
        }
        let new = self.comparison.side(Side::New);
        for place in links::all(new, &Inode::load(new, number)?)? {
            if !moved.contains(&place) {
                let node = self.report.node(Side::New, place.directory, &name_at(new, place)?)?;
                self.report.tell_of(node, told);
            }
        }
        Ok(())
    }

    fn removed(&mut self, name: &[u8], gone: &Half) -> Result<()> {
        let node = self.report.node(Side::Old, gone.directory, name)?;
        self.report.tell_of(node, Told { kind: DifferenceKind::Removed, from: None, bytes: gone.bytes });
        Ok(())
    }

    /// Compares what went with what came to the same spots, and tells of all the rest.
    fn finish(mut self) -> Result<Report<'a>> {
        for (spot, come) in std::mem::take(&mut self.come) {
            let told = match self.gone.get(&spot).filter(|gone| gone.kind == come.kind) {
                None => Some(Told { kind: DifferenceKind::Added, from: None, bytes: come.bytes }),
                Some(gone) => {
                    let (differs, bytes) = self.comparison.compare(gone.inode, come.inode)?;
                    self.gone.remove(&spot);
                    differs.then_some(Told { kind: DifferenceKind::Modified, from: None, bytes })
                }
            };
            if let Some(told) = told {
                let node = self.report.node(Side::New, spot.0, &spot.1)?;
                self.report.tell_of(node, told);
            }
        }
        for ((_, name), gone) in std::mem::take(&mut self.gone) {
            self.removed(&name, &gone)?;
        }
        Ok(self.report)
    }

    /// The directory of the new side in which names are where they were in this one of the old side.
    fn counterpart(&mut self, directory: InodeNumber) -> Result<Option<InodeNumber>> {
        let (old, mut chain, mut found) = (self.comparison.side(Side::Old), Vec::new(), Some(InodeNumber::ROOT));
        climb(old, directory, &mut |directory| {
            let known = match self.is_same(directory.number) {
                true => Some(Some(directory.number)),
                false => self.counterparts.get(&directory.number).copied(),
            };
            match known {
                Some(known) => found = known,
                None => chain.push((directory.number, name_at(old, directory.home)?)),
            }
            Ok(known.is_none())
        })?;
        for (directory, name) in chain.into_iter().rev() {
            found = found.map_or(Ok(None), |above| self.successor(above, &name))?;
            self.counterparts.insert(directory, found);
        }
        Ok(found)
    }

    /// A directory of the new side that came to a spot, and is not on the old side.
    fn successor(&self, directory: InodeNumber, name: &[u8]) -> Result<Option<InodeNumber>> {
        let new = self.comparison.side(Side::New);
        let found = directory::find(new, self.comparison.names, directory, name)?.taken();
        let found = found.filter(|entry| entry.kind == FileKind::Directory && !self.is_same(entry.inode));
        Ok(found.map(|entry| entry.inode))
    }

    fn is_same(&self, inode: InodeNumber) -> bool {
        self.same.get(&inode).copied().unwrap_or(true)
    }
}
