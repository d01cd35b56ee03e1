//! What is remembered of a plugin, and how it is shown.

use cow_api::time::Time;
use cow_api::v1::Plugin;
use serde::{Deserialize, Serialize};

use crate::plugins::{Operation, Package, PluginType};
use crate::state::Record;

/// What is remembered of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// The plugin.
    pub package: Package,
    /// When this version was installed.
    pub installed: Time,
}

impl Record for PluginRecord {
    const TABLE: &'static str = "plugin";
    const NOUN: &'static str = "plugin";

    fn key(&self) -> String {
        self.package.name.clone()
    }
}

/// A plugin as users see it.
pub fn shown(record: &PluginRecord, used_by: Vec<String>) -> Plugin {
    let package = &record.package;
    Plugin {
        name: package.name.clone(),
        id: package.id.clone(),
        build_number: package.build_number.to_string(),
        external_version: package.external_version.clone(),
        plugin_type: match package.plugin_type {
            PluginType::Staged => "STAGED".to_owned(),
            PluginType::Direct => "DIRECT".to_owned(),
        },
        language: package.language.to_string(),
        host_types: package.host_types.clone(),
        build_api: package.build_api.clone(),
        root_squash: package.root_squash,
        extended_start_stop_hooks: package.extended_start_stop_hooks,
        manual_discovery: package.manual_discovery,
        block_size: package.block_size(),
        operations: package.manifest.operations.iter().map(Operation::to_string).collect(),
        migration_ids: package.manifest.migration_ids.clone(),
        installed: record.installed,
        used_by,
        discovery: None,
    }
}
