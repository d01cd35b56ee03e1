//! What can be read from a pool, as lines of text: one for each dataset, snapshot, and object in them.
//!
//! Invariant: two pools with the same lines cannot be told apart by reading them, but for what crashes may change.

use std::collections::BTreeSet;
use std::sync::Arc;

use cow_storage::error::Error;
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{Attributes, Caller, Context, FileKind, FileSystem, SeekTarget};
use cow_storage::pool::Pool;

type Result<T> = std::result::Result<T, Error>;

/// Most bytes that are read of one stretch of a file.
const FILE_LEN_MAX: u64 = 4 << 20;
/// Bytes read at once.
const READ_LEN: usize = 64 << 10;

/// The lines of all datasets and snapshots.
pub fn manifest(pool: &Pool) -> Result<String> {
    let mut text = String::new();
    survey(pool, &mut |_, line| {
        text.push_str(&line?);
        text.push('\n');
        Ok(())
    })?;
    Ok(text)
}

/// Calls `found` with what each line is about, and the line, or why there is none; until that fails.
pub fn survey(pool: &Pool, found: &mut dyn FnMut(&str, Result<String>) -> Result<()>) -> Result<()> {
    let listing = pool.list()?;
    for dataset in &listing.datasets {
        let (id, name, created) = (dataset.id.0, &dataset.name, dataset.created.seconds);
        found(name, Ok(format!("dataset {id} {name} created={created} {:?}", dataset.properties)))?;
        describe(name, pool.file_system(name), found)?;
    }
    for snapshot in &listing.snapshots {
        let name = pool.snapshot_name(snapshot.id)?;
        let (id, birth, parent) = (snapshot.id.0, snapshot.birth.0, snapshot.parent.map_or(0, |id| id.0));
        let (hash, holds) = (snapshot.root_hash, &snapshot.holds);
        found(&name, Ok(format!("snapshot {id} {name} root={hash} birth={birth} parent={parent} holds={holds:?}")))?;
        describe(&name, pool.file_system(&name), found)?;
    }
    for dataset in pool.destroyed()?.datasets {
        found(&format!("destroyed {}", dataset.name), Ok(format!("destroyed {} {}", dataset.id.0, dataset.name)))?;
    }
    Ok(())
}

/// Most objects of a file system that are looked at: one that is damaged may have no end.
const OBJECTS_MAX: usize = 2000;

fn describe(
    of: &str,
    files: Result<Arc<dyn FileSystem>>,
    found: &mut dyn FnMut(&str, Result<String>) -> Result<()>,
) -> Result<()> {
    let files = match files {
        Ok(files) => files,
        Err(error) => return found(&format!("{of} /"), Err(error)),
    };
    let (mut seen, mut count) = (BTreeSet::new(), 0);
    let mut waiting = vec![(InodeNumber::ROOT, String::new())];
    while let Some((inode, path)) = waiting.pop().filter(|_| count < OBJECTS_MAX) {
        count += 1;
        let key = format!("{of} /{path}");
        let line = || {
            let attributes = files.attributes(inode)?;
            Ok(format!("{key} {} content={}", words(&attributes), hash_of(&*files, &attributes)?))
        };
        found(&key, line())?;
        let is_directory = files.attributes(inode).is_ok_and(|found| found.kind == FileKind::Directory);
        if !is_directory || !seen.insert(inode) {
            continue;
        }
        let below = |name: &[u8]| format!("{path}/{}", name.escape_ascii()).trim_start_matches('/').to_owned();
        // Where it cannot be listed, its line has told so.
        let entries = entries(&*files, inode).unwrap_or_default();
        waiting.extend(entries.iter().map(|(name, inode)| (*inode, below(name))));
    }
    Ok(())
}

fn words(attributes: &Attributes) -> String {
    let Attributes { inode, kind, mode, links, uid, gid, size, device, .. } = attributes;
    let time = |time: Timestamp| format!("{}.{:09}", time.seconds, time.nanoseconds);
    format!(
        "inode={} {kind:?} mode={mode:o} links={links} owner={uid}:{gid} size={size} device={device:?} modified={} created={}",
        inode.0,
        time(attributes.modified),
        time(attributes.created),
    )
}

fn who() -> Context {
    Context { now: Timestamp::default(), caller: Caller::Superuser, durable: false, call: None }
}

fn entries(files: &dyn FileSystem, directory: InodeNumber) -> Result<Vec<(Vec<u8>, InodeNumber)>> {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let page = files.read_directory(&who(), directory, after, 100)?;
        after = page.entries.last().map_or(after, |entry| entry.cookie);
        let is_last = page.end || page.entries.is_empty();
        entries.extend(page.entries.into_iter().map(|entry| (entry.name, entry.inode)));
        if is_last {
            entries.sort();
            return Ok(entries);
        }
    }
}

/// The hash of all that an object holds: bytes and where there are any, entries, target, extended attributes.
fn hash_of(files: &dyn FileSystem, attributes: &Attributes) -> Result<String> {
    let inode = attributes.inode;
    let mut hasher = blake3::Hasher::new();
    match attributes.kind {
        FileKind::Regular => hash_bytes(files, attributes, &mut hasher)?,
        FileKind::Directory => {
            for (name, inode) in entries(files, inode)? {
                hasher.update(&name).update(&inode.0.to_le_bytes());
            }
        }
        FileKind::Symlink => drop(hasher.update(&files.read_link(&who(), inode)?)),
        _ => {}
    }
    let mut names = files.list_xattrs(&who(), inode)?;
    names.sort();
    for name in names {
        hasher.update(&name).update(&files.xattr(&who(), inode, &name)?);
    }
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}

fn hash_bytes(files: &dyn FileSystem, attributes: &Attributes, hasher: &mut blake3::Hasher) -> Result<()> {
    let (inode, mut offset) = (attributes.inode, 0);
    let mut buffer = vec![0; READ_LEN];
    while let Some(start) = files.seek(inode, offset, SeekTarget::Data)? {
        let hole = files.seek(inode, start, SeekTarget::Hole)?.unwrap_or(attributes.size);
        // Whatever a damaged file claims, reading it comes to an end.
        let end = hole.min(start + FILE_LEN_MAX);
        hasher.update(&start.to_le_bytes()).update(&end.to_le_bytes());
        offset = start;
        while offset < end {
            let wanted = READ_LEN.min((end - offset) as usize);
            let read = files.read(&who(), inode, offset, &mut buffer[..wanted])?;
            if read.length == 0 {
                break;
            }
            hasher.update(&buffer[..read.length]);
            offset += read.length as u64;
        }
        offset = hole.max(end);
    }
    Ok(())
}
