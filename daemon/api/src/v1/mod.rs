//! Version 1 of the control API.
//!
//! Every answer of success is the resource itself as JSON; every other answer is a [`Problem`].
//! [`path`] builds the paths, `docs/control.md` describes them.

mod action;
mod bookmark;
mod client;
mod code;
mod dataset;
mod destroy;
mod diff;
mod envelope;
mod environment;
mod event;
mod hook;
mod job;
mod lock;
mod mount;
pub mod path;
mod plugin;
mod policy;
mod problem;
mod properties;
mod scrub;
mod share;
mod snapshot;
mod source;
mod space;
mod status;
mod transfer;
mod verify;

pub use action::{Action, Actions};
pub use bookmark::{Bookmark, Bookmarks, NewBookmark};
pub use client::{Client, ClientMount, Clients, Traffic};
pub use code::Code;
pub use dataset::{CreateDataset, Dataset, Listing, Rename, Rewind, Rewound, RootDirectory};
pub use destroy::{Destroy, Destroyed, DestroyedEach, Undelete, Undeleted};
pub use diff::{Diff, Difference, DifferenceKind};
pub use envelope::{ENVELOPE_VERSION, Envelope};
pub use environment::{
    CredentialKind, Environment, EnvironmentUser, Environments, Hidden, HostFacts, NewCredential, NewEnvironment,
    NewEnvironmentUser,
};
pub use event::{Change, Event, Happening};
pub use hook::{Hook, HookPoint, Hooks, NewHook};
pub use job::{Job, JobKind, JobLevel, JobLine, JobLog, JobReport, JobState, Jobs, Progress};
pub use lock::{Lock, LockKind, Locks, ReleasedLocks};
pub use mount::{Mount, MountOptions, MountState, Mounts, NewMount};
pub use plugin::{InstallPlugin, Plugin, PluginLanguage, PluginSchema, Plugins, SetUpPlugins};
pub use policy::{Keep, NewPolicy, Policies, Policy, PolicyChange, PolicyKind, PolicyRun, SourceRun, Verdict};
pub use problem::{PROBLEM_MEDIA_TYPE, Problem};
pub use properties::{Compression, PROPERTY_NAMES, Profile, Properties, PropertyChange, SyncMode};
pub use scrub::{Scrub, ScrubProgress, ScrubState, StartScrub};
pub use share::{SetShare, Share, Shares};
pub use snapshot::{CloneSnapshot, NewSnapshot, Origin, Snapshot, Snapshots, TakeSnapshots};
pub use source::{
    Discovered, DiscoveredRepository, Fault, Faults, LinkSource, Provision, Source, SourceKind, SourceOrder,
    SourceReport, SourceStatus, Sources, Timeflow, TimeflowSnapshot, Timeline,
};
pub use space::{DatasetSpace, PoolSpace, Space};
pub use status::{Backlog, Counters, State, Status};
pub use transfer::{Export, Import, TransferReport};
pub use verify::{Damage, Verify, VerifyReport};
