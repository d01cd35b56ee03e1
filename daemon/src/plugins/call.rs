//! An operation with its arguments, as the recipes give them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plugins::Operation;

/// A user on a host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The login.
    pub name: String,
    /// What names it here, as `HOST_USER-3`.
    pub reference: String,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What names it here: `UNIX_HOST-n` for environment `UNIX_HOST_ENVIRONMENT-n`.
    pub reference: String,
    /// Where the toolkit's programs are: `<toolkit>/Delphix_COMMON_<id>_host/scripts/bin`.
    pub binary_path: String,
    /// Where plugins may write.
    pub scratch_path: String,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// What names it here, `UNIX_HOST_ENVIRONMENT-n`. Plugins make up the rest, so this alone counts.
    pub reference: String,
    /// Its host.
    pub host: Host,
}

/// An environment and who works there.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Where.
    pub environment: Environment,
    /// Who.
    pub user: User,
}

/// Where a dataset, or a part of it, is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// On which host.
    #[serde(rename = "remote_environment")]
    pub environment: Environment,
    /// Where there.
    pub mount_path: String,
    /// The directory of the dataset that is mounted, or all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_path: Option<String>,
}

/// A repository or a source config: what the plugin said of it, and the name that its schema's `nameField` gives.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The plugin's own data.
    pub parameters: Value,
}

/// A dSource that is mounted on a staging host.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StagedSource {
    /// What names it for ever.
    pub guid: String,
    /// Where it comes from.
    pub source_connection: Connection,
    /// Where it is mounted.
    pub staged_connection: Connection,
    /// The mounts: none yet, the whole, or parts.
    pub mounts: Vec<Mount>,
    /// The plugin's own data.
    pub parameters: Value,
}

/// A dSource that `run_sync` fills.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DirectSource {
    /// What names it for ever.
    pub guid: String,
    /// Where it comes from.
    pub connection: Connection,
    /// The plugin's own data.
    pub parameters: Value,
}

/// A VDB.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct VirtualSource {
    /// What names it for ever.
    pub guid: String,
    /// Where it is.
    pub connection: Connection,
    /// The mounts; none before the first.
    pub mounts: Vec<Mount>,
    /// The plugin's own data.
    pub parameters: Value,
}

/// Where a dataset is written out as plain files.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PhysicalSource {
    /// What names it for ever.
    pub guid: String,
    /// Where it goes.
    pub connection: Connection,
    /// The directory there.
    pub target_directory: String,
    /// The plugin's own data.
    pub parameters: Value,
}

/// A dSource of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkedSource {
    /// Of a plugin of type STAGED.
    Staged(Box<StagedSource>),
    /// Of a plugin of type DIRECT.
    Direct(Box<DirectSource>),
}

/// What most operations of a dSource are about.
#[derive(Clone, Debug, PartialEq)]
pub struct Linked {
    /// The dSource.
    pub source: LinkedSource,
    /// What was discovered.
    pub repository: Named,
    /// What was discovered in it.
    pub source_config: Named,
}

/// What most operations of a VDB are about.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Virtual {
    /// The VDB.
    pub source: VirtualSource,
    /// What it runs on.
    pub repository: Named,
    /// What `configure` answered.
    pub source_config: Named,
}

/// Parameters of a sync: none at all differs from empty ones.
pub type SnapshotParameters = Option<Value>;

/// An object whose data a migration rewrites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A repository.
    Repository,
    /// A source config.
    SourceConfig,
    /// A dSource's parameters.
    LinkedSource,
    /// A VDB's parameters.
    VirtualSource,
    /// What a plugin said of a snapshot.
    Snapshot,
}

/// An operation with its arguments.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are the contract's own")]
pub enum Call {
    DiscoveryRepository {
        source_connection: Connection,
    },
    DiscoverySourceConfig {
        source_connection: Connection,
        repository: Named,
    },
    LinkedPreSnapshot {
        linked: Linked,
        snapshot_parameters: SnapshotParameters,
    },
    LinkedPostSnapshot {
        linked: Linked,
        snapshot_parameters: SnapshotParameters,
    },
    LinkedMountSpecification {
        source: StagedSource,
        repository: Named,
    },
    LinkedStartStaging(Linked),
    LinkedStopStaging(Linked),
    LinkedStatus(Linked),
    LinkedWorker(Linked),
    LinkedSourceSize(Linked),
    LinkedPreSourceToPhysical {
        linked: Linked,
        snapshot: Value,
        physical: PhysicalSource,
    },
    LinkedSourceToPhysical {
        linked: Linked,
        snapshot: Value,
        physical: PhysicalSource,
    },
    VirtualConfigure {
        source: VirtualSource,
        repository: Named,
        snapshot: Value,
    },
    VirtualReconfigure {
        of: Virtual,
        snapshot: Value,
    },
    VirtualInitialize {
        source: VirtualSource,
        repository: Named,
    },
    VirtualUnconfigure(Virtual),
    VirtualCleanup(Virtual),
    VirtualStart(Virtual),
    VirtualStop(Virtual),
    VirtualPreSnapshot(Virtual),
    VirtualPostSnapshot(Virtual),
    VirtualMountSpecification {
        source: VirtualSource,
        repository: Named,
    },
    VirtualStatus(Virtual),
    VirtualSourceSize(Virtual),
    VirtualPreSourceToPhysical {
        of: Virtual,
        snapshot: Value,
        physical: PhysicalSource,
    },
    VirtualSourceToPhysical {
        of: Virtual,
        snapshot: Value,
        physical: PhysicalSource,
    },
    /// Migrations, in this order, over objects by reference.
    Upgrade {
        kind: ObjectKind,
        migration_ids: Vec<String>,
        objects: BTreeMap<String, Value>,
    },
}

impl Call {
    /// The operation; `None` for migrations, which have no flag of their own.
    pub fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::DiscoveryRepository { .. } => Operation::DiscoveryRepository,
            Self::DiscoverySourceConfig { .. } => Operation::DiscoverySourceConfig,
            Self::LinkedPreSnapshot { .. } => Operation::LinkedPreSnapshot,
            Self::LinkedPostSnapshot { .. } => Operation::LinkedPostSnapshot,
            Self::LinkedMountSpecification { .. } => Operation::LinkedMountSpecification,
            Self::LinkedStartStaging(_) => Operation::LinkedStartStaging,
            Self::LinkedStopStaging(_) => Operation::LinkedStopStaging,
            Self::LinkedStatus(_) => Operation::LinkedStatus,
            Self::LinkedWorker(_) => Operation::LinkedWorker,
            Self::LinkedSourceSize(_) => Operation::LinkedSourceSize,
            Self::LinkedPreSourceToPhysical { .. } => Operation::LinkedPreSourceToPhysical,
            Self::LinkedSourceToPhysical { .. } => Operation::LinkedSourceToPhysical,
            Self::VirtualConfigure { .. } => Operation::VirtualConfigure,
            Self::VirtualReconfigure { .. } => Operation::VirtualReconfigure,
            Self::VirtualInitialize { .. } => Operation::VirtualInitialize,
            Self::VirtualUnconfigure(_) => Operation::VirtualUnconfigure,
            Self::VirtualCleanup(_) => Operation::VirtualCleanup,
            Self::VirtualStart(_) => Operation::VirtualStart,
            Self::VirtualStop(_) => Operation::VirtualStop,
            Self::VirtualPreSnapshot(_) => Operation::VirtualPreSnapshot,
            Self::VirtualPostSnapshot(_) => Operation::VirtualPostSnapshot,
            Self::VirtualMountSpecification { .. } => Operation::VirtualMountSpecification,
            Self::VirtualStatus(_) => Operation::VirtualStatus,
            Self::VirtualSourceSize(_) => Operation::VirtualSourceSize,
            Self::VirtualPreSourceToPhysical { .. } => Operation::VirtualPreSourceToPhysical,
            Self::VirtualSourceToPhysical { .. } => Operation::VirtualSourceToPhysical,
            Self::Upgrade { .. } => return None,
        })
    }

    /// What the plugin said of the snapshot that it is to make something of.
    pub fn snapshot(&self) -> Option<&Value> {
        match self {
            Self::VirtualConfigure { snapshot, .. }
            | Self::VirtualReconfigure { snapshot, .. }
            | Self::LinkedPreSourceToPhysical { snapshot, .. }
            | Self::LinkedSourceToPhysical { snapshot, .. }
            | Self::VirtualPreSourceToPhysical { snapshot, .. }
            | Self::VirtualSourceToPhysical { snapshot, .. } => Some(snapshot),
            _ => None,
        }
    }
}
