//! Checks what a caller asks for against the present state, and puts it into a record.
//!
//! Invariant: a record that a plan returns can be applied to the state it was planned on without a
//! refusal; nothing is checked twice, and nothing is changed here.

mod attributes;
mod content;
mod create;
mod names;
mod rename;
mod xattrs;

use crate::fs::Record;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one call")]
pub enum Plan<'a, T> {
    /// Nothing changes, and this is the answer.
    Nothing(T),
    /// Log and apply this.
    Record(Record<'a>),
}
