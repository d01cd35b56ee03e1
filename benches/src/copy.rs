//! Copies a directory tree of the host into a dataset: names, kinds, modes and bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, FileSystem, NewObject, Stability};

use crate::engine::context;

/// What was copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Copied {
    /// Files, directories and links.
    pub objects: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Copies all that is in `from` into `directory`. Other kinds than files, directories and links are left out.
pub fn copy_tree(files: &dyn FileSystem, from: &Path, directory: InodeNumber) -> io::Result<Copied> {
    let mut copied = Copied::default();
    let mut buffer = vec![0; 1 << 20];
    copy_directory(files, from, directory, &mut buffer, &mut copied)?;
    Ok(copied)
}

fn copy_directory(
    files: &dyn FileSystem,
    from: &Path,
    directory: InodeNumber,
    buffer: &mut [u8],
    copied: &mut Copied,
) -> io::Result<()> {
    let mut entries = fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let metadata = entry.metadata()?;
        let object = match metadata.file_type() {
            kind if kind.is_dir() => NewObject::Directory,
            kind if kind.is_file() => NewObject::Regular { exclusive: None },
            kind if kind.is_symlink() => NewObject::Symlink(fs::read_link(entry.path())?.as_os_str().as_bytes().into()),
            _ => continue,
        };
        let mode = metadata.mode() & 0o7777;
        let owners =
            AttributeChange { uid: Some(metadata.uid()), gid: Some(metadata.gid()), ..AttributeChange::default() };
        let name = entry.file_name();
        let made = files.create(&context(), directory, name.as_bytes(), &object, mode, &owners);
        let inode = made.map_err(io::Error::other)?.object.inode;
        copied.objects += 1;
        match object {
            NewObject::Directory => copy_directory(files, &entry.path(), inode, buffer, copied)?,
            NewObject::Regular { .. } => copied.bytes += copy_file(files, &entry.path(), inode, buffer)?,
            _ => {}
        }
    }
    Ok(())
}

fn copy_file(files: &dyn FileSystem, from: &Path, inode: InodeNumber, buffer: &mut [u8]) -> io::Result<u64> {
    let mut file = File::open(from)?;
    let mut at = 0;
    loop {
        let length = file.read(buffer)?;
        if length == 0 {
            return Ok(at);
        }
        files.write(&context(), inode, at, &buffer[..length], Stability::Unstable).map_err(io::Error::other)?;
        at += length as u64;
    }
}
