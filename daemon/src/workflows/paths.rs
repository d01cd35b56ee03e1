//! Paths to tell about, and what was wrong with them: all are counted, the first are kept.

use std::error::Error as _;
use std::fmt;

use cow_storage::error::Error;

/// Most paths that are kept.
const KEPT_MAX: usize = 100;
/// Most paths that a message names.
const TOLD_MAX: usize = 3;

/// Paths of which one thing is to be told, as bytes from the tree's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Vec<u8>>,
}

impl Paths {
    pub(super) fn add(&mut self, path: &[u8]) {
        self.count += 1;
        if self.first.len() < KEPT_MAX {
            self.first.push(path.to_owned());
        }
    }

    /// One line for each, and one for those that were not kept.
    pub(super) fn lines(&self, said: &str) -> impl Iterator<Item = String> {
        let more = self.count - self.first.len() as u64;
        let rest = (more > 0).then(|| format!("the same is so of {more} more: {said}"));
        self.first.iter().map(move |path| format!("{} {said}", shown(path))).chain(rest)
    }
}

/// One path that was not copied, or not all of it.
#[derive(Debug)]
pub struct Problem {
    /// The path, from the tree's root.
    pub path: Vec<u8>,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shown(&self.path), self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Paths that were not copied.
#[derive(Debug, Default)]
pub struct Problems {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Problem>,
}

impl Problems {
    pub(super) fn add(&mut self, path: &[u8], error: Error) {
        self.count += 1;
        if self.first.len() < KEPT_MAX {
            self.first.push(Problem { path: path.to_owned(), error });
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "1 path was not copied")?,
            count => write!(f, "{count} paths were not copied")?,
        }
        for (number, problem) in self.first.iter().take(TOLD_MAX).enumerate() {
            write!(f, "{} {problem}", if number == 0 { ":" } else { ";" })?;
        }
        if self.count > TOLD_MAX as u64 { write!(f, "; and {} more", self.count - TOLD_MAX as u64) } else { Ok(()) }
    }
}

/// A path as people read it: the root has a name, and what is not UTF-8 is escaped.
pub(super) fn shown(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { path.escape_ascii().to_string() }
}

/// The path of `name` in the directory `folder`.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_owned() } else { [folder, b"/", name].concat() }
}
