//! Trees of files to and from hosts, by rsync through the same connection.

use std::path::Path;

use crate::hosts::ssh::not_yet;
use crate::hosts::{Control, Hosts, Outcome, Target};

/// What to bring from a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// The directory there, whose content is brought.
    pub directory: String,
    /// Who reads it there; the target's user by default.
    pub user: Option<String>,
    /// What stays behind: paths in the directory.
    pub excludes: Vec<String>,
    /// Symbolic links, as paths in the directory, in whose place comes what they lead to.
    pub links_to_follow: Vec<String>,
}

/// What to bring to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The directory there, which gets the content.
    pub directory: String,
    /// Whether what is only there is removed.
    pub removes_others: bool,
}

impl Hosts {
    /// Makes `local` the same as a directory of a host.
    pub fn pull(&self, target: &Target, _local: &Path, _pull: &Pull, _control: &dyn Control) -> Outcome<()> {
        Err(not_yet(target, "copy a tree"))
    }

    /// Brings the content of `local` to a directory of a host.
    pub fn push(&self, target: &Target, _local: &Path, _push: &Push, _control: &dyn Control) -> Outcome<()> {
        Err(not_yet(target, "copy a tree"))
    }
}
