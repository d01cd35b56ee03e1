//! What an operation answers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::plugins::{Failure, Mount, Named};

/// Whether a dataset is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It runs.
    Active,
    /// It does not.
    Inactive,
}

/// Where a plugin wants a dataset mounted, and whose its files are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MountSpecification {
    /// The mounts. Of their environments the reference alone counts.
    pub mounts: Vec<Mount>,
    /// Owner and group; `None` is the environment's user.
    pub owner: Option<(u32, u32)>,
}

/// What an operation answers: which variant, its [`crate::plugins::Call`] says, and the runner has checked it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// That it is done.
    Done,
    /// Repositories or source configs that were discovered.
    Found(Vec<Named>),
    /// A source config, or what the plugin says of a snapshot.
    Definition(Value),
    /// Where to mount.
    Mounts(MountSpecification),
    /// Whether it runs.
    Status(Status),
    /// Bytes.
    Size(u64),
    /// The objects as migrations rewrote them, by reference.
    Upgraded(BTreeMap<String, Value>),
}

impl Reply {
    /// What was discovered.
    pub fn found(self) -> Result<Vec<Named>, Failure> {
        if let Self::Found(found) = self { Ok(found) } else { Err(self.unexpected("a list")) }
    }

    /// The source config or the plugin's data of a snapshot.
    pub fn definition(self) -> Result<Value, Failure> {
        if let Self::Definition(value) = self { Ok(value) } else { Err(self.unexpected("a definition")) }
    }

    /// Where to mount.
    pub fn mounts(self) -> Result<MountSpecification, Failure> {
        if let Self::Mounts(mounts) = self { Ok(mounts) } else { Err(self.unexpected("a mount specification")) }
    }

    /// Whether it runs.
    pub fn status(self) -> Result<Status, Failure> {
        if let Self::Status(status) = self { Ok(status) } else { Err(self.unexpected("a status")) }
    }

    /// Bytes.
    pub fn size(self) -> Result<u64, Failure> {
        if let Self::Size(bytes) = self { Ok(bytes) } else { Err(self.unexpected("a size")) }
    }

    /// The objects as migrations rewrote them, by reference.
    pub fn upgraded(self) -> Result<BTreeMap<String, Value>, Failure> {
        if let Self::Upgraded(objects) = self { Ok(objects) } else { Err(self.unexpected("upgraded objects")) }
    }

    /// Only our own mistake asks for one thing and takes it for another.
    fn unexpected(&self, wanted: &str) -> Failure {
        Failure::Protocol { detail: format!("{wanted} was expected, not {self:?}") }
    }
}
