//! Plans new objects.

use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::directory::{self, Place};
use crate::fs::permission::SETGID;
use crate::fs::plan::attributes::{check_owners, check_size, check_time, time_of};
use crate::fs::{
    AttributeChange, Caller, Context, Created, FileKind, Inode, LINK_MAX, NamePlace, NewObject, Plan, Reader, Record,
    SYMLINK_MAX, SetTime,
};

impl Reader<'_> {
    /// Plans a new object with the number `next`, which must never have been used. `mode` is masked already;
    /// `initial` sets more at once, with the rights of the object's owner.
    #[expect(clippy::too_many_arguments, reason = "the file system's `create`, and the number")]
    pub fn plan_create<'r>(
        &self,
        context: &Context,
        directory: InodeNumber,
        name: &'r [u8],
        object: &'r NewObject,
        mode: u32,
        initial: &AttributeChange,
        next: InodeNumber,
    ) -> Result<Plan<'r, Created>> {
        let parent = self.searchable(context, directory)?;
        let position = match self.place_for_new(directory, name)? {
            Place::Taken(entry) => return self.created_before(&parent, entry.inode, object),
            place => {
                parent.require_adding(&context.caller)?;
                place.free()?
            }
        };
        let target = check_object(context, object, &parent)?;
        let mut inode = new_inode(context, &parent, object, initial.mode.unwrap_or(mode), next);
        inode.home = NamePlace { directory, position };
        set_initial(context, &mut inode, initial)?;
        Ok(Plan::Record(Record::Create { directory, position, name, inode, target, now: context.now }))
    }

    /// Where a new name could go. `.` and `..` are always there.
    pub(super) fn place_for_new(&self, directory: InodeNumber, name: &[u8]) -> Result<Place> {
        if name == b"." || name == b".." {
            return Err(ErrorKind::Exists.into());
        }
        directory::check_name(name)?;
        directory::find(self.items, self.names, directory, name)
    }

    /// The name is taken: an exclusive create that was done already is answered as the first time.
    fn created_before<'r>(&self, parent: &Inode, found: InodeNumber, object: &NewObject) -> Result<Plan<'r, Created>> {
        let found = Inode::load(self.items, found)?;
        match object {
            NewObject::Regular { exclusive: verifier @ Some(_) } if found.exclusive == *verifier => {
                let directory = parent.unchanged();
                Ok(Plan::Nothing(Created { object: found.attributes(self.items)?, directory }))
            }
            _ => Err(ErrorKind::Exists.into()),
        }
    }
}

/// Checks what is particular to a kind of object. Returns the target of a symbolic link, or nothing.
fn check_object<'r>(context: &Context, object: &'r NewObject, parent: &Inode) -> Result<&'r [u8]> {
    match object {
        NewObject::Symlink(target) if target.is_empty() || target.contains(&0) => {
            Err(Error::new(ErrorKind::Invalid, "a link's target must not be empty nor have a NUL in it"))
        }
        NewObject::Symlink(target) if target.len() > SYMLINK_MAX => {
            Err(Error::new(ErrorKind::NameTooLong, "a link's target must not be longer than 4095 bytes"))
        }
        NewObject::Symlink(target) => Ok(target),
        // Whoever may make one could give itself a way to any device of a host that trusts the tree.
        NewObject::BlockDevice(..) | NewObject::CharacterDevice(..) if context.caller != Caller::Superuser => {
            Err(Error::new(ErrorKind::Permission, "only the superuser makes device nodes"))
        }
        NewObject::Directory if parent.links >= LINK_MAX => Err(ErrorKind::TooManyLinks.into()),
        _ => Ok(&[]),
    }
}

fn kind_of(object: &NewObject) -> FileKind {
    match object {
        NewObject::Regular { .. } => FileKind::Regular,
        NewObject::Directory => FileKind::Directory,
        NewObject::Symlink(_) => FileKind::Symlink,
        NewObject::BlockDevice(..) => FileKind::BlockDevice,
        NewObject::CharacterDevice(..) => FileKind::CharacterDevice,
        NewObject::Fifo => FileKind::Fifo,
        NewObject::Socket => FileKind::Socket,
    }
}

fn new_inode(context: &Context, parent: &Inode, object: &NewObject, mode: u32, number: InodeNumber) -> Inode {
    let mut inode = Inode::new(number, kind_of(object), context.now);
    inode.mode = mode & 0o7777;
    inode.uid = context.caller.uid();
    inode.gid = if parent.mode & SETGID != 0 { parent.gid } else { context.caller.gid() };
    match object {
        NewObject::Regular { exclusive } => inode.exclusive = *exclusive,
        NewObject::Symlink(target) => inode.size = target.len() as u64,
        NewObject::BlockDevice(major, minor) | NewObject::CharacterDevice(major, minor) => {
            inode.device = (*major, *minor);
        }
        NewObject::Directory | NewObject::Fifo | NewObject::Socket => {}
    }
    // A directory passes the inheritance of its group on to its subdirectories.
    if inode.is_directory() {
        inode.mode |= parent.mode & SETGID;
    }
    inode
}

/// Sets what the caller wants to be set from the beginning.
fn set_initial(context: &Context, inode: &mut Inode, initial: &AttributeChange) -> Result<()> {
    check_owners(&context.caller, inode, initial)?;
    if let Some(size) = initial.size {
        check_size(inode, size)?;
        inode.size = size;
    }
    for time in [initial.accessed, initial.modified, initial.created.map(SetTime::To)].into_iter().flatten() {
        check_time(time_of(time, context.now))?;
    }
    inode.uid = initial.uid.unwrap_or(inode.uid);
    inode.gid = initial.gid.unwrap_or(inode.gid);
    inode.accessed = initial.accessed.map_or(inode.accessed, |time| time_of(time, context.now));
    inode.modified = initial.modified.map_or(inode.modified, |time| time_of(time, context.now));
    inode.created = initial.created.unwrap_or(inode.created);
    match &context.caller {
        _ if inode.kind == FileKind::Symlink => inode.mode = 0o777,
        Caller::User(_) if !inode.is_directory() && !context.caller.is_member(inode.gid) => inode.mode &= !SETGID,
        _ => {}
    }
    Ok(())
}
