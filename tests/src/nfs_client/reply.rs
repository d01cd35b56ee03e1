//! What replies hold: attributes, the data around changes, and directory entries.

use crate::nfs_client::wire::Reader;
use crate::nfs_client::{Failure, Handle, Outcome};

/// Seconds and nanoseconds.
pub type WireTime = (u32, u32);

/// `fattr3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireAttributes {
    /// 1 file, 2 directory, 3 block device, 4 character device, 5 symlink, 6 socket, 7 named pipe.
    pub kind: u32,
    /// Permission bits.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes allocated.
    pub used: u64,
    /// Device numbers.
    pub device: (u32, u32),
    /// The file system.
    pub fsid: u64,
    /// The inode.
    pub inode: u64,
    /// Last access, change of content, change of anything: seconds and nanoseconds.
    pub times: [WireTime; 3],
}

/// `wcc_data`: size, modification and change time before; attributes after.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Around {
    /// Before, if told.
    pub before: Option<(u64, WireTime, WireTime)>,
    /// After, if told.
    pub after: Option<WireAttributes>,
}

/// A name from a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Vec<u8>,
    /// What it names.
    pub inode: u64,
    /// Where to go on.
    pub cookie: u64,
    /// Attributes, if told.
    pub attributes: Option<WireAttributes>,
    /// Handle, if told.
    pub handle: Option<Handle>,
}

impl Reader<'_> {
    /// `fattr3`.
    pub fn attributes(&mut self) -> Outcome<WireAttributes> {
        Ok(WireAttributes {
            kind: self.word()?,
            mode: self.word()?,
            links: self.word()?,
            uid: self.word()?,
            gid: self.word()?,
            size: self.long()?,
            used: self.long()?,
            device: (self.word()?, self.word()?),
            fsid: self.long()?,
            inode: self.long()?,
            times: [self.time()?, self.time()?, self.time()?],
        })
    }

    fn time(&mut self) -> Outcome<WireTime> {
        Ok((self.word()?, self.word()?))
    }

    /// `post_op_attr`.
    pub fn after(&mut self) -> Outcome<Option<WireAttributes>> {
        if self.flag()? { self.attributes().map(Some) } else { Ok(None) }
    }

    /// `wcc_data`.
    pub fn around(&mut self) -> Outcome<Around> {
        let before = if self.flag()? { Some((self.long()?, self.time()?, self.time()?)) } else { None };
        Ok(Around { before, after: self.after()? })
    }

    /// A handle.
    pub fn handle(&mut self) -> Outcome<Handle> {
        Ok(Handle(self.opaque()?.to_vec()))
    }

    /// `post_op_fh3`.
    pub fn optional_handle(&mut self) -> Outcome<Option<Handle>> {
        if self.flag()? { self.handle().map(Some) } else { Ok(None) }
    }

    /// A status: an error unless it is OK.
    pub fn status(&mut self) -> Outcome<()> {
        match self.word()? {
            0 => Ok(()),
            status => Err(Failure::Status(status)),
        }
    }

    /// The results of READDIR or READDIRPLUS after the status: attributes, verifier, entries, end.
    pub fn listing(&mut self, plus: bool) -> Outcome<(u64, Vec<Entry>, bool)> {
        self.after()?;
        let verifier = self.long()?;
        let mut entries = Vec::new();
        while self.flag()? {
            let (inode, name, cookie) = (self.long()?, self.opaque()?.to_vec(), self.long()?);
            let attributes = if plus { self.after()? } else { None };
            let handle = if plus { self.optional_handle()? } else { None };
            entries.push(Entry { name, inode, cookie, attributes, handle });
        }
        let end = self.flag()?;
        self.finish()?;
        Ok((verifier, entries, end))
    }
}
