//! All that a file system holds, read through its own calls, to be compared with another.
//!
//! Invariant: what has no name is not in it, and neither are cookies.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use cow_storage::error::Error;
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{Attributes, Caller, Context, FileKind, FileSystem, SeekTarget};

/// Bytes read at once, at most.
const READ_LEN_MAX: u64 = 1 << 20;

/// A range of a file and its bytes.
pub(crate) type Piece = (Range<u64>, Arc<[u8]>);

/// What a file system holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tree {
    pub objects: BTreeMap<InodeNumber, Object>,
}

/// An inode and all that belongs to it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub attributes: Attributes,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub body: Body,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// What is allocated, in order.
    File(Vec<Piece>),
    Directory(Vec<(Vec<u8>, InodeNumber, FileKind)>),
    Symlink(Vec<u8>),
    Special,
}

impl Tree {
    /// Reads everything that has a name.
    pub fn of(files: &dyn FileSystem) -> Result<Self, Error> {
        let who = Context { now: Timestamp::default(), caller: Caller::Superuser, durable: false, call: None };
        let mut tree = Self::default();
        let mut waiting = vec![InodeNumber::ROOT];
        while let Some(inode) = waiting.pop() {
            if tree.objects.contains_key(&inode) {
                continue;
            }
            let object = Object::of(files, &who, inode)?;
            if let Body::Directory(entries) = &object.body {
                waiting.extend(entries.iter().map(|entry| entry.1));
            }
            tree.objects.insert(inode, object);
        }
        Ok(tree)
    }

    /// The same without change counters, which a crash may set back.
    pub fn without_changes(mut self) -> Self {
        self.objects.values_mut().for_each(|object| object.attributes.change = 0);
        self
    }

    /// The first thing that differs from what is expected, in words.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        for (inode, object) in &expected.objects {
            match self.objects.get(inode) {
                None => return Some(format!("inode {} is missing: {object:?}", inode.0)),
                Some(found) if found != object => {
                    return Some(format!("inode {} is {}", inode.0, found.differs_from(object)));
                }
                Some(_) => {}
            }
        }
        let extra = self.objects.iter().find(|(inode, _)| !expected.objects.contains_key(inode));
        extra.map(|(inode, object)| format!("inode {} is there and should not be: {object:?}", inode.0))
    }
}

impl Object {
    fn of(files: &dyn FileSystem, who: &Context, inode: InodeNumber) -> Result<Self, Error> {
        let during = |error: Error| error.during(format!("read inode {}", inode.0));
        let attributes = files.attributes(inode).map_err(during)?;
        let body = Body::of(files, who, &attributes).map_err(during)?;
        let mut xattrs = BTreeMap::new();
        for name in files.list_xattrs(who, inode).map_err(during)? {
            let value = files.xattr(who, inode, &name).map_err(during)?;
            xattrs.insert(name, value);
        }
        Ok(Self { attributes, xattrs, body })
    }

    fn differs_from(&self, expected: &Self) -> String {
        if let (Body::File(found), Body::File(wanted)) = (&self.body, &expected.body)
            && found != wanted
        {
            return format!("{self:?}, expected {expected:?}: {}", differing_bytes(found, wanted));
        }
        if let (Body::Directory(found), Body::Directory(wanted)) = (&self.body, &expected.body)
            && found != wanted
        {
            return format!("{self:?} with {found:?}, expected {expected:?} with {wanted:?}");
        }
        let (found, wanted) = (format!("{:?}", self.attributes), format!("{:?}", expected.attributes));
        let fields = found.split(", ").zip(wanted.split(", ")).filter(|(found, wanted)| found != wanted);
        let fields: Vec<String> = fields.map(|(found, wanted)| format!("{found}, not {wanted}")).collect();
        format!("{self:?} but: {}", fields.join("; "))
    }
}

impl Body {
    fn of(files: &dyn FileSystem, who: &Context, attributes: &Attributes) -> Result<Self, Error> {
        let inode = attributes.inode;
        Ok(match attributes.kind {
            FileKind::Regular => Self::File(pieces(files, who, attributes)?),
            FileKind::Symlink => Self::Symlink(files.read_link(who, inode)?),
            FileKind::Directory => {
                let page = files.read_directory(who, inode, 0, usize::MAX)?;
                let mut entries: Vec<_> =
                    page.entries.into_iter().map(|entry| (entry.name, entry.inode, entry.kind)).collect();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                Self::Directory(entries)
            }
            _ => Self::Special,
        })
    }
}

/// What a file has allocated: where, and its bytes.
fn pieces(files: &dyn FileSystem, who: &Context, attributes: &Attributes) -> Result<Vec<Piece>, Error> {
    let (inode, mut pieces, mut at) = (attributes.inode, Vec::new(), 0);
    while let Some(start) = files.seek(inode, at, SeekTarget::Data)? {
        let hole = files.seek(inode, start, SeekTarget::Hole)?.unwrap_or(attributes.size);
        assert!(start >= at && hole > start, "data from {start} to {hole} in inode {} after {at}", inode.0);
        let end = hole.min(start + READ_LEN_MAX);
        let mut bytes = vec![0xee; (end - start) as usize];
        let outcome = files.read(who, inode, start, &mut bytes)?;
        assert_eq!(outcome.length, bytes.len(), "inode {} has less than {end} bytes", inode.0);
        pieces.push((start..end, bytes.into()));
        at = end;
    }
    Ok(pieces)
}

fn differing_bytes(found: &[Piece], expected: &[Piece]) -> String {
    let ranges = |pieces: &[Piece]| pieces.iter().map(|piece| piece.0.clone()).collect::<Vec<_>>();
    if ranges(found) != ranges(expected) {
        return format!("data in {:x?}, expected in {:x?}", ranges(found), ranges(expected));
    }
    for ((range, found), (_, expected)) in found.iter().zip(expected) {
        let wrong: Vec<usize> = (0..found.len()).filter(|at| found[*at] != expected[*at]).collect();
        if let (Some(first), Some(last)) = (wrong.first(), wrong.last()) {
            let (start, end) = (range.start + *first as u64, range.start + *last as u64 + 1);
            let sample = |bytes: &[u8]| bytes[*first..(*first + 8).min(bytes.len())].to_vec();
            let (is, should) = (sample(found), sample(expected));
            return format!("{} bytes in {start:x}..{end:x} differ: {is:x?}, expected {should:x?}", wrong.len());
        }
    }
    "nothing differs".to_owned()
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attributes { kind, mode, links, size, allocated, change, modified, changed, .. } = &self.attributes;
        write!(f, "{kind:?} of {size} bytes ({allocated} allocated), mode {mode:o}, {links} links, change {change}")?;
        write!(f, ", modified {}, changed {}, {} xattrs", modified.seconds, changed.seconds, self.xattrs.len())
    }
}
