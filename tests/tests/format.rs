//! Pools of every version of the format open, say what they said, and take writes; what is of no known version is refused.
//!
//! A fixture is made once, by the build that brings the version, and never again:
//! `cargo test -p cow-tests --test format -- --ignored make_fixture`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use cow_storage::error::{Error, ErrorKind};
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Context, NewObject, Stability};
use cow_storage::fuzz::Target;
use cow_storage::media::Directory;
use cow_storage::pool::Pool;
use cow_tests::archive::{pack, read_from, unpack, write_to};
use cow_tests::daemon::Setup;
use cow_tests::fuzz::{Files, Found, Specimen, read_files, targets};
use cow_tests::sample_pool::{at, build, manifest, open};
use cow_tests::scratch::Scratch;

/// The version that this build writes.
const CURRENT: u16 = 1;

fn folder(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/format").join(format!("v{version}"))
}

fn fixture(version: u16) -> Files {
    unpack(&fs::read(folder(version).join("pool.zst")).unwrap()).unwrap()
}

/// All of them, the oldest first.
fn versions() -> Vec<u16> {
    let entries = fs::read_dir(folder(CURRENT).parent().unwrap()).unwrap();
    let version = |name: &str| name.strip_prefix('v')?.parse().ok();
    let mut versions: Vec<u16> =
        entries.filter_map(|entry| version(entry.unwrap().file_name().to_str().unwrap())).collect();
    versions.sort_unstable();
    assert!(versions.contains(&CURRENT), "there is no fixture of the version that this build writes: make one");
    versions
}

#[test]
#[ignore = "writes a fixture"]
fn make_fixture() {
    let disk = build().unwrap();
    let files = read_files(&disk).unwrap();
    let pool = open(Arc::new(disk)).unwrap();
    let folder = folder(CURRENT);
    assert!(!folder.join("pool.zst").exists() || env::var("COW_REPLACE_FIXTURE").is_ok(), "it is there, for ever");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("pool.zst"), pack(&files).unwrap()).unwrap();
    fs::write(folder.join("manifest.txt"), manifest(&pool).unwrap()).unwrap();
}

#[test]
fn pools_of_every_version_say_what_they_said_and_take_writes() {
    for version in versions() {
        let scratch = Scratch::new("format");
        write_to(scratch.path(), &fixture(version)).unwrap();
        let expected = fs::read_to_string(folder(version).join("manifest.txt")).unwrap();
        let reopened = || open(Arc::new(take(scratch.path()))).unwrap();
        let pool = reopened();
        assert_same(&manifest(&pool).unwrap(), &expected);
        assert_sound(&pool);
        write(&pool).unwrap();
        assert_sound(&pool);
        pool.close(at(2000)).unwrap();
        drop(pool);
        let pool = reopened();
        // What was written is in heads; no snapshot has changed by it.
        assert_same(&snapshots(&manifest(&pool).unwrap()), &snapshots(&expected));
        let who = Context { now: at(2001), caller: Caller::Superuser, durable: true, call: None };
        let files = pool.file_system("files").unwrap();
        let found = files.lookup(&who, InodeNumber::ROOT, b"new").unwrap();
        let mut bytes = vec![0; 50_000];
        assert_eq!(files.read(&who, found.inode, 0, &mut bytes).unwrap().length, bytes.len());
        assert!(bytes.iter().all(|byte| *byte == 7));
        assert_sound(&pool);
        pool.close(at(2002)).unwrap();
    }
}

/// The directory, as soon as nobody has it: a process that another test is just starting has our files for a moment.
fn take(path: &Path) -> Directory {
    for _ in 0..1000 {
        match Directory::open(path) {
            Err(error) if error.kind() == ErrorKind::Busy => thread::sleep(Duration::from_millis(10)),
            taken => return taken.unwrap(),
        }
    }
    panic!("somebody keeps {} open", path.display());
}

fn assert_same(found: &str, expected: &str) {
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// The lines about snapshots that the fixtures have.
fn snapshots(manifest: &str) -> String {
    let is_old = |line: &&str| (line.starts_with("snapshot ") || line.contains('@')) && !line.contains("@later");
    manifest.lines().filter(is_old).map(|line| format!("{line}\n")).collect()
}

fn assert_sound(pool: &Pool) {
    let report = pool.verify(None, &mut |_, _| true).unwrap();
    assert!(report.damage.is_empty() && report.objects > 0, "{report:#?}");
}

fn write(pool: &Pool) -> Result<(), Error> {
    let who = Context { now: at(1500), caller: Caller::Superuser, durable: true, call: None };
    let files = pool.file_system("files")?;
    let object = NewObject::Regular { exclusive: None };
    let new = files.create(&who, InodeNumber::ROOT, b"new", &object, 0o600, &AttributeChange::default())?;
    files.write(&who, new.object.inode, 0, &[7; 50_000], Stability::File)?;
    let copy = files.lookup(&who, InodeNumber::ROOT, b"copy")?;
    files.write(&who, copy.inode, 5000, &[8; 9000], Stability::Unstable)?;
    files.remove(&who, InodeNumber::ROOT, b"second name")?;
    pool.snapshot(&[("files", "later")], at(1501))?;
    while !pool.reclaim_step(1000, at(1502))?.idle {}
    pool.clean_step(64 << 20, at(1503))?;
    pool.commit(at(1504))
}

/// Where a structure has its version, and bytes of it.
const VERSIONS_AT: [(&str, usize, usize); 10] = [
    ("superblock-slot", 8, 2),
    ("intent-group", 8, 2),
    ("intent-group", 128 + 4, 1),
    ("radix-node", 4, 2),
    ("slot-page", 4, 2),
    ("usage-page", 4, 2),
    ("free-log-list", 4, 2),
    ("free-log-chunk", 4, 2),
    ("tree-node", 20, 2),
    ("extent", 4, 2),
];
/// How many structures of a kind are looked at, from the last on.
const ALIKE_MAX: usize = 12;
/// Where a superblock's slot has the versions of the payload and of the account in that.
const PAYLOAD_AT: [usize; 2] = [40, 40 + 2 + 32 + 4 + 4 + 12 + 47 + 48];

/// Whatever structure has another version: opening says which it is, which is known, and what to do, and changes nothing.
#[test]
fn what_has_no_known_version_is_refused_and_nothing_is_changed() {
    let specimen = Specimen::new().unwrap();
    for version in [0, 2_u16, 77] {
        for (kind, at, width) in VERSIONS_AT {
            let version =
                if (kind, width) == ("intent-group", 1) { version + 3 * u16::from(version == 2) } else { version };
            let mut refused = 0;
            for found in specimen.live().iter().filter(|found| found.target == kind).rev().take(ALIKE_MAX) {
                let files = specimen.changed(found, &|bytes| {
                    bytes[at..at + width].copy_from_slice(&version.to_le_bytes()[..width]);
                });
                refused += u64::from(is_refused(&specimen, &files, version, kind));
            }
            // Slot pages, nodes of files and extents are met when they are used.
            let is_met = !["slot-page", "extent"].contains(&kind);
            assert!(refused > 0 || !is_met, "{kind}: no pool with version {version} is refused");
        }
        for at in PAYLOAD_AT {
            let slots: Vec<Found> =
                specimen.live().iter().filter(|found| found.target == "superblock-slot").cloned().collect();
            let mut files = specimen.files().clone();
            for slot in slots {
                let bytes = &mut files.get_mut(&slot.file).unwrap()[slot.range.clone()];
                bytes[at..at + 2].copy_from_slice(&version.to_le_bytes());
                (target("superblock-slot").seal)(bytes);
            }
            assert!(is_refused(&specimen, &files, version, "payload"), "{at}");
        }
    }
}

fn target(name: &str) -> Target {
    targets().into_iter().find(|target| target.name == name).unwrap()
}

/// Whether a pool with these files is refused for its version; then, that it was refused well.
fn is_refused(specimen: &Specimen, files: &Files, version: u16, kind: &str) -> bool {
    let disk = Arc::new(specimen.disk_with(files));
    let Err(error) = open(Arc::clone(&disk) as _) else { return false };
    let told = format!("{error:?}");
    assert_eq!(error.kind(), ErrorKind::UnknownVersion, "{kind}: {told}");
    for part in [&format!("has version {version};"), "this build knows up to ", "open it with that one"] {
        assert!(told.contains(part), "{kind}: {told}");
    }
    assert_unchanged(&read_files(&*disk).unwrap(), files);
    true
}

fn assert_unchanged(found: &Files, expected: &Files) {
    for (name, bytes) in expected {
        let found = found.get(name).unwrap_or_else(|| panic!("{name} is gone from a pool that was refused"));
        let differs = found.iter().zip(bytes).position(|(found, expected)| found != expected);
        assert!(found == bytes, "{name} was changed at {differs:?} though the pool was refused");
    }
    assert_eq!(found.len(), expected.len(), "files came to a pool that was refused");
}

#[test]
fn cowd_says_in_one_line_why_it_does_not_start() {
    let scratch = Scratch::new("format-cowd");
    let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    let pool = scratch.path().join("pool");
    for version in [0, 2_u16] {
        for at in [8, PAYLOAD_AT[0]] {
            let mut files = fixture(CURRENT);
            for slot in [0, 64 << 10] {
                let bytes = &mut files.get_mut("superblock").unwrap()[slot..slot + 4096];
                bytes[at..at + 2].copy_from_slice(&version.to_le_bytes());
                (target("superblock-slot").seal)(bytes);
            }
            files.insert("lock".to_owned(), Vec::new());
            write_to(&pool, &files).unwrap();
            let (status, errors) = ended(&mut setup.command());
            assert_eq!(status, Some(1), "{errors}");
            let last = errors.lines().last().unwrap();
            for part in ["cowd: cannot open the pool in ", &format!("has version {version};"), "open it with that one"]
            {
                assert!(last.contains(part), "{errors}");
            }
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert_unchanged(&read_from(&pool).unwrap(), &files);
        }
    }
}

/// How a process ended that must end by itself, and what it said on stderr.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let command = command.env("COW_TEST_TIED", "1").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    for _ in 0..6000 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    // One that serves ends with its input.
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
