//! Copies trees between the host and an NFS server, as a careful client does: unstable writes, then COMMIT.
//!
//! Invariant: what [`copy_in`] counted was acknowledged by a COMMIT under the verifier of its writes. Names, modes,
//! owners, modification times, symbolic and hard links and holes are kept both ways.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::nfs_client::{
    Call, Client, Failure, Handle, Reader, Set, Stable, WireAttributes, decode_read, decode_written,
};
use crate::scratch::is_root;

/// Bytes of one READ or WRITE.
const PIECE_LEN: u64 = 1 << 20;
/// Zeros of this length and place are left out as a hole.
const HOLE_LEN: usize = 64 << 10;
/// READs and WRITEs in flight on one connection.
const DEPTH: usize = 8;
/// Connections that copy files beside each other.
const CONNECTIONS: usize = 4;

/// NFS's status for a name that is not there.
const NO_ENTRY: u32 = 2;
/// NFS's status for a name that is there.
const EXIST: u32 = 17;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A share of a server: `nfs://host:port/path`.
#[derive(Clone, Debug)]
pub struct Url {
    /// The server.
    pub server: SocketAddr,
    /// The path that is mounted.
    pub path: String,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Names of files, folders and links.
    pub names: u64,
    /// Bytes of files, with holes.
    pub bytes: u64,
}

impl Url {
    /// Takes a URL apart; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("nfs://")?;
        let (host, path) = rest.split_at(rest.find('/')?);
        let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:2049") };
        Some(Self { server: with_port.to_socket_addrs().ok()?.next()?, path: path.to_owned() })
    }

    fn connect(&self) -> Outcome<(Client, Handle)> {
        let mut client = Client::connect(self.server)?;
        let root = client.mount(&self.path)?;
        Ok((client, root))
    }
}

/// Copies all that is in the folder `from` into the share, over what has the same names.
pub fn copy_in(from: &Path, to: &Url) -> Outcome<Copied> {
    let (mut client, root) = to.connect()?;
    let mut tree = HostTree::default();
    tree.list(from, &root, &mut client)?;
    let next = AtomicUsize::new(0);
    let copy_files = || -> Outcome<u64> {
        let (mut client, _) = to.connect()?;
        let mut bytes = 0;
        while let Some((path, directory)) = tree.files.get(next.fetch_add(1, Ordering::Relaxed)) {
            bytes += put_file(&mut client, path, directory)?;
        }
        Ok(bytes)
    };
    let bytes = in_parallel(copy_files)?.into_iter().sum();
    for (path, first, directory) in &tree.links {
        let (folder, name) = (&tree.folders[first.parent().expect("files lie in folders")], file_name(first));
        let file = client.lookup(folder, name)?.0;
        remove_if_there(&mut client, directory, path)?;
        client.link(&file, directory, file_name(path))?;
    }
    for (path, folder) in &tree.folders {
        client.set_attributes(folder, &settings(&fs::metadata(path)?), None)?;
    }
    let names = tree.files.len() + tree.links.len() + tree.folders.len() - 1 + tree.symlinks;
    Ok(Copied { names: names as u64, bytes })
}

/// What lies on the host, with the folders made on the server.
#[derive(Default)]
struct HostTree {
    /// Each folder and its handle.
    folders: HashMap<PathBuf, Handle>,
    /// Each file and the handle of its folder.
    files: Vec<(PathBuf, Handle)>,
    /// Further names of files: the name, the first one, and the handle of the folder.
    links: Vec<(PathBuf, PathBuf, Handle)>,
    first_names: HashMap<(u64, u64), PathBuf>,
    symlinks: usize,
}

impl HostTree {
    fn list(&mut self, folder: &Path, handle: &Handle, client: &mut Client) -> Outcome<()> {
        self.folders.insert(folder.to_owned(), handle.clone());
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let metadata = fs::symlink_metadata(&path)?;
            if metadata.is_dir() {
                let made = match client.make_directory(handle, file_name(&path), 0o700) {
                    Err(Failure::Status(EXIST)) => client.lookup(handle, file_name(&path))?.0,
                    made => made?,
                };
                self.list(&path, &made, client)?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path)?;
                remove_if_there(client, handle, &path)?;
                let made = client.make_symlink(handle, file_name(&path), target.as_os_str().as_bytes())?;
                client.set_attributes(&made, &Set { mode: None, ..settings(&metadata) }, None)?;
                self.symlinks += 1;
            } else if metadata.is_file() {
                let first = self.first_names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.clone());
                match *first == path {
                    true => self.files.push((path, handle.clone())),
                    false => self.links.push((path, first.clone(), handle.clone())),
                }
            }
        }
        Ok(())
    }
}

fn remove_if_there(client: &mut Client, directory: &Handle, path: &Path) -> Outcome<()> {
    match client.remove(directory, file_name(path)) {
        Ok(_) | Err(Failure::Status(NO_ENTRY)) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

fn put_file(client: &mut Client, path: &Path, directory: &Handle) -> Outcome<u64> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let empty = Set { mode: Some(0o600), size: Some(0), ..Set::default() };
    let made = client.create(directory, file_name(path), false, &empty)?;
    let mut unreadable = None;
    let pieces = offsets(metadata.len()).map_while(|(offset, length)| {
        let mut bytes = vec![0; length];
        unreadable = file.read_exact_at(&mut bytes, offset).err();
        unreadable.is_none().then_some((offset, bytes))
    });
    let calls = pieces.flat_map(|(offset, bytes)| {
        let write = |(at, part): (usize, &[u8])| Call::write(&made, offset + at as u64, part, Stable::No);
        parts_with_data(&bytes).into_iter().map(write).collect::<Vec<_>>()
    });
    let mut verifiers = Vec::new();
    client.pipeline(DEPTH, calls, |_, results| {
        let results = results?;
        let mut reader = Reader(&results);
        reader.status()?;
        verifiers.push(decode_written(&mut reader)?.2);
        Ok(())
    })?;
    if let Some(error) = unreadable {
        return Err(error.into());
    }
    let committed = client.commit(&made)?;
    if verifiers.iter().any(|verifier| *verifier != committed) {
        return Err("the server restarted while a file was written".into());
    }
    client.set_attributes(&made, &Set { size: Some(metadata.len()), ..settings(&metadata) }, None)?;
    Ok(metadata.len())
}

/// Copies all that is in the share into the folder `to`.
pub fn copy_out(from: &Url, to: &Path) -> Outcome<Copied> {
    let (mut client, root) = from.connect()?;
    let mut tree = ServedTree::default();
    tree.list(&mut client, &root, to)?;
    let next = AtomicUsize::new(0);
    let copy_files = || -> Outcome<u64> {
        let (mut client, _) = from.connect()?;
        let mut bytes = 0;
        while let Some((path, handle, attributes)) = tree.files.get(next.fetch_add(1, Ordering::Relaxed)) {
            get_file(&mut client, handle, attributes, path)?;
            bytes += attributes.size;
        }
        Ok(bytes)
    };
    let bytes = in_parallel(copy_files)?.into_iter().sum();
    for (path, first) in &tree.links {
        fs::hard_link(first, path)?;
    }
    for (path, attributes) in &tree.folders {
        set_on_host(path, attributes)?;
    }
    set_on_host(to, &client.attributes(&root)?)?;
    let names = tree.files.len() + tree.links.len() + tree.folders.len() + tree.symlinks;
    Ok(Copied { names: names as u64, bytes })
}

/// What lies on the server, with the folders made on the host.
#[derive(Default)]
struct ServedTree {
    /// Folders, each after those in it.
    folders: Vec<(PathBuf, WireAttributes)>,
    files: Vec<(PathBuf, Handle, WireAttributes)>,
    /// Further names of files: the name and the first one.
    links: Vec<(PathBuf, PathBuf)>,
    first_names: HashMap<u64, PathBuf>,
    symlinks: usize,
}

impl ServedTree {
    fn list(&mut self, client: &mut Client, folder: &Handle, to: &Path) -> Outcome<()> {
        for entry in client.list(folder, 64 << 10)? {
            let handle = match entry.handle {
                Some(handle) => handle,
                None => client.lookup(folder, &entry.name)?.0,
            };
            let attributes = client.attributes(&handle)?;
            let path = to.join(OsStr::from_bytes(&entry.name));
            match attributes.kind {
                1 => match self.first_names.get(&attributes.inode) {
                    Some(first) => self.links.push((path, first.clone())),
                    None => {
                        self.first_names.insert(attributes.inode, path.clone());
                        self.files.push((path, handle, attributes));
                    }
                },
                2 => {
                    fs::create_dir(&path)?;
                    self.list(client, &handle, &path)?;
                    self.folders.push((path, attributes));
                }
                5 => {
                    symlink(OsStr::from_bytes(&client.read_link(&handle)?), &path)?;
                    set_on_host(&path, &attributes)?;
                    self.symlinks += 1;
                }
                kind => return Err(format!("{} is of kind {kind}, which is not copied", path.display()).into()),
            }
        }
        Ok(())
    }
}

fn get_file(client: &mut Client, handle: &Handle, attributes: &WireAttributes, path: &Path) -> Outcome<()> {
    let file = File::create_new(path)?;
    file.set_len(attributes.size)?;
    let pieces: Vec<(u64, usize)> = offsets(attributes.size).collect();
    let calls = pieces.iter().map(|(offset, length)| Call::read(handle, *offset, *length as u32));
    client.pipeline(DEPTH, calls, |place, results| {
        let results = results?;
        let mut reader = Reader(&results);
        reader.status()?;
        let (bytes, _) = decode_read(&mut reader)?;
        let (offset, length) = pieces[place];
        if bytes.len() != length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        for (at, part) in parts_with_data(&bytes) {
            file.write_all_at(part, offset + at as u64)?;
        }
        Ok(())
    })?;
    set_on_host(path, attributes)
}

/// Sets owner, mode and time, in the order in which one does not undo another.
fn set_on_host(path: &Path, attributes: &WireAttributes) -> Outcome<()> {
    if is_root() {
        lchown(path, Some(attributes.uid), Some(attributes.gid))?;
    }
    if attributes.kind != 5 {
        fs::set_permissions(path, Permissions::from_mode(attributes.mode))?;
    }
    let time = |(seconds, nanos): (u32, u32)| Timespec { tv_sec: seconds.into(), tv_nsec: nanos.into() };
    let times = Timestamps { last_access: time(attributes.times[0]), last_modification: time(attributes.times[1]) };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The owner, mode and time of something on the host.
fn settings(metadata: &fs::Metadata) -> Set {
    Set {
        mode: Some(metadata.mode() & 0o7777),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        size: None,
        accessed: None,
        modified: Some((metadata.mtime() as u32, metadata.mtime_nsec() as u32)),
    }
}

fn file_name(path: &Path) -> &[u8] {
    path.file_name().expect("names of entries are not empty").as_bytes()
}

/// Offset and length of each READ or WRITE of a file.
fn offsets(length: u64) -> impl Iterator<Item = (u64, usize)> {
    (0..length).step_by(PIECE_LEN as usize).map(move |offset| (offset, PIECE_LEN.min(length - offset) as usize))
}

/// The parts of `bytes` that are not all zeros, with their places.
fn parts_with_data(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let is_hole = |part: &[u8]| part.len() == HOLE_LEN && part.iter().all(|byte| *byte == 0);
    let mut parts: Vec<(usize, &[u8])> = Vec::new();
    let mut begin = 0;
    for (number, part) in bytes.chunks(HOLE_LEN).enumerate() {
        let at = number * HOLE_LEN;
        if is_hole(part) {
            parts.push((begin, &bytes[begin..at]));
            begin = at + HOLE_LEN;
        }
    }
    parts.push((begin.min(bytes.len()), &bytes[begin.min(bytes.len())..]));
    parts.retain(|(_, part)| !part.is_empty());
    parts
}

fn in_parallel<T: Send>(work: impl Fn() -> Outcome<T> + Sync) -> Outcome<Vec<T>> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(&work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    })
}
