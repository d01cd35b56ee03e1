//! Plans renames: the order of checks is Linux's.

use crate::error::{Error, ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::directory::{self, Place};
use crate::fs::paths::climb;
use crate::fs::{Context, Fate, Inode, LINK_MAX, Plan, Reader, Record, Renamed, access};

/// What the new name means for the one that moves there.
struct Target {
    position: u64,
    replaced: Option<(InodeNumber, Fate)>,
}

impl Reader<'_> {
    /// Plans a rename, which replaces what has the new name where POSIX allows it. `retained` tells whether
    /// somebody has an inode open.
    pub fn plan_rename<'r>(
        &self,
        context: &Context,
        from_directory: InodeNumber,
        from: &[u8],
        to_directory: InodeNumber,
        to: &'r [u8],
        retained: impl Fn(InodeNumber) -> bool,
    ) -> Result<Plan<'r, Renamed>> {
        let source = self.searchable(context, from_directory)?;
        let target = self.searchable(context, to_directory)?;
        for name in [from, to] {
            if name == b"." || name == b".." {
                return Err(Error::new(ErrorKind::Invalid, "`.` and `..` cannot be renamed"));
            }
            directory::check_name(name)?;
        }
        let (entry, moved) = self.present(from_directory, from)?;
        if moved.is_directory() && self.is_within(to_directory, moved.number)? {
            return Err(Error::new(ErrorKind::Invalid, "a directory cannot be moved into itself"));
        }
        let place = directory::find(self.items, self.names, to_directory, to)?;
        if matches!(&place, Place::Taken(present) if present.inode == moved.number) {
            return Ok(Plan::Nothing(Renamed { from: source.unchanged(), to: target.unchanged() }));
        }
        source.require_taking(&context.caller, &moved)?;
        let found = self.target(context, &source, &target, &moved, place, retained)?;
        Ok(Plan::Record(Record::Rename {
            from_directory,
            from_position: entry.position,
            to_directory,
            to_position: found.position,
            name: to,
            replaced: found.replaced,
            now: context.now,
        }))
    }

    /// Checks that `moved` may get a name in `directory`, where it may come from another one.
    fn target(
        &self,
        context: &Context,
        source: &Inode,
        directory: &Inode,
        moved: &Inode,
        place: Place,
        retained: impl Fn(InodeNumber) -> bool,
    ) -> Result<Target> {
        let changes_parent = moved.is_directory() && source.number != directory.number;
        // Its entry `..` changes, which is a change of the directory that moves.
        let require_moving = || if changes_parent { moved.require(&context.caller, access::WRITE) } else { Ok(()) };
        let entry = match place {
            Place::Taken(entry) => entry,
            place => {
                directory.require_adding(&context.caller)?;
                require_moving()?;
                if changes_parent && directory.links >= LINK_MAX {
                    return Err(ErrorKind::TooManyLinks.into());
                }
                return Ok(Target { position: place.free()?, replaced: None });
            }
        };
        let victim = Inode::load(self.items, entry.inode)?;
        directory.require_taking(&context.caller, &victim)?;
        match (moved.is_directory(), victim.is_directory()) {
            (true, false) => return Err(ErrorKind::NotDirectory.into()),
            (false, true) => return Err(ErrorKind::IsDirectory.into()),
            _ => require_moving()?,
        }
        if victim.is_directory() && !directory::is_empty(self.items, victim.number)? {
            return Err(ErrorKind::NotEmpty.into());
        }
        Ok(Target { position: entry.position, replaced: Some((victim.number, self.fate_of(&victim, retained)?)) })
    }

    /// Whether `directory` is `ancestor`, or lies somewhere below it.
    fn is_within(&self, directory: InodeNumber, ancestor: InodeNumber) -> Result<bool> {
        let mut found = ancestor == InodeNumber::ROOT;
        climb(self.items, directory, &mut |directory| {
            found = found || directory.number == ancestor;
            Ok(!found)
        })?;
        Ok(found)
    }
}
