//! NFS clients: who is connected, what each has mounted, and how much it does.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// NFS clients that are connected or have something mounted.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clients {
    /// By address.
    pub clients: Vec<Client>,
}

/// An NFS client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Client {
    /// Its address.
    pub address: String,
    /// Its connections: clients close quiet ones, and open others when they need some.
    pub connections: u64,
    /// When the oldest of them was opened.
    #[serde(default)]
    pub since: Option<Time>,
    /// When it called last.
    #[serde(default)]
    pub last: Option<Time>,
    /// What it does.
    #[serde(default)]
    pub traffic: Traffic,
    /// What it has mounted, by path.
    pub mounts: Vec<ClientMount>,
}

/// A share that a client has mounted, as it told or as its calls show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClientMount {
    /// The share's path.
    pub path: String,
    /// The paths in it that the client asked for, since the daemon started. Clients go on over a restart without asking.
    #[serde(default)]
    pub told: Vec<String>,
    /// When it used it last.
    #[serde(default)]
    pub last: Option<Time>,
    /// What it does with it.
    #[serde(default)]
    pub traffic: Traffic,
}

/// What a client does: since the daemon started, and lately.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Traffic {
    /// Calls.
    pub calls: u64,
    /// Those answered with an error.
    pub errors: u64,
    /// Those that the share's rules did not admit.
    pub refused: u64,
    /// Calls that came again, and were answered as before.
    pub replayed: u64,
    /// Bytes of files read.
    pub read_bytes: u64,
    /// Bytes of files written.
    pub written_bytes: u64,
    /// Calls a second, over the last seconds.
    pub calls_per_second: f64,
    /// Bytes read a second, over the last seconds.
    pub read_bytes_per_second: f64,
    /// Bytes written a second, over the last seconds.
    pub written_bytes_per_second: f64,
}
