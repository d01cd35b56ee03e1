//! A disk that answers with older valid bytes: what it had in that place, or what it has in another.
//!
//! Each page of each file of a pool is, in turn, as it was at an earlier time, and as another page is that holds something valid. Whatever is read
//! then must be what was written, or an error; and where reading fails, `verify` tells of damage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cow_storage::error::ErrorKind;
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::Pool;
use cow_storage::superblock::SUPERBLOCK_NAME;
use cow_tests::small::{Aged, Found, Step, create, link, mkdir, rename, set_xattr, sync, truncate, write};

const PAGE: u64 = 4096;

/// What was written, until the disk is remembered, and since.
const EARLIER: &[Step] = &[
    create("a"),
    write("a", 0, 60_000),
    mkdir("d"),
    create("d/b"),
    write("d/b", 0, 9000),
    set_xattr("a", "user.one"),
    Step::Snapshot("m", "0"),
    write("a", 8192, 20_000),
    Step::Commit,
    create("d/c"),
    sync("d/c"),
];
const LATER: &[Step] = &[
    write("a", 16_384, 9000),
    rename("d/b", "d/e"),
    link("a", "d/l"),
    truncate("d/e", 5000),
    Step::Snapshot("m", "1"),
    Step::Clone("m@1", "c"),
    write("d/e", 0, 4096).of("c"),
    Step::Commit,
    Step::Destroy("m@0"),
    Step::Commit,
    write("a", 0, 4096),
    sync("a"),
    create("d/f"),
    write("d/f", 0, 3000),
    sync("d/f"),
];

/// What came of a page that is not what it should be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    pages: u64,
    harmless: u64,
    refused: u64,
    damaged: u64,
    older: u64,
}

/// Opens and reads the pool. The bytes of one page are wrong, and none of those may be taken for right ones.
fn look(aged: &Aged, disk: &Simulator, (name, page): (&str, u64), tally: &mut Tally) {
    tally.pages += 1;
    let place = || format!("page {page} of {name}");
    let pool = match Aged::open(disk) {
        Ok(pool) => pool,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{}: {error:?}", place());
            tally.refused += 1;
            return;
        }
    };
    let report = pool.verify(None, &mut |_, _| true).unwrap_or_else(|error| panic!("{}: {error:?}", place()));
    let is_right = aged.is_right(&pool);
    match is_right {
        Ok(None) if report.damage.is_empty() => tally.harmless += 1,
        // The other slot and the log lead to an earlier moment, whole: a disk that says to have written what it has not
        // can take back the last thing it was told.
        Ok(Some(_)) if [SUPERBLOCK_NAME, "intent"].contains(&name) && aged.is_earlier(&pool) => {
            assert!(report.damage.is_empty(), "{}: {report:#?}", place());
            tally.older += 1;
        }
        Ok(Some(difference)) => panic!("{} is older, and {difference}", place()),
        Ok(None) => tally.damaged += 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{}: {error:?}", place());
            assert!(!report.damage.is_empty(), "{} cannot be read, and verify finds nothing: {error:?}", place());
            tally.damaged += 1;
        }
    }
}

fn pages_of(disk: &Simulator) -> BTreeMap<(String, u64), Vec<u8>> {
    let mut pages = BTreeMap::new();
    for name in disk.list().expect("a disk has a list") {
        let file = disk.open(&name).expect("it is listed");
        for page in 0..file.length().expect("it is open") / PAGE {
            let mut bytes = vec![0; PAGE as usize];
            file.read_at(&mut bytes, page * PAGE).expect("it is within");
            if bytes.iter().any(|byte| *byte != 0) {
                pages.insert((name.clone(), page), bytes);
            }
        }
    }
    pages
}

#[test]
fn what_a_page_was_before_is_never_taken_for_what_it_is() {
    let aged = Aged::new(EARLIER, LATER);
    let mut tally = Tally::default();
    let names: BTreeSet<String> = pages_of(&aged.disk).into_keys().map(|(name, _)| name).collect();
    for name in names.iter().filter(|name| *name != "dedup") {
        let length = aged.disk.open(name).and_then(|file| file.length()).expect("it is there");
        for page in 0..length / PAGE {
            let disk = aged.disk.duplicate();
            disk.revert(name, page * PAGE, PAGE).expect("it is there");
            if disk.fingerprint() != aged.disk.fingerprint() {
                look(&aged, &disk, (name, page), &mut tally);
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.damaged > 3 && tally.refused > 5 && tally.older > 0, "{tally:?}");
}

#[test]
fn what_another_page_is_is_never_taken_for_it() {
    let aged = Aged::new(EARLIER, LATER);
    let mut tally = Tally::default();
    let pages = pages_of(&aged.disk);
    let segments: Vec<_> = pages.iter().filter(|((name, _), _)| name.contains('-') || name == "intent").collect();
    for (at, ((name, page), bytes)) in segments.iter().enumerate() {
        // What lies just before it, which is often an older version, and something far away.
        for from in [at.saturating_sub(1), (at + segments.len() / 2) % segments.len()] {
            let other = segments[from].1;
            if other == *bytes {
                continue;
            }
            let disk = aged.disk.duplicate();
            disk.open(name).and_then(|file| file.write_at(other, page * PAGE)).expect("it can be written");
            look(&aged, &disk, (name, *page), &mut tally);
        }
    }
    println!("{tally:?}");
    assert!(tally.damaged > 20 && tally.refused > 5, "{tally:?}");
}

#[test]
fn the_pool_itself_is_right() {
    let aged = Aged::new(EARLIER, LATER);
    let mut tally = Tally::default();
    look(&aged, &aged.disk.duplicate(), ("nothing", 0), &mut tally);
    assert_eq!(tally, Tally { pages: 1, harmless: 1, ..Tally::default() });
    let pool: Arc<Pool> = Arc::new(Aged::open(&aged.disk).expect("it opens"));
    assert!(Found::of(&pool).is_ok());
}
