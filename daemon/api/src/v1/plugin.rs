//! Plugins: what knows a kind of data.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its UUID, the same in all versions.
    pub id: String,
    /// The number of its build.
    pub build_number: String,
    /// The version that its author shows.
    #[serde(default)]
    pub external_version: Option<String>,
    /// `STAGED` or `DIRECT`.
    pub plugin_type: String,
    /// `PYTHON311`, `PYTHON38` or `PYTHON27`.
    pub language: String,
    /// `UNIX` or `WINDOWS`.
    pub host_types: Vec<String>,
    /// The version of the SDK's API that it was built with, if it came as an artifact.
    #[serde(default)]
    pub build_api: Option<String>,
    /// Whether root of a host is nobody in its shares.
    pub root_squash: bool,
    /// Whether start and stop hooks run around enable and disable too.
    pub extended_start_stop_hooks: bool,
    /// Whether source configs may be given by hand.
    pub manual_discovery: bool,
    /// Bytes of a block of its datasets.
    pub block_size: u64,
    /// What it can do, as `virtual.start`.
    pub operations: Vec<String>,
    /// Its migrations, in order.
    pub migration_ids: Vec<String>,
    /// When this version was installed.
    pub installed: Time,
    /// What uses it, as `dSource 'prod'`.
    pub used_by: Vec<String>,
    /// The job that looks on all environments for what it can find, in the answer to its installation or upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<u64>,
}

/// All plugins.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plugins {
    /// By name.
    pub plugins: Vec<Plugin>,
}

/// Where a plugin is to be installed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InstallPlugin {
    /// The source folder or the artifact on cowd's host: an absolute path.
    pub path: String,
}

/// What plugins of a language need, to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SetUpPlugins {
    /// `PYTHON311`, `PYTHON38` or `PYTHON27`.
    pub language: String,
    /// A directory of wheels on cowd's host, where there is no registry: an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheels: Option<String>,
}

/// A language of plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginLanguage {
    /// `PYTHON311`, `PYTHON38` or `PYTHON27`.
    pub language: String,
    /// Whether plugins of it can be run.
    pub is_set_up: bool,
}

/// A template of parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginSchema {
    /// Which parameters.
    pub kind: String,
    /// YAML with comments, to be filled in.
    pub template: String,
    /// The schema as the plugin's author wrote it, in JSON.
    pub schema: String,
}
