//! Kept inputs: a folder a target, a file an input.
//!
//! Invariant: a file whose name begins with `seed` is what a writer stores, so its target accepts it. One that begins with
//! `reached` leads to code that the seeds do not lead to, as a fuzzer found that sees what is run; any other once made a
//! decoder fail, and is kept so that it never does again.

use std::fs;
use std::path::{Path, PathBuf};

use cow_storage::fuzz::Target;

/// The kept inputs of one target.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// What a writer stores.
    pub seeds: Vec<Vec<u8>>,
    /// What once made a decoder fail, or leads further than the seeds.
    pub others: Vec<Vec<u8>>,
}

/// The folder of a target's corpus.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus").join(target.name)
}

impl Corpus {
    /// Reads what is kept for a target.
    pub fn of(target: &Target) -> Self {
        let mut corpus = Self::default();
        let Ok(entries) = fs::read_dir(folder(target)) else { return corpus };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the corpus can be listed").path()).collect();
        paths.sort();
        for path in paths {
            let bytes = fs::read(&path).expect("the corpus can be read");
            let is_seed = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed"));
            if is_seed { corpus.seeds.push(bytes) } else { corpus.others.push(bytes) }
        }
        corpus
    }

    /// Writes seeds in the place of those that are kept.
    pub fn replace_seeds(target: &Target, seeds: &[Vec<u8>]) {
        let folder = folder(target);
        fs::create_dir_all(&folder).expect("the corpus can be written");
        for entry in fs::read_dir(&folder).expect("the corpus can be listed") {
            let path = entry.expect("the corpus can be listed").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed")) {
                fs::remove_file(path).expect("the corpus can be written");
            }
        }
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed).expect("the corpus can be written");
        }
    }
}
