//! The daemon of cow, as a library.
//!
//! The modules are floors, ground floor first; a paragraph of `mod` lines is one floor. A module
//! uses floors below its own, never a neighbour and never one above (`tests/architecture.rs`).

pub mod bell;
pub mod calendar;
pub mod clock;
pub mod executor;
pub mod idle;
pub mod metrics;
pub mod notify;
pub mod secrets;
pub mod state;

pub mod damage;
pub mod events;
pub mod locks;
pub mod logging;
pub mod retention;
pub mod shares;

pub mod actions;
pub mod config;
pub mod jobs;
pub mod maintenance;
pub mod scrubbing;
pub mod workflows;

pub mod hosts;
pub mod plugins;

pub mod service;

pub mod virtualization;

pub mod control;
pub mod fuse;
pub mod nfs;

pub mod daemon;

pub mod program;

#[cfg(feature = "fuzzing")]
pub mod fuzz;
