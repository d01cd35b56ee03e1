//! Which mounts were ordered, in a file beside the pool's own, so that they come back when the daemon does.
//!
//! Invariant: the file is replaced whole, so it has the orders of before or after a verb, whatever happens.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cow_api::v1::MountOptions;
use serde::{Deserialize, Serialize};

/// The file's name in the pool's directory. The engine leaves alone what it does not know.
const NAME: &str = "mounts.json";

/// A mount as it was ordered. What is mounted is known by its ids, which a rename does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Where.
    pub path: PathBuf,
    /// The dataset.
    pub dataset: u64,
    /// The snapshot, unless it is the dataset itself.
    #[serde(default)]
    pub snapshot: Option<u64>,
    /// What it was called.
    pub name: String,
    /// How.
    pub options: MountOptions,
}

/// The file.
pub struct Record {
    directory: PathBuf,
}

impl Record {
    /// The file in this directory.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// What was ordered.
    pub fn read(&self) -> io::Result<Vec<Order>> {
        match fs::read(self.directory.join(NAME)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Makes these the orders, durably.
    pub fn write<'o>(&self, orders: impl Iterator<Item = &'o Order>) -> io::Result<()> {
        let orders: Vec<&Order> = orders.collect();
        let path = self.directory.join(NAME);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&orders)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(&self.directory)?.sync_all()
    }
}
