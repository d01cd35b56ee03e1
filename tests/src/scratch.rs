//! Folders for one test's files, gone when the test is.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A folder of its own that is removed with all in it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder that every user may enter.
    pub fn new(name: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("cow-test-{}-{number}-{name}", process::id()));
        fs::create_dir_all(&path).expect("a scratch folder can be made");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").expect("/proc is there").uid() == 0
}
