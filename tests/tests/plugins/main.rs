//! Plugins run for real: what their operations are given, and how everything that goes wrong in them is told.

mod arguments;
mod failures;
mod templates;
mod upgrades;
mod verbs;
