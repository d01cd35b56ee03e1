//! Named views of datasets and snapshots: who may see which, and how. No protocol is known here.
//!
//! Invariant: what a client may do is decided by the share's [`Access`] at each call, so that a
//! change of the table counts from the next call on.

mod access;
mod network;
mod table;
mod text;
mod views;

pub use access::{Access, Admission, ClientIdentity, Identity, Rule, Squash};
pub use network::{Network, ParseNetworkError};
pub use table::{Share, Shares};
pub use text::{describe_rule, parse_rule};
pub use views::{PoolViews, SNAPSHOTS_NAME, SnapshotName, View, Views};
