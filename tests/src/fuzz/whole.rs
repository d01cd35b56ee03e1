//! Damages one structure of a whole pool, opens it, and does all that can be done.
//!
//! Invariant: a round is told by its seed alone. Damage that is not sealed again is found, and never returned as data;
//! where checksums were made right, nothing is promised but that nothing panics or goes on for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::{Checksum, InodeNumber};
use cow_storage::fs::{AttributeChange, Caller, Context, NewObject, Stability};
use cow_storage::fuzz::Target;
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::Pool;

use crate::fuzz::live::live;
use crate::fuzz::{Files, Found, Mutator, dissect, read_files, targets};
use crate::random::Random;
use crate::sample_pool::{at, build, open, survey};

/// How far checksums are made right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// Not at all: what a disk does.
    Nothing,
    /// Those within the structure.
    Own,
    /// Also those by which others refer to it, and so on up to the superblock: what our own mistake, or malice, does.
    Chain,
}

/// A pool to be damaged.
pub struct Specimen {
    disk: Simulator,
    files: Files,
    found: Vec<Found>,
    /// Those that are in use.
    live: Vec<Found>,
    targets: Vec<Target>,
    /// What the whole pool says.
    lines: BTreeMap<String, String>,
}

/// What came of a round.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was damaged, and how.
    pub what: String,
    /// Why the pool did not open, if it did not.
    pub refused: Option<String>,
    /// Things that could not be read.
    pub unreadable: Vec<String>,
    /// What a verification told.
    pub damage: Vec<String>,
}

impl Specimen {
    /// How many structures of each kind there are that are in use.
    pub fn live_kinds(&self) -> BTreeMap<&'static str, usize> {
        self.live.iter().fold(BTreeMap::new(), |mut kinds, found| {
            *kinds.entry(found.target).or_default() += 1;
            kinds
        })
    }

    /// A sample pool.
    pub fn new() -> Result<Self, Error> {
        let (disk, targets) = (build()?, targets());
        let files = read_files(&disk)?;
        let found = dissect(&targets, &files);
        let live = live(&targets, &files, &found);
        let mut lines = BTreeMap::new();
        let pool = open(Arc::new(disk.duplicate()))?;
        survey(&pool, &mut |key, line| {
            lines.insert(key.to_owned(), line?);
            Ok(())
        })?;
        Ok(Self { disk, files, found, live, targets, lines })
    }

    /// The round of a seed. Panics where something is wrong.
    pub fn round(&self, seed: u64) -> Outcome {
        let mut random = Random::new(seed);
        let sealing = *random.pick(&[Sealing::Nothing, Sealing::Own, Sealing::Chain, Sealing::Chain]);
        let from = if random.below(8) == 0 { &self.found } else { &self.live };
        // Kinds first, for there are a hundred times more nodes than superblocks.
        let kinds = kinds(from);
        let kind = if random.below(4) == 0 { random.pick(from).target } else { random.pick(&kinds) };
        let alike: Vec<&Found> = from.iter().filter(|found| found.target == kind).collect();
        let hit = *random.pick(&alike);
        let mut files = self.files.clone();
        self.damage(&mut files, hit, sealing, random.number());
        let what = format!("{kind} at {} in {}, {sealing:?}", hit.range.start, hit.file);
        self.check(&files, hit, sealing, what)
    }

    /// All bytes of all files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// A disk with these files, which are those of the specimen but for some bytes.
    pub fn disk_with(&self, files: &Files) -> Simulator {
        let disk = self.disk.duplicate();
        for (name, bytes) in files.iter().filter(|(name, bytes)| self.files[*name] != **bytes) {
            write_changed(&disk, name, &self.files[name], bytes).expect("the simulated disk takes everything");
        }
        disk
    }

    /// The structures that are in use.
    pub fn live(&self) -> &[Found] {
        &self.live
    }

    /// The files with a structure changed, and all checksums made right up to the superblock.
    pub fn changed(&self, found: &Found, change: &dyn Fn(&mut [u8])) -> Files {
        let mut files = self.files.clone();
        let mut after = self.files[&found.file][found.range.clone()].to_vec();
        change(&mut after);
        self.put(&mut files, found, after, Sealing::Chain);
        files
    }

    fn target(&self, found: &Found) -> &Target {
        self.targets.iter().find(|target| target.name == found.target).expect("it was found by its target")
    }

    fn damage(&self, files: &mut Files, hit: &Found, sealing: Sealing, seed: u64) {
        let (mut after, mut mutator) = (self.files[&hit.file][hit.range.clone()].to_vec(), Mutator::new(seed));
        for _ in 0..1 + seed % 3 {
            mutator.change(&mut after, &[], false);
        }
        self.put(files, hit, after, sealing);
    }

    fn put(&self, files: &mut Files, hit: &Found, mut after: Vec<u8>, sealing: Sealing) {
        let target = self.target(hit);
        if sealing != Sealing::Nothing {
            (target.seal)(&mut after);
        }
        let names = ((target.named)(&self.files[&hit.file][hit.range.clone()]), (target.named)(&after));
        files.get_mut(&hit.file).expect("the file is there")[hit.range.clone()].copy_from_slice(&after);
        if let (Sealing::Chain, (Some(before), Some(after))) = (sealing, names) {
            self.chain(files, before.0, after.0);
        }
    }

    /// Has all that refers to what was named `before` refer to what is named `after`.
    fn chain(&self, files: &mut Files, before: [u8; 32], after: [u8; 32]) {
        let mut renamed = vec![(before, after)];
        while let Some((before, after)) = renamed.pop().filter(|(before, after)| before != after) {
            // All are looked at before any is changed: some structures are found twice, with and without padding.
            let referring: Vec<(&Found, Vec<usize>, Option<Checksum>)> = self
                .found
                .iter()
                .map(|found| (found, &files[&found.file][found.range.clone()]))
                .map(|(found, bytes)| (found, bytes, places(bytes, &before)))
                .filter(|(_, _, places)| !places.is_empty())
                .map(|(found, bytes, places)| (found, places, (self.target(found).named)(bytes)))
                .collect();
            for (found, places, _) in &referring {
                let bytes = &mut files.get_mut(&found.file).expect("the file is there")[found.range.clone()];
                places.iter().for_each(|at| bytes[*at..*at + 32].copy_from_slice(&after));
                (self.target(found).seal)(bytes);
            }
            for (found, _, name) in referring {
                let again = (self.target(found).named)(&files[&found.file][found.range.clone()]);
                renamed.extend(name.zip(again).map(|(before, after)| (before.0, after.0)));
            }
        }
    }

    fn check(&self, files: &Files, hit: &Found, sealing: Sealing, what: String) -> Outcome {
        let disk = Arc::new(self.disk_with(files));
        let mut outcome = Outcome { what, refused: None, unreadable: Vec::new(), damage: Vec::new() };
        let pool = match open(Arc::clone(&disk) as _) {
            Ok(pool) => pool,
            Err(error) => {
                assert_is_damage(&error, sealing);
                outcome.refused = Some(told(&error));
                return outcome;
            }
        };
        self.read(&pool, hit, sealing, &mut outcome);
        verify(&pool, sealing, &mut outcome);
        use_it(&pool);
        drop(pool.close(at(2000)));
        drop(open(disk));
        outcome
    }

    fn read(&self, pool: &Pool, hit: &Found, sealing: Sealing, outcome: &mut Outcome) {
        // The last group of the log may be lost, as a torn end is what power loss leaves.
        let may_be_older = |key: &str| hit.target == "intent-group" && !key.contains('@');
        let surveyed = survey(pool, &mut |key, line| {
            match line {
                Ok(line) if sealing == Sealing::Nothing && !may_be_older(key) => {
                    assert_eq!(Some(&line), self.lines.get(key), "{}: other data is read", outcome.what);
                }
                Ok(_) => {}
                Err(error) => {
                    assert_is_damage(&error, sealing);
                    outcome.unreadable.push(format!("{key}: {}", told(&error)));
                }
            }
            Ok(())
        });
        outcome.unreadable.extend(surveyed.err().map(|error| told(&error)));
    }
}

/// Reads everything from the disk; what could not be read before is told, then.
fn verify(pool: &Pool, sealing: Sealing, outcome: &mut Outcome) {
    match pool.verify(None, &mut |_, _| true) {
        Ok(report) => outcome.damage.extend(report.damage.iter().map(|damage| format!("{damage:?}"))),
        Err(error) => outcome.damage.push(told(&error)),
    }
    if sealing == Sealing::Nothing {
        let is_told = outcome.unreadable.is_empty() || !outcome.damage.is_empty();
        assert!(is_told, "{}: a verification finds nothing wrong with {:?}", outcome.what, outcome.unreadable);
    }
}

/// Writes, commits and cleans up, whatever comes of it.
fn use_it(pool: &Pool) {
    let who = Context { now: at(1500), caller: Caller::Superuser, durable: true, call: None };
    for dataset in pool.list().map(|listing| listing.datasets).unwrap_or_default() {
        let Ok(files) = pool.file_system(&dataset.name) else { continue };
        let object = NewObject::Regular { exclusive: None };
        let made = files.create(&who, InodeNumber::ROOT, b"new", &object, 0o600, &AttributeChange::default());
        if let Ok(made) = made {
            let _ = files.write(&who, made.object.inode, 0, &[7; 50_000], Stability::File);
        }
        for name in [&b"copy"[..], b"data", b"sparse"] {
            if let Ok(found) = files.lookup(&who, InodeNumber::ROOT, name) {
                let _ = files.write(&who, found.inode, 5000, &[8; 9000], Stability::Unstable);
                let _ = files.punch(&who, found.inode, 0, 30_000);
            }
        }
        let _ = pool.snapshot(&[(&dataset.name, "after")], at(1501));
    }
    let _ = pool.destroy("files/raw@monday", false, at(1502));
    let _ = pool.purge(at(1600), at(1600));
    for round in 0..4 {
        let now = at(1700 + round);
        let _ = (
            pool.reclaim_step(1000, now),
            pool.clean_step(4 << 20, now),
            pool.scrub_step(4 << 20, now),
            pool.commit(now),
        );
    }
}

/// The error and its causes.
fn told(error: &Error) -> String {
    format!("{error:?}")
}

/// What was damaged is an error that says so, and says where.
fn assert_is_damage(error: &Error, sealing: Sealing) {
    let kinds = [ErrorKind::Corrupt, ErrorKind::UnknownVersion];
    assert!(sealing != Sealing::Nothing || kinds.contains(&error.kind()), "damage is told as {error:?}");
}

fn kinds(found: &[Found]) -> Vec<&'static str> {
    let kinds: BTreeSet<_> = found.iter().map(|found| found.target).collect();
    kinds.into_iter().collect()
}

fn places(bytes: &[u8], name: &[u8; 32]) -> Vec<usize> {
    if bytes.len() < 32 {
        return Vec::new();
    }
    (0..=bytes.len() - 32).filter(|at| bytes[*at] == name[0] && bytes[*at..*at + 32] == *name).collect()
}

/// Writes the pages of a file that differ.
fn write_changed(media: &dyn Media, name: &str, before: &[u8], after: &[u8]) -> Result<(), Error> {
    let file = media.open(name)?;
    for (number, (old, new)) in before.chunks(4096).zip(after.chunks(4096)).enumerate() {
        if old != new {
            file.write_at(new, number as u64 * 4096)?;
        }
    }
    file.flush()
}
