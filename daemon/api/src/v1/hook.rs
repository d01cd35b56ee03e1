//! Hooks: scripts of users' own around what is done with a dSource or VDB.

use serde::{Deserialize, Serialize};

/// Where hooks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HookPoint {
    /// Before data arrives at a dSource.
    PreSync,
    /// After it, whatever happened.
    PostSync,
    /// Before a snapshot of a VDB.
    PreSnapshot,
    /// After it, whatever happened.
    PostSnapshot,
    /// When a VDB was provisioned or refreshed, and is in use.
    ConfigureClone,
    /// Before a refresh.
    PreRefresh,
    /// After it, if it went well.
    PostRefresh,
    /// Before a rewind.
    PreRollback,
    /// After it, if it went well.
    PostRollback,
    /// Before a VDB is started.
    PreStart,
    /// After it.
    PostStart,
    /// Before a VDB is stopped or deleted.
    PreStop,
    /// After it.
    PostStop,
}

impl HookPoint {
    /// All of them, in the order in which they stand here.
    pub const ALL: [Self; 13] = [
        Self::PreSync,
        Self::PostSync,
        Self::PreSnapshot,
        Self::PostSnapshot,
        Self::ConfigureClone,
        Self::PreRefresh,
        Self::PostRefresh,
        Self::PreRollback,
        Self::PostRollback,
        Self::PreStart,
        Self::PostStart,
        Self::PreStop,
        Self::PostStop,
    ];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreSync => "pre-sync",
            Self::PostSync => "post-sync",
            Self::PreSnapshot => "pre-snapshot",
            Self::PostSnapshot => "post-snapshot",
            Self::ConfigureClone => "configure-clone",
            Self::PreRefresh => "pre-refresh",
            Self::PostRefresh => "post-refresh",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::PreStart => "pre-start",
            Self::PostStart => "post-start",
            Self::PreStop => "pre-stop",
            Self::PostStop => "post-stop",
        }
    }

    /// The one of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.as_str() == name)
    }

    /// Whether it is one of dSources; the others are of VDBs.
    pub fn is_of_linked(self) -> bool {
        matches!(self, Self::PreSync | Self::PostSync)
    }
}

/// Asks for a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewHook {
    /// Its name, which no other hook of the source has.
    pub name: String,
    /// Where it runs; hooks of one point run in the order in which they were added.
    pub at: HookPoint,
    /// What bash is to do.
    pub script: String,
    /// The environment where it runs; that of the source by default.
    #[serde(default)]
    pub environment: Option<String>,
    /// The user there.
    #[serde(default)]
    pub user: Option<String>,
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hook {
    /// The dSource or VDB.
    pub source: String,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub at: HookPoint,
    /// The environment where it runs.
    pub environment: String,
    /// The user there.
    pub user: String,
    /// What bash is to do; only where one hook is asked for.
    #[serde(default)]
    pub script: Option<String>,
}

/// All hooks of a source.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hooks {
    /// In the order in which they were added.
    pub hooks: Vec<Hook>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_users_name_points_alike() {
        for point in HookPoint::ALL {
            assert_eq!(serde_json::to_string(&point).unwrap(), format!("\"{}\"", point.as_str()));
            assert_eq!(HookPoint::parse(point.as_str()), Some(point));
        }
        assert_eq!(HookPoint::parse("pre_sync"), None);
    }
}
