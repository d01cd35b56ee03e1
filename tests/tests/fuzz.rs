//! Decoders hold, whatever they are given: the kept corpus, and mutations of it.
//!
//! `COW_FUZZ_SECS=3600 cargo test --release -p cow-tests --test fuzz -- --ignored for_as_long --nocapture` feeds them for
//! an hour, with a new seed each time; `COW_FUZZ_ONLY=name` picks one.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cow_storage::format::PoolId;
use cow_storage::fuzz::Target;
use cow_storage::intent::{INTENT_LEN_MIN, INTENT_NAME, IntentLog, LogPosition};
use cow_storage::media::{Media, Simulator};
use cow_tests::fuzz::{Budget, Corpus, Memory, dissect, fuzz, harvest, read_files, said, targets};
use cow_tests::sample_pool;
use peak_alloc::PeakAlloc;

/// Mutations of each target in every run of the tests.
const INPUTS: u64 = 5000;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Counts for all threads, so only one test here may run in every run.
const MEMORY: Memory = Memory {
    used: || ALLOCATOR.current_usage(),
    peak: || {
        let peak = ALLOCATOR.peak_usage();
        ALLOCATOR.reset_peak_usage();
        peak
    },
};

#[test]
fn decoders_take_what_writers_store_and_nothing_makes_them_fail() {
    feed(1, &targets(), Budget::Inputs(INPUTS));
}

#[test]
#[ignore = "takes as long as it is told"]
fn for_as_long_as_it_is_told() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let chosen = chosen();
    let each = Duration::from_secs(number("COW_FUZZ_SECS").unwrap_or(60)) / chosen.len().max(1) as u32;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let seed = number("COW_FUZZ_SEED").unwrap_or(now.as_secs());
    println!("seed {seed}, {each:?} each");
    feed(seed, &chosen, Budget::Time(each));
}

/// The targets that are asked for.
fn chosen() -> Vec<Target> {
    let only = env::var("COW_FUZZ_ONLY").unwrap_or_default();
    targets().into_iter().filter(|target| target.name.contains(&only)).collect()
}

/// Feeds each target, and tells what made some of them fail.
fn feed(seed: u64, targets: &[Target], budget: Budget) {
    let mut findings = Vec::new();
    for target in targets {
        assert!(!Corpus::of(target).seeds.is_empty(), "{} has no seeds: make the corpus", target.name);
        match fuzz(target, seed, budget, MEMORY) {
            Ok(tally) => {
                println!("{}: {} of {} accepted", target.name, tally.accepted, tally.inputs);
                assert!(tally.accepted > 0, "{}: no mutation was accepted, so little was tested", target.name);
            }
            Err(finding) => findings.push(finding),
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
#[ignore = "writes the corpus"]
fn make_the_corpus() {
    let targets = targets();
    let files = read_files(&sample_pool::build().unwrap()).unwrap();
    let mut seeds: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for found in dissect(&targets, &files) {
        harvest(&targets, &files[&found.file][found.range], &mut seeds);
    }
    for is_full in [false, true] {
        harvest(&targets, &small_log(is_full), &mut seeds);
    }
    let format = include_str!("../../storage/FORMAT.md");
    for example in format.split("```hex\n").skip(1) {
        harvest(&targets, &example_bytes(example), &mut seeds);
    }
    for (name, bytes) in said() {
        let mut bytes = bytes;
        let target = targets.iter().find(|target| target.name == name).expect("what is said is for some target");
        (target.seal)(&mut bytes);
        match target.accepts(&bytes) {
            true => drop(seeds.entry(name).or_default().insert(bytes)),
            false => println!("{name} does not take {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    for target in &chosen() {
        let seeds: Vec<Vec<u8>> = seeds.remove(target.name).unwrap_or_default().into_iter().collect();
        println!("{}: {} seeds", target.name, seeds.len());
        Corpus::replace_seeds(target, &seeds);
    }
}

/// A ring with groups from its first position on: a few, or as many as it holds.
fn small_log(is_full: bool) -> Vec<u8> {
    let (media, pool) = (Simulator::new(), PoolId(*b"a log of samples"));
    IntentLog::create(&media, INTENT_LEN_MIN).unwrap();
    let (log, _) = IntentLog::open(&media, pool, LogPosition::START).unwrap();
    for records in [&[1, 40][..], &[5000], &[0, 3, 7], &[9]].into_iter().cycle() {
        let tickets = records.iter().map(|len| log.append(&vec![7; *len]));
        // It is full where an append is refused.
        let Ok(tickets) = tickets.collect::<Result<Vec<_>, _>>() else { break };
        tickets.into_iter().for_each(|ticket| log.wait(ticket).unwrap());
        if !is_full && log.position().sequence() > 4 {
            break;
        }
    }
    let mut ring = vec![0; if is_full { INTENT_LEN_MIN as usize } else { 20 << 10 }];
    media.open(INTENT_NAME).unwrap().read_at(&mut ring, 0).unwrap();
    ring
}

/// The bytes of an example in FORMAT.md, without zeros after its last line.
fn example_bytes(example: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in example.lines().take_while(|line| !line.starts_with("```")) {
        let (offset, rest) = line.split_once("  ").expect("a line is an offset and bytes");
        bytes.resize(usize::from_str_radix(offset, 16).expect("an offset in hex"), 0);
        bytes.extend(rest.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte in hex")));
    }
    bytes
}
