//! What a call came to, in words that hold for both servers.

use cow_tests::nfs_client::{Handle, WireAttributes, WireTime};

/// A call's results as one server gave them.
#[derive(Clone, Debug)]
pub enum Raw {
    /// A status that is not OK.
    Failed(u32),
    /// What was told.
    Told(Vec<Item>),
}

/// One thing that a server told.
#[derive(Clone, Debug)]
pub enum Item {
    /// A file's handle.
    File(Handle),
    /// A file's attributes, or none.
    Attributes(Option<WireAttributes>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A number.
    Number(u64),
    /// Names in a directory, sorted, with their handles where they were asked for.
    Names(Vec<(Vec<u8>, Option<Handle>)>),
}

/// The same with each server's own names for files taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// A status that is not OK.
    Failed(u32),
    /// What was told.
    Told(Vec<Fact>),
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The file of that place among all that were seen; none if it is new.
    File(Option<usize>),
    /// Attributes, or none.
    Attributes(Option<Shown>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A number.
    Number(u64),
    /// Names and which files they are.
    Names(Vec<(Vec<u8>, Option<usize>)>),
}

/// Attributes that both must tell alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Kind, mode, links.
    pub kind: (u32, u32, u32),
    /// Owner and group.
    pub owner: (u32, u32),
    /// Bytes; a directory's are each server's own.
    pub size: u64,
    /// Device numbers, of a device.
    pub device: (u32, u32),
    /// Whether the time of the content's last change is another than when it was told last.
    pub modified_moved: bool,
    /// The same of any change.
    pub changed_moved: bool,
}

impl Shown {
    /// What is to be compared of `attributes`, which were told last with times `before`.
    pub fn new(attributes: &WireAttributes, before: Option<[WireTime; 3]>) -> Self {
        let WireAttributes { kind, mode, links, uid, gid, times, .. } = *attributes;
        let moved = |place: usize| before.is_some_and(|before| before[place] != times[place]);
        Self {
            kind: (kind, mode, links),
            owner: (uid, gid),
            size: if kind == 2 { 0 } else { attributes.size },
            device: if matches!(kind, 3 | 4) { attributes.device } else { (0, 0) },
            modified_moved: moved(1),
            changed_moved: moved(2),
        }
    }
}
