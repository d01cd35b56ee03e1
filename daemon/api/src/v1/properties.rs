//! Properties of datasets, as JSON and as `name=value` for people.
//!
//! Invariant: a property has one name, in JSON, in configuration and on the command line.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::size::ByteSize;

/// The names of all properties but the users' own, which contain a colon.
pub const PROPERTY_NAMES: [&str; 7] = ["blocksize", "extentsize", "compression", "sync", "dedup", "quota", "readonly"];

/// How a dataset stores and serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Properties {
    /// Bytes in a block; fixed when the dataset is made.
    #[serde(rename = "blocksize")]
    pub block_size: u64,
    /// Most bytes that are compressed together.
    #[serde(rename = "extentsize")]
    pub extent_size: u64,
    /// How blocks are compressed.
    pub compression: Compression,
    /// Whether fsync waits.
    pub sync: SyncMode,
    /// Whether equal blocks of streams are stored once.
    pub dedup: bool,
    /// Most logical bytes that may be allocated.
    #[serde(default)]
    pub quota: Option<u64>,
    /// Whether writes are refused.
    pub readonly: bool,
    /// What users attach: keys contain a colon.
    #[serde(default)]
    pub user: BTreeMap<String, String>,
}

/// Properties to set; what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PropertyChange {
    /// Bytes in a block: a power of two, 4 KiB to 64 KiB. Only for a dataset that is being created.
    #[serde(rename = "blocksize", default, skip_serializing_if = "Option::is_none")]
    pub block_size: Option<u64>,
    /// Most bytes that are compressed together: a multiple of the block size, at most 128 KiB.
    #[serde(rename = "extentsize", default, skip_serializing_if = "Option::is_none")]
    pub extent_size: Option<u64>,
    /// How blocks are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Whether fsync waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncMode>,
    /// Whether equal blocks of streams are stored once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup: Option<bool>,
    /// Most logical bytes that may be allocated; `null` takes the quota away.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub quota: Option<Option<u64>>,
    /// Whether writes are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readonly: Option<bool>,
    /// Users' properties: text to set, `null` to remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, Option<String>>,
}

/// Tells `null` from a field that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl PropertyChange {
    /// Sets a property from text, as in `blocksize=8K`; an empty text removes a quota or a user's property.
    /// Fails with one line for people.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let size = || value.parse::<ByteSize>().map(|size| size.0).map_err(|error| error.to_string());
        match name {
            "blocksize" => self.block_size = Some(size()?),
            "extentsize" => self.extent_size = Some(size()?),
            "compression" => self.compression = Some(value.parse()?),
            "sync" => self.sync = Some(value.parse()?),
            "dedup" => self.dedup = Some(switch(value)?),
            "readonly" => self.readonly = Some(switch(value)?),
            "quota" if ["", "none"].contains(&value) => self.quota = Some(None),
            "quota" => self.quota = Some(Some(size()?)),
            _ if name.starts_with("cow:") => {
                let help = "'cowctl share set DATASET' says who may mount a dataset";
                return Err(format!("cannot set {name}: names that begin with cow: are the daemon's own; {help}"));
            }
            _ if name.contains(':') => {
                self.user.insert(name.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty()));
            }
            _ => {
                let names = PROPERTY_NAMES.join(", ");
                return Err(format!("no property is called '{name}': there are {names}, and your own with a colon"));
            }
        }
        Ok(())
    }
}

impl Properties {
    /// All properties as text, the users' own last.
    pub fn list(&self) -> Vec<(String, String)> {
        let switch = |on| if on { "on" } else { "off" }.to_owned();
        let size = |bytes| format!("{:#}", ByteSize(bytes));
        let values = [
            size(self.block_size),
            size(self.extent_size),
            self.compression.to_string(),
            self.sync.to_string(),
            switch(self.dedup),
            self.quota.map_or_else(|| "none".to_owned(), size),
            switch(self.readonly),
        ];
        let own = self.user.iter().map(|(name, value)| (name.clone(), value.clone()));
        PROPERTY_NAMES.map(str::to_owned).into_iter().zip(values).chain(own).collect()
    }
}

fn switch(value: &str) -> Result<bool, String> {
    match value {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => Err(format!("'{value}' is neither on nor off")),
    }
}

/// How blocks are compressed: `off`, or `zstd:` and a level from -7 to 19.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Stored as they are.
    Off,
    /// zstd at this level.
    Zstd(i8),
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Zstd(level) => f.pad(&format!("zstd:{level}")),
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("zstd:").map(str::parse)) {
            ("off", _) => Ok(Self::Off),
            ("zstd" | "on", _) => Ok(Self::Zstd(1)),
            (_, Some(Ok(level @ -7..=19))) => Ok(Self::Zstd(level)),
            _ => Err(format!("'{text}' is no compression: give off, zstd, or zstd:LEVEL from -7 to 19")),
        }
    }
}

/// Whether fsync waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// fsync and COMMIT return when the data is durable.
    Standard,
    /// They return at once; a crash takes the dataset back a few seconds.
    Disabled,
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Standard => "standard",
            Self::Disabled => "disabled",
        })
    }
}

impl FromStr for SyncMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "standard" => Ok(Self::Standard),
            "disabled" => Ok(Self::Disabled),
            _ => Err(format!("'{text}' is no sync mode: give standard or disabled")),
        }
    }
}

/// Block and extent size together, for a kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// 16 KiB blocks in extents of 64 KiB.
    #[default]
    Default,
    /// 8 KiB in 64 KiB: PostgreSQL's pages.
    Postgres,
    /// 16 KiB in 32 KiB: InnoDB's pages.
    Innodb,
    /// 16 KiB in 128 KiB: trees of files that are seldom overwritten.
    Tree,
}

impl Profile {
    /// Bytes in a block, and most bytes in an extent.
    pub fn sizes(self) -> (u64, u64) {
        match self {
            Self::Default => (16 << 10, 64 << 10),
            Self::Postgres => (8 << 10, 64 << 10),
            Self::Innodb => (16 << 10, 32 << 10),
            Self::Tree => (16 << 10, 128 << 10),
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "postgres" => Ok(Self::Postgres),
            "innodb" => Ok(Self::Innodb),
            "tree" => Ok(Self::Tree),
            _ => Err(format!("'{text}' is no profile: give default, postgres, innodb or tree")),
        }
    }
}

impl Serialize for Compression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Compression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_can_be_set() {
        let properties = Properties {
            block_size: 8 << 10,
            extent_size: 32 << 10,
            compression: Compression::Zstd(-3),
            sync: SyncMode::Disabled,
            dedup: false,
            quota: Some(3 << 29),
            readonly: true,
            user: BTreeMap::from([("team:owner".to_owned(), "data".to_owned())]),
        };
        let mut change = PropertyChange::default();
        for (name, value) in properties.list() {
            change.set(&name, &value).unwrap();
        }
        assert_eq!(serde_json::to_value(&change).unwrap(), serde_json::to_value(&properties).unwrap());
    }

    #[test]
    fn absent_null_and_unknown_are_told_apart() {
        let read = |text: &str| serde_json::from_str::<PropertyChange>(text);
        assert_eq!(read("{}").unwrap().quota, None);
        assert_eq!(read(r#"{"quota":null}"#).unwrap().quota, Some(None));
        assert_eq!(read(r#"{"quota":5}"#).unwrap().quota, Some(Some(5)));
        assert!(read(r#"{"qouta":5}"#).is_err());
        assert!(read(r#"{"compression":"zstd:20"}"#).is_err());
        let mut change = PropertyChange::default();
        for (name, value) in [
            ("size", "1"),
            ("dedup", "maybe"),
            ("quota", "x"),
            ("sync", ""),
            ("compression", "lz4"),
            ("cow:share", "off"),
        ] {
            assert!(change.set(name, value).is_err(), "{name}");
        }
        change.set("quota", "none").unwrap();
        change.set("a:b", "").unwrap();
        assert_eq!(serde_json::to_string(&change).unwrap(), r#"{"quota":null,"user":{"a:b":null}}"#);
    }
}
