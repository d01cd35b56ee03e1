//! Runs a target over its corpus and over mutations of it, within a budget.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use cow_storage::fuzz::Target;

use crate::fuzz::{Corpus, Mutator};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// After so many mutations.
    Inputs(u64),
    /// After so much time.
    Time(Duration),
}

/// How the memory is measured that decoding takes, by whoever has an allocator that counts.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Bytes in use.
    pub used: fn() -> usize,
    /// Most bytes that were in use since the last call of this.
    pub peak: fn() -> usize,
}

/// How many bytes of memory decoding may take for each byte that it is given.
const MEMORY_FACTOR: usize = 32;

/// What was fed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Mutations.
    pub inputs: u64,
    /// How many of these were accepted: they got past all checks.
    pub accepted: u64,
}

/// An input that made a decoder fail.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The target's name.
    pub target: &'static str,
    /// Where the input is.
    pub path: PathBuf,
    /// What the panic said.
    pub message: String,
}

/// Feeds a target. The error is the first input that it fails at.
pub fn fuzz(target: &Target, seed: u64, budget: Budget, memory: Memory) -> Result<Tally, Finding> {
    let corpus = Corpus::of(target);
    for input in &corpus.seeds {
        let accepted = feed(target, input, memory)?;
        assert!(accepted, "{}: a seed is refused; if its format has changed, make the corpus again", target.name);
    }
    for input in &corpus.others {
        feed(target, input, memory)?;
    }
    let inputs: Vec<Vec<u8>> = corpus.seeds.into_iter().chain(corpus.others).collect();
    let (mut mutator, mut tally) = (Mutator::new(seed), Tally::default());
    let began = Instant::now();
    let is_spent = |inputs| match budget {
        Budget::Inputs(most) => inputs >= most,
        Budget::Time(most) => began.elapsed() >= most,
    };
    while !is_spent(tally.inputs) {
        let input = mutator.input(target, &inputs);
        tally.inputs += 1;
        tally.accepted += u64::from(feed(target, &input, memory)?);
    }
    Ok(tally)
}

/// Whether the target accepts the input.
fn feed(target: &Target, input: &[u8], memory: Memory) -> Result<bool, Finding> {
    let accept = || {
        let before = (memory.used)();
        (memory.peak)();
        let accepted = target.accepts(input);
        let taken = (memory.peak)().saturating_sub(before);
        assert!(taken <= target.memory + MEMORY_FACTOR * input.len(), "{} bytes took {taken} of memory", input.len());
        accepted
    };
    panic::catch_unwind(AssertUnwindSafe(accept)).map_err(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let message = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Finding { target: target.name, path: write_down(target, input), message: message.unwrap_or_default() }
    })
}

/// Keeps an input outside of the sources, from where it can be moved into the corpus.
fn write_down(target: &Target, input: &[u8]) -> PathBuf {
    let folder = env::temp_dir().join("cow-fuzz").join(target.name);
    let path = folder.join(format!("found-{}", &blake3::hash(input).to_hex()[..12]));
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, input));
    written.expect("the input that failed can be written down");
    path
}
