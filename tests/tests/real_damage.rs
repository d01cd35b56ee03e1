//! Files of a real pool are overwritten, cut, deleted and swapped: what they held is told and never read as something else,
//! and the rest stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cow_storage::catalog::{Properties, PropertyChange};
use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::executor::Inline;
use cow_storage::format::{InodeNumber, PoolId};
use cow_storage::fs::{AttributeChange, Caller, Context, FileSystem, NewObject, Stability};
use cow_storage::media::{Directory, Media};
use cow_storage::pool::{Budgets, NewPool, Pool};
use cow_tests::pooled::now;
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;

const FILES: u64 = 24;
const FILE_LEN: usize = 160 << 10;
const PIECE_LEN: usize = 32 << 10;
const VIEWS: [&str; 3] = ["d", "d@then", "c"];

/// Content by view and name.
type Expected = BTreeMap<(&'static str, String), Vec<u8>>;

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Garbage { from: u64, length: u64 },
    GarbageAll,
    Zeros,
    Half,
    Empty,
    Deleted,
    Swapped,
}

#[test]
fn each_file_of_a_pool_is_harmed_in_each_way() {
    let scratch = Scratch::new("real-damage");
    let whole = scratch.path().join("whole");
    let expected = make_pool(&whole);
    let names = file_names(&whole);
    let (mut refused, mut opened, mut lost, mut told_of_nothing) = (0, 0, 0, 0);
    for (number, name) in names.iter().enumerate() {
        let mut random = Random::new(number as u64);
        let from = random.below(512 << 10);
        let harms = [
            Harm::Garbage { from, length: 4096 },
            Harm::Garbage { from: 0, length: 700 },
            Harm::GarbageAll,
            Harm::Zeros,
            Harm::Half,
            Harm::Empty,
            Harm::Deleted,
            Harm::Swapped,
        ];
        for harm in harms {
            let copy = scratch.path().join("copy");
            copy_pool(&whole, &copy);
            let other = names[(number + 1) % names.len()].clone();
            do_harm(&copy, name, &other, harm, &mut random);
            match open(&copy) {
                Err(error) => {
                    assert_clear(&error, name, harm);
                    refused += 1;
                }
                Ok(pool) => {
                    opened += 1;
                    let found = look(&pool, &expected, &format!("{name} {harm:?}"));
                    lost += found.lost;
                    told_of_nothing += usize::from(!found.is_told && found.lost == 0);
                    still_works(&pool, &format!("{name} {harm:?}"));
                }
            }
            fs::remove_dir_all(&copy).unwrap();
        }
    }
    println!("{} files: {refused} times refused, {opened} times open; {lost} files could not be read", names.len());
    assert!(opened > 40 && lost > 100, "{opened} opened, {lost} lost");
    assert!(told_of_nothing < opened / 2, "{told_of_nothing} of {opened} harms hit nothing");
}

/// Damage is one of these kinds, with words about a file, a segment, a place or a structure.
fn assert_clear(error: &Error, name: &str, harm: Harm) {
    let text = format!("{error:?}");
    let kind = error.kind();
    assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::NotFound), "{name} {harm:?}: {text}");
    let words = ["segment", "superblock", "intent", "slot", "node", "log"];
    assert!(words.iter().any(|word| text.contains(word)), "{name} {harm:?} is told as {text}");
}

struct Looked {
    /// Files that cannot be read whole.
    lost: usize,
    /// Whether verifying found anything.
    is_told: bool,
}

/// Reads everything: what comes is what was written, and what does not come is told by verifying.
fn look(pool: &Pool, expected: &Expected, case: &str) -> Looked {
    let mut unreadable: BTreeSet<(&str, &str)> = BTreeSet::new();
    for ((view, name), bytes) in expected {
        match read(pool, view, name) {
            Ok(found) => assert!(found == *bytes, "{case}: {view}/{name} is read as something else"),
            Err(error) => {
                let is_damage = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io);
                assert!(is_damage, "{case}: {view}/{name}: {error:?}");
                unreadable.insert((view, name));
            }
        }
    }
    let report = pool.verify(None, &mut |_, _| true).unwrap_or_else(|error| panic!("{case}: verify: {error:?}"));
    assert!(unreadable.is_empty() || !report.damage.is_empty(), "{case}: {unreadable:?} are lost and nothing is told");
    for (view, name) in &unreadable {
        let dataset = view.split('@').next().unwrap();
        // A snapshot is named where no head has it, and a tree whose nodes are lost has no paths.
        let is_named = report.damage.iter().any(|damage| {
            let of = damage.dataset.as_deref().map(|of| of.split('@').next().unwrap());
            let path = damage.path.as_deref().map(|path| path.trim_start_matches('/'));
            of.is_none_or(|of| of == dataset || of == "d") && path.is_none_or(|path| path == *name)
        });
        assert!(is_named, "{case}: {view}/{name} is not among {:#?}", report.damage);
    }
    Looked { lost: unreadable.len(), is_told: !report.damage.is_empty() }
}

/// What is not hit goes on: a new dataset takes writes, or says why not.
fn still_works(pool: &Pool, case: &str) {
    let act = || -> Result<()> {
        pool.create_dataset("new", &Properties::default(), now())?;
        write(pool, "new", "file", &Random::new(7).bytes(100_000))?;
        pool.commit(now())
    };
    match act() {
        Ok(()) => {
            let found = read(pool, "new", "file").unwrap_or_else(|error| panic!("{case}: {error:?}"));
            assert!(found == Random::new(7).bytes(100_000), "{case}: what was written afterwards");
        }
        Err(error) => {
            let kind = error.kind();
            let is_clear = matches!(kind, ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Poisoned);
            assert!(is_clear, "{case}: a write afterwards: {error:?}");
        }
    }
}

fn make_pool(directory: &Path) -> Expected {
    fs::create_dir(directory).unwrap();
    let media: Arc<dyn Media> = Arc::new(Directory::open(directory).unwrap());
    let new =
        NewPool { id: PoolId(*b"real-damage-test"), secret: [5; 32], segment_size: 1 << 20, intent_size: 1 << 20 };
    Pool::create(&media, &new).unwrap();
    drop(media);
    let pool = open(directory).unwrap();
    pool.create_dataset("d", &Properties::default(), now()).unwrap();
    let mut expected = Expected::new();
    let mut put = |view: &'static str, number: u64, seed: u64| {
        let (name, bytes) = (format!("file{number}"), Random::new(seed).bytes(FILE_LEN));
        write(&pool, view, &name, &bytes).unwrap();
        expected.insert((view, name), bytes);
    };
    (0..FILES).for_each(|number| put("d", number, number));
    pool.snapshot(&[("d", "then")], now()).unwrap();
    pool.clone_snapshot("d@then", "c", &PropertyChange::default(), now()).unwrap();
    (0..FILES / 3).for_each(|number| put("d", number, 100 + number));
    pool.commit(now()).unwrap();
    (FILES / 3..FILES / 2).for_each(|number| put("c", number, 200 + number));
    for number in 0..FILES {
        let (name, bytes) = (format!("file{number}"), Random::new(number).bytes(FILE_LEN));
        expected.entry(("c", name.clone())).or_insert_with(|| bytes.clone());
        expected.insert(("d@then", name), bytes);
    }
    pool.close(now()).unwrap();
    assert!(VIEWS.iter().all(|view| expected.keys().filter(|key| key.0 == *view).count() as u64 == FILES));
    expected
}

fn open(directory: &Path) -> Result<Pool> {
    let media: Arc<dyn Media> = Arc::new(Directory::open(directory)?);
    Pool::open(media, Arc::new(Inline), Budgets { dirty: 8 << 20, ..Budgets::default() }, 1, now())
}

fn context() -> Context {
    Context { now: now(), caller: Caller::Superuser, durable: false, call: None }
}

fn write(pool: &Pool, view: &str, name: &str, bytes: &[u8]) -> Result<()> {
    let files = pool.file_system(view)?;
    let object = NewObject::Regular { exclusive: None };
    let made =
        files.create(&context(), InodeNumber::ROOT, name.as_bytes(), &object, 0o644, &AttributeChange::default());
    let inode = match made {
        Err(error) if error.kind() == ErrorKind::Exists => {
            files.lookup(&context(), InodeNumber::ROOT, name.as_bytes())?.inode
        }
        made => made?.object.inode,
    };
    for (number, piece) in bytes.chunks(PIECE_LEN).enumerate() {
        files.write(&context(), inode, (number * PIECE_LEN) as u64, piece, Stability::Unstable)?;
    }
    files.sync(inode)
}

fn read(pool: &Pool, view: &str, name: &str) -> Result<Vec<u8>> {
    let files: Arc<dyn FileSystem> = pool.file_system(view)?;
    let found = files.lookup(&context(), InodeNumber::ROOT, name.as_bytes())?;
    let mut bytes = vec![0; found.size as usize];
    for (number, piece) in bytes.chunks_mut(PIECE_LEN).enumerate() {
        let read = files.read(&context(), found.inode, (number * PIECE_LEN) as u64, piece)?;
        assert_eq!(read.length, piece.len(), "a read within a file is short");
    }
    Ok(bytes)
}

fn file_names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| !name.starts_with("reserve-") && name != "lock").collect();
    names.sort();
    names
}

fn copy_pool(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in file_names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn do_harm(directory: &Path, name: &str, other: &str, harm: Harm, random: &mut Random) {
    let path: PathBuf = directory.join(name);
    let length = fs::metadata(&path).unwrap().len();
    let file = || File::options().write(true).open(&path).unwrap();
    match harm {
        Harm::Garbage { from, length: count } => {
            let from = from.min(length.saturating_sub(count));
            file().write_all_at(&random.bytes(count.min(length) as usize), from).unwrap();
        }
        Harm::GarbageAll => file().write_all_at(&random.bytes(length as usize), 0).unwrap(),
        Harm::Zeros => file().write_all_at(&vec![0; length as usize], 0).unwrap(),
        Harm::Half => file().set_len(length / 2).unwrap(),
        Harm::Empty => file().set_len(0).unwrap(),
        Harm::Deleted => fs::remove_file(&path).unwrap(),
        Harm::Swapped => {
            let (aside, other) = (directory.join("aside"), directory.join(other));
            fs::rename(&path, &aside).unwrap();
            fs::rename(&other, &path).unwrap();
            fs::rename(&aside, &other).unwrap();
        }
    }
}
