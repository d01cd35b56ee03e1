//! Plugins written with the public virtualization SDK: what they are, and how their operations are called.
//!
//! Invariant: a plugin's code runs only in a process of its own, one for each operation, with bounds on its time,
//! memory and answers; what it does wrong is a [`Failure`] that says so, and never ours.

mod asked;
mod build_number;
mod call;
mod environment;
mod failure;
mod fields;
mod install;
mod library;
mod operation;
mod package;
pub mod passwords;
mod process;
mod reply;
mod runner;
pub mod schema;
mod source;
mod template;
mod upgrade;
mod wire;

pub use build_number::BuildNumber;
pub use call::{
    Call, Connection, DirectSource, Environment, Host, Linked, LinkedSource, Mount, Named, ObjectKind, PhysicalSource,
    SnapshotParameters, StagedSource, User, Virtual, VirtualSource,
};
pub use environment::Settings;
pub use failure::{Failure, PluginFault};
pub use library::{Control, Credentials, Level, Library, LibraryError, Script, ScriptOutput, Secret, Sync};
pub use operation::Operation;
pub use package::{Language, Manifest, Package, PluginType, SchemaKind, Schemas};
pub use process::Cancel;
pub use reply::{MountSpecification, Reply, Status};
pub use runner::{Caller, Runner};
pub use source::Source;
pub use template::template;
pub use upgrade::{Migrating, Object, migrate, plan};
