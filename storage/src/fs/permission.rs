//! Who may do what, beyond the permission bits that [`check_access`] reads.

use crate::error::{ErrorKind, Result};
use crate::fs::{Caller, FileKind, Inode, access, check_access, granted};

/// Sets the user on execution.
pub(crate) const SETUID: u32 = 0o4000;
/// Sets the group on execution; of a directory: what is created in it gets its group.
pub(crate) const SETGID: u32 = 0o2000;
/// Of a directory: only owners remove names.
pub(crate) const STICKY: u32 = 0o1000;

impl Caller {
    /// The owner that new objects get.
    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Superuser => 0,
            Self::User(user) => user.uid,
        }
    }

    /// The group that new objects get.
    pub(crate) fn gid(&self) -> u32 {
        match self {
            Self::Superuser => 0,
            Self::User(user) => user.gid,
        }
    }

    /// Whether an owner's rights on what `uid` owns are its own.
    pub(crate) fn is_owner(&self, uid: u32) -> bool {
        match self {
            Self::Superuser => true,
            Self::User(user) => user.uid == uid,
        }
    }

    /// Whether it may act for this group.
    pub(crate) fn is_member(&self, gid: u32) -> bool {
        match self {
            Self::Superuser => true,
            Self::User(user) => user.gid == gid || user.groups.contains(&gid),
        }
    }
}

impl Inode {
    /// Checks bits of [`access`].
    pub(crate) fn require(&self, caller: &Caller, wanted: u8) -> Result<()> {
        check_access(&self.attributes_with(0), caller, wanted)
    }

    /// Checks that the caller owns this.
    pub(crate) fn require_owner(&self, caller: &Caller) -> Result<()> {
        if caller.is_owner(self.uid) { Ok(()) } else { Err(ErrorKind::Permission.into()) }
    }

    /// Checks that the caller may read its bytes. Who may execute a file may have its pages read.
    pub(crate) fn require_reading(&self, caller: &Caller) -> Result<()> {
        let enough = granted(&self.attributes_with(0), caller) & (access::READ | access::EXECUTE) != 0;
        if enough || caller.is_owner(self.uid) { Ok(()) } else { Err(ErrorKind::Access.into()) }
    }

    /// Checks that the caller may change its bytes.
    pub(crate) fn require_writing(&self, caller: &Caller) -> Result<()> {
        if caller.is_owner(self.uid) { Ok(()) } else { self.require(caller, access::WRITE) }
    }

    /// Checks that the caller may put names into this directory.
    pub(crate) fn require_adding(&self, caller: &Caller) -> Result<()> {
        if self.links == 0 {
            return Err(ErrorKind::NotFound.into());
        }
        self.require(caller, access::WRITE | access::EXECUTE)
    }

    /// Checks that the caller may take `victim`'s name out of this directory.
    pub(crate) fn require_taking(&self, caller: &Caller, victim: &Inode) -> Result<()> {
        self.require(caller, access::WRITE | access::EXECUTE)?;
        let sticky = self.mode & STICKY != 0 && !caller.is_owner(self.uid) && !caller.is_owner(victim.uid);
        if sticky { Err(ErrorKind::Permission.into()) } else { Ok(()) }
    }

    /// The mode without the bits that must not outlive a change of content or owner.
    pub(crate) fn mode_without_setid(&self) -> u32 {
        match self.kind {
            FileKind::Directory => self.mode,
            _ if self.mode & 0o010 != 0 => self.mode & !(SETUID | SETGID),
            _ => self.mode & !SETUID,
        }
    }
}
