//! Opens a pool after a crash, and compares what it holds with what it may.

use std::sync::Arc;

use cow_storage::error::Error;
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{Caller, Context, FileKind, FileSystem, Stability};
use cow_storage::media::Simulator;
use cow_storage::pool::Pool;
use cow_storage::superblock::{SUPERBLOCK_NAME, Superblock};

use crate::small::base::open;
use crate::small::{Call, Found, World};

/// Bytes from one superblock slot to the other.
pub(super) const SLOT_DISTANCE: u64 = 64 << 10;

/// Opens the pool; it must hold one of these. Returns which.
pub(super) fn recover(disk: &Arc<Simulator>, possible: &[World]) -> Result<(Pool, usize), String> {
    let pool = open(disk, 2).map_err(|error| format!("open: {error:?}"))?;
    let found = Found::of(&pool).map_err(|error| format!("read: {error:?}"))?;
    let mut differences = Vec::new();
    for (at, world) in possible.iter().enumerate().rev() {
        match found.difference(world) {
            None => return Ok((pool, at)),
            Some(difference) => differences.push(format!("{at}: {difference}")),
        }
    }
    Err(format!("the pool is in none of {} states that it may be in:\n{}", differences.len(), differences.join("\n")))
}

/// Lets the pool read all and count all references.
pub(super) fn check_sound(pool: &Pool) -> Result<(), String> {
    match pool.verify(None, &mut |_, _| true) {
        Err(error) => Err(format!("verify: {error:?}")),
        Ok(report) if report.damage.is_empty() => Ok(()),
        Ok(report) => Err(format!("{:#?}", report.damage)),
    }
}

/// The slot before the newest opens as well: nothing that it needs is gone yet. Only what the log has for the newest
/// may not fit it, and that is told. Snapshots are what they were.
pub(super) fn check_other_slot(disk: &Simulator, worlds: &[World]) -> Result<(), String> {
    let disk = Arc::new(disk.duplicate());
    let slots = Superblock::both(&*disk).map_err(|error| format!("read the superblock: {error:?}"))?;
    let [Some(even), Some(odd)] = slots else { return Ok(()) };
    let newest = u64::from(odd.commit > even.commit);
    let older = even.commit.min(odd.commit);
    let during = |problem| format!("with commit {older} of the other slot: {problem}");
    disk.corrupt(SUPERBLOCK_NAME, newest * SLOT_DISTANCE, 1).map_err(|error| during(format!("{error:?}")))?;
    let pool = match open(&disk, 3) {
        Err(error) if is_about_the_log(&error) => return Ok(()),
        other => other.map_err(|error| during(format!("open: {error:?}")))?,
    };
    check_sound(&pool).map_err(during)?;
    let found = Found::of(&pool).map_err(|error| during(format!("read: {error:?}")))?;
    let mut differences = worlds.iter().map(|world| found.snapshots_differ(world));
    match differences.by_ref().all(|difference| difference.is_some()) {
        true => Err(during(format!("{:?}", worlds.first().and_then(|world| found.snapshots_differ(world))))),
        false => Ok(()),
    }
}

/// Whether the log has a gap, or records that do not fit what an older commit has.
fn is_about_the_log(error: &Error) -> bool {
    let text = format!("{error:?}");
    let gap = text.contains("of the intent log was durable and is damaged");
    let misfit = text.contains("recover what the intent log promised");
    gap || (misfit && !text.contains("segment") && !text.contains("slot"))
}

/// Removes every file of every dataset, and makes new ones: what a recovery left is no dead end.
pub(super) fn check_use(pool: &Pool) -> Result<(), String> {
    let tell = |error: Error| format!("{error:?}");
    let listing = pool.list().map_err(tell)?;
    for dataset in &listing.datasets {
        let files = pool.file_system(&dataset.name).map_err(tell)?;
        empty(&*files, InodeNumber::ROOT).map_err(tell)?;
        let root = files.attributes(InodeNumber::ROOT).map_err(tell)?;
        if (root.links, root.size) != (2, 0) {
            return Err(format!("an empty root directory of {} has {root:?}", dataset.name));
        }
        for call in [Call::Mkdir("d"), Call::Create("d/new"), Call::Write("d/new", 0, 5000, Stability::File)] {
            call.make(&*files, true, 2000).map_err(|error| format!("{call:?}: {error:?}"))?;
        }
    }
    pool.commit(Timestamp::default()).map_err(tell)?;
    check_sound(pool)
}

fn empty(files: &dyn FileSystem, directory: InodeNumber) -> Result<(), Error> {
    let who = Context { now: Timestamp::default(), caller: Caller::Superuser, durable: true, call: None };
    for entry in files.read_directory(&who, directory, 0, usize::MAX)?.entries {
        match entry.kind {
            FileKind::Directory => {
                empty(files, entry.inode)?;
                files.remove_directory(&who, directory, &entry.name)?;
            }
            _ => files.remove(&who, directory, &entry.name).map(|_| ())?,
        }
    }
    Ok(())
}
