//! Which clients may hold locks, as it is after a crash: a small file.
//!
//! Invariant: the file is replaced as a whole, and durably before [`Ledger::save`] returns.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::locks::Client;

/// Where the list is kept.
pub struct Ledger(Option<PathBuf>);

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Grows at each start, and is odd; clients are told so that they know that we restarted.
    pub state: i32,
    /// The clients.
    pub clients: Vec<RecordedClient>,
}

/// A client that may hold locks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedClient {
    /// Its address.
    pub address: IpAddr,
    /// What it calls itself.
    pub name: String,
    /// The address of ours that it uses.
    pub server: Option<IpAddr>,
}

impl RecordedClient {
    /// The client, as locks know it.
    pub fn client(&self) -> Client {
        Client { address: Some(self.address), name: self.name.clone() }
    }
}

impl Ledger {
    /// A list in this file; without one it ends with the process.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// What was saved last; nothing if nothing was.
    pub fn load(&self) -> io::Result<Recorded> {
        let Some(path) = &self.0 else { return Ok(Recorded::default()) };
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Recorded::default()),
            Err(error) => Err(error),
        }
    }

    /// Keeps this instead.
    pub fn save(&self, recorded: &Recorded) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let text = serde_json::to_vec(recorded)?;
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_anything_else_is_refused() {
        let folder = std::env::temp_dir().join(format!("cow-ledger-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("lock-clients.json");
        let ledger = Ledger::new(Some(path.clone()));
        assert_eq!(ledger.load().unwrap(), Recorded::default());
        let [address, server] = ["10.0.0.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let clients = vec![RecordedClient { address, name: "a \"b\"\n".to_owned(), server: Some(server) }];
        let recorded = Recorded { state: 7, clients };
        ledger.save(&recorded).unwrap();
        assert_eq!(Ledger::new(Some(path.clone())).load().unwrap(), recorded);
        fs::write(&path, b"{").unwrap();
        assert!(ledger.load().is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
