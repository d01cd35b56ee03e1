//! A plugin as it is installed: what it is called, what it can do, and which data it takes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plugins::{BuildNumber, Named, Operation};

/// How a plugin's dSources are filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PluginType {
    /// A share is mounted on a staging host, and the plugin puts data there.
    Staged,
    /// The engine fetches files when the plugin calls `run_sync`.
    Direct,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Language {
    /// Python 2.7.
    Python27,
    /// Python 3.8.
    Python38,
    /// Python 3.11.
    Python311,
}

impl Language {
    /// Every language, the newest first.
    pub const ALL: [Self; 3] = [Self::Python311, Self::Python38, Self::Python27];

    /// Its name, as in `plugin_config.yml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Python27 => "PYTHON27",
            Self::Python38 => "PYTHON38",
            Self::Python311 => "PYTHON311",
        }
    }

    /// The packages of its SDK, as pip takes them.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Python311 => &["dvp-platform==5.2.0", "dvp-libs==5.2.0"],
            Self::Python38 => &["dvp-platform==4.1.0", "dvp-libs==4.1.0"],
            Self::Python27 => &["dvp-platform==3.1.0", "dvp-libs==3.1.0"],
        }
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| format!("'{text}' is no language: give PYTHON311, PYTHON38 or PYTHON27"))
    }
}

/// Which of a plugin's schemas is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaKind {
    /// What is installed on a host.
    Repository,
    /// A dataset in a repository.
    SourceConfig,
    /// A dSource's parameters.
    LinkedSource,
    /// A VDB's parameters.
    VirtualSource,
    /// What the plugin says of a snapshot.
    Snapshot,
    /// Parameters of a sync.
    SnapshotParameters,
    /// Parameters of a V2P.
    VirtualToPhysical,
}

/// A kind of schema, its name here, and the name of the definition in a plugin's `schema.json`.
const SCHEMAS: [(SchemaKind, &str, &str); 7] = [
    (SchemaKind::Repository, "repository", "repositoryDefinition"),
    (SchemaKind::SourceConfig, "source_config", "sourceConfigDefinition"),
    (SchemaKind::LinkedSource, "linked_source", "linkedSourceDefinition"),
    (SchemaKind::VirtualSource, "virtual_source", "virtualSourceDefinition"),
    (SchemaKind::Snapshot, "snapshot", "snapshotDefinition"),
    (SchemaKind::SnapshotParameters, "snapshot_parameters", "snapshotParametersDefinition"),
    (SchemaKind::VirtualToPhysical, "virtual_to_physical", "virtualToPhysicalDefinition"),
];

impl SchemaKind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        SCHEMAS.into_iter().map(|row| row.0)
    }

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        SCHEMAS[self as usize].1
    }

    /// The definition in a plugin's `schema.json`.
    pub fn definition(self) -> &'static str {
        SCHEMAS[self as usize].2
    }
}

impl FromStr for SchemaKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<&str> = Self::all().map(Self::as_str).collect();
        let known = Self::all().find(|kind| kind.as_str() == text.replace('-', "_") || kind.definition() == text);
        known.ok_or_else(|| format!("'{text}' is no schema of plugins: give one of {}", names.join(", ")))
    }
}

/// A plugin's schemas, as its author wrote them.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schemas {
    /// What is installed on a host, with `nameField` and `identityFields`.
    pub repository: Option<Value>,
    /// A dataset in a repository, with `nameField` and `identityFields`.
    pub source_config: Option<Value>,
    /// A dSource's parameters.
    pub linked_source: Option<Value>,
    /// A VDB's parameters.
    pub virtual_source: Option<Value>,
    /// What the plugin says of a snapshot.
    pub snapshot: Option<Value>,
    /// Parameters of a sync.
    pub snapshot_parameters: Option<Value>,
    /// Parameters of a V2P.
    pub virtual_to_physical: Option<Value>,
}

impl Schemas {
    /// One of them; `None` when the plugin has none of that kind.
    pub fn get(&self, kind: SchemaKind) -> Option<&Value> {
        match kind {
            SchemaKind::Repository => &self.repository,
            SchemaKind::SourceConfig => &self.source_config,
            SchemaKind::LinkedSource => &self.linked_source,
            SchemaKind::VirtualSource => &self.virtual_source,
            SchemaKind::Snapshot => &self.snapshot,
            SchemaKind::SnapshotParameters => &self.snapshot_parameters,
            SchemaKind::VirtualToPhysical => &self.virtual_to_physical,
        }
        .as_ref()
    }

    /// Puts one in its place.
    pub fn set(&mut self, kind: SchemaKind, schema: Value) {
        let place = match kind {
            SchemaKind::Repository => &mut self.repository,
            SchemaKind::SourceConfig => &mut self.source_config,
            SchemaKind::LinkedSource => &mut self.linked_source,
            SchemaKind::VirtualSource => &mut self.virtual_source,
            SchemaKind::Snapshot => &mut self.snapshot,
            SchemaKind::SnapshotParameters => &mut self.snapshot_parameters,
            SchemaKind::VirtualToPhysical => &mut self.virtual_to_physical,
        };
        *place = Some(schema);
    }
}

/// What a plugin can do.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The operations that it has.
    pub operations: BTreeSet<Operation>,
    /// Its migrations, in order.
    pub migration_ids: Vec<String>,
}

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Never goes down.
    pub build_number: BuildNumber,
    /// The version that its author shows.
    pub external_version: Option<String>,
    /// How its dSources are filled.
    pub plugin_type: PluginType,
    /// What it is written in.
    pub language: Language,
    /// `UNIX` or `WINDOWS`.
    pub host_types: Vec<String>,
    /// The module and the object in it, as `module:object`.
    pub entry_point: String,
    /// The version of the SDK's API that it was built with, if it came as an artifact.
    pub build_api: Option<String>,
    /// Whether root of a host is nobody in its shares.
    pub root_squash: bool,
    /// Whether start and stop hooks run around enable and disable too.
    pub extended_start_stop_hooks: bool,
    /// Whether source configs may be given by hand.
    pub manual_discovery: bool,
    /// Which data it takes.
    pub schemas: Schemas,
    /// What it can do.
    pub manifest: Manifest,
    /// The directory of its code, in the directory of the plugin.
    pub root: PathBuf,
}

impl Package {
    /// Whether it has an operation. One that it does not have must not be called.
    pub fn has(&self, operation: Operation) -> bool {
        self.manifest.operations.contains(&operation)
    }

    /// A repository or source config, with the name that its schema's `nameField` gives.
    pub fn named(&self, kind: SchemaKind, parameters: Value) -> Named {
        let field = self.schemas.get(kind).and_then(|schema| schema.get("nameField")).and_then(Value::as_str);
        let name = field.and_then(|field| parameters.get(field));
        let name = name.map_or_else(String::new, |name| name.as_str().map_or_else(|| name.to_string(), str::to_owned));
        Named { name, parameters }
    }

    /// What makes a repository or source config the same at the next discovery: its identity fields.
    pub fn identity(&self, kind: SchemaKind, parameters: &Value) -> Map<String, Value> {
        let fields = self.schemas.get(kind).and_then(|schema| schema.get("identityFields")).and_then(Value::as_array);
        let fields = fields.into_iter().flatten().filter_map(Value::as_str);
        fields.map(|field| (field.to_owned(), parameters.get(field).cloned().unwrap_or(Value::Null))).collect()
    }

    /// The schemas as their author ordered them, beside the code.
    pub fn schema_file(&self) -> PathBuf {
        self.root.with_file_name("schema.json")
    }

    /// Bytes of a block of its datasets: `recordSizeInKB` of its dSources, else of its VDBs, else 8 KiB.
    pub fn block_size(&self) -> u64 {
        let schemas = [&self.schemas.linked_source, &self.schemas.virtual_source];
        let sizes = schemas.into_iter().flatten().filter_map(|schema| schema.get("recordSizeInKB")?.as_u64());
        sizes.map(|kib| kib << 10).next().unwrap_or(8 << 10)
    }
}
