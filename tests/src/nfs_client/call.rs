//! The calls: a procedure and its encoded arguments.

use crate::nfs_client::Handle;
use crate::nfs_client::wire::Writer;

/// NFS's program number.
pub const NFS: u32 = 100_003;
/// MOUNT's program number.
pub const MOUNT: u32 = 100_005;

/// NLM's program number.
pub const NLM: u32 = 100_021;
/// NSM's program number.
pub const NSM: u32 = 100_024;

/// The program number of portmap, whose later versions are rpcbind.
pub const PORTMAP: u32 = 100_000;

/// A call that can be sent.
#[derive(Clone)]
pub struct Call {
    /// Which program.
    pub program: u32,
    /// Which of its procedures.
    pub procedure: u32,
    /// Its arguments.
    pub arguments: Vec<u8>,
}

/// What a write promises: the numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stable {
    /// UNSTABLE.
    No = 0,
    /// DATA_SYNC.
    Data = 1,
    /// FILE_SYNC.
    File = 2,
}

/// Attributes to set: `sattr3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Bytes.
    pub size: Option<u64>,
    /// Last access: seconds and nanoseconds.
    pub accessed: Option<(u32, u32)>,
    /// Last change of content: seconds and nanoseconds.
    pub modified: Option<(u32, u32)>,
}

impl Call {
    /// The program's version.
    pub fn version(&self) -> u32 {
        match self.program {
            NLM => 4,
            NSM => 1,
            PORTMAP => 2,
            _ => 3,
        }
    }
}

impl Set {
    /// In place of a time: the server's own.
    pub const NOW: (u32, u32) = (u32::MAX, u32::MAX);

    fn put(&self, mut to: Writer) -> Writer {
        for word in [self.mode, self.uid, self.gid] {
            to = word.map_or(to.clone().words(&[0]), |word| to.words(&[1, word]));
        }
        to = self.size.map_or(to.clone().words(&[0]), |size| to.words(&[1]).long(size));
        for time in [self.accessed, self.modified] {
            to = match time {
                None => to.words(&[0]),
                Some(Self::NOW) => to.words(&[1]),
                Some((seconds, nanos)) => to.words(&[2, seconds, nanos]),
            };
        }
        to
    }
}

fn nfs(procedure: u32, arguments: Writer) -> Call {
    Call { program: NFS, procedure, arguments: arguments.0 }
}

fn at(handle: &Handle) -> Writer {
    Writer::default().opaque(&handle.0)
}

fn place(directory: &Handle, name: &[u8]) -> Writer {
    at(directory).opaque(name)
}

#[expect(missing_docs, reason = "each is the procedure of its name")]
impl Call {
    pub fn null() -> Self {
        nfs(0, Writer::default())
    }

    pub fn get_attributes(file: &Handle) -> Self {
        nfs(1, at(file))
    }

    pub fn set_attributes(file: &Handle, set: &Set, guard: Option<(u32, u32)>) -> Self {
        let arguments = set.put(at(file));
        nfs(2, guard.map_or(arguments.clone().words(&[0]), |(seconds, nanos)| arguments.words(&[1, seconds, nanos])))
    }

    pub fn lookup(directory: &Handle, name: &[u8]) -> Self {
        nfs(3, place(directory, name))
    }

    pub fn access(file: &Handle, asked: u32) -> Self {
        nfs(4, at(file).words(&[asked]))
    }

    pub fn read_link(file: &Handle) -> Self {
        nfs(5, at(file))
    }

    pub fn read(file: &Handle, offset: u64, count: u32) -> Self {
        nfs(6, at(file).long(offset).words(&[count]))
    }

    pub fn write(file: &Handle, offset: u64, data: &[u8], stable: Stable) -> Self {
        nfs(7, at(file).long(offset).words(&[data.len() as u32, stable as u32]).opaque(data))
    }

    /// CREATE: `how` 0 unchecked, 1 guarded.
    pub fn create(directory: &Handle, name: &[u8], how: u32, set: &Set) -> Self {
        nfs(8, set.put(place(directory, name).words(&[how])))
    }

    pub fn create_exclusive(directory: &Handle, name: &[u8], verifier: u64) -> Self {
        nfs(8, place(directory, name).words(&[2]).long(verifier))
    }

    pub fn make_directory(directory: &Handle, name: &[u8], set: &Set) -> Self {
        nfs(9, set.put(place(directory, name)))
    }

    pub fn make_symlink(directory: &Handle, name: &[u8], set: &Set, target: &[u8]) -> Self {
        nfs(10, set.put(place(directory, name)).opaque(target))
    }

    /// MKNOD of a socket (6) or named pipe (7).
    pub fn make_node(directory: &Handle, name: &[u8], kind: u32, set: &Set) -> Self {
        nfs(11, set.put(place(directory, name).words(&[kind])))
    }

    pub fn remove(directory: &Handle, name: &[u8]) -> Self {
        nfs(12, place(directory, name))
    }

    pub fn remove_directory(directory: &Handle, name: &[u8]) -> Self {
        nfs(13, place(directory, name))
    }

    pub fn rename(from: &Handle, name: &[u8], to: &Handle, new_name: &[u8]) -> Self {
        nfs(14, place(from, name).opaque(&to.0).opaque(new_name))
    }

    pub fn link(file: &Handle, directory: &Handle, name: &[u8]) -> Self {
        nfs(15, at(file).opaque(&directory.0).opaque(name))
    }

    pub fn read_directory(directory: &Handle, cookie: u64, verifier: u64, count: u32) -> Self {
        nfs(16, at(directory).long(cookie).long(verifier).words(&[count]))
    }

    pub fn read_directory_plus(directory: &Handle, cookie: u64, verifier: u64, names: u32, all: u32) -> Self {
        nfs(17, at(directory).long(cookie).long(verifier).words(&[names, all]))
    }

    /// FSSTAT 18, FSINFO 19, PATHCONF 20.
    pub fn facts(procedure: u32, file: &Handle) -> Self {
        nfs(procedure, at(file))
    }

    pub fn commit(file: &Handle) -> Self {
        nfs(21, at(file).long(0).words(&[0]))
    }

    /// MNT 1, UMNT 3.
    pub fn mount(procedure: u32, path: &[u8]) -> Self {
        Self { program: MOUNT, procedure, arguments: Writer::default().opaque(path).0 }
    }

    /// DUMP 2, UMNTALL 4, EXPORT 5.
    pub fn mounts(procedure: u32) -> Self {
        Self { program: MOUNT, procedure, arguments: Vec::new() }
    }
}
