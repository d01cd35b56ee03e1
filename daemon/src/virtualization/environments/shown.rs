//! What is told of an environment.

use cow_api::v1::{Environment, EnvironmentUser, HostFacts};

use crate::hosts::Facts;
use crate::state::Row;
use crate::virtualization::environments::record::EnvironmentRecord;

/// Most users of an environment that there ever may be: their references count on it.
pub const USERS_MAX: u64 = 1000;

/// What plugins know an environment by.
pub fn reference(id: u64) -> String {
    format!("UNIX_HOST_ENVIRONMENT-{id}")
}

/// What plugins know its host by.
pub fn host_reference(id: u64) -> String {
    format!("UNIX_HOST-{id}")
}

/// What plugins know a user of it by.
pub fn user_reference(id: u64, number: u64) -> String {
    format!("HOST_USER-{}", id * USERS_MAX + number)
}

/// The number of the environment that a reference means, to it, its host or one of its users.
pub fn referred(reference: &str) -> Option<u64> {
    let (kind, number) = reference.rsplit_once('-')?;
    let number: u64 = number.parse().ok()?;
    match kind {
        "UNIX_HOST_ENVIRONMENT" | "UNIX_HOST" => Some(number),
        "HOST_USER" => Some(number / USERS_MAX),
        _ => None,
    }
}

/// All that may be told.
pub fn shown(row: &Row<EnvironmentRecord>, fingerprint: String) -> Environment {
    let Row { id, record } = row;
    let user = |user: &crate::virtualization::environments::record::UserRecord| EnvironmentUser {
        name: user.name.clone(),
        reference: user_reference(*id, user.number),
        credential: user.kind,
    };
    let Facts { system, kernel, hostname, has_nfs, programs, .. } = record.facts.clone();
    Environment {
        name: record.name.clone(),
        reference: reference(*id),
        address: record.address.clone(),
        port: record.port,
        users: record.users.iter().map(user).collect(),
        host_key: fingerprint,
        toolkit: record.toolkit.clone(),
        facts: HostFacts { system, kernel, hostname, has_nfs, programs },
        missing: missing(&record.facts),
        checked: record.checked,
    }
}

/// What a host lacks, and what to do about it.
fn missing(facts: &Facts) -> Vec<String> {
    let mut missing = Vec::new();
    if !facts.has_nfs {
        missing.push("no NFS client, so nothing can be mounted: install nfs-common or nfs-utils".to_owned());
    }
    if facts.programs.get("rsync").is_none_or(String::is_empty) {
        missing.push("no rsync, so no files can be copied: install rsync".to_owned());
    }
    if !facts.not_allowed.is_empty() {
        let programs = facts.not_allowed.join(", ");
        missing.push(format!("sudo does not allow {programs}: docs/environments.md has the rules for sudoers"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_back() {
        for id in [1, 7, 123_456] {
            for text in [reference(id), host_reference(id), user_reference(id, 1), user_reference(id, USERS_MAX - 1)] {
                assert_eq!(referred(&text), Some(id), "{text}");
            }
        }
        for wrong in ["", "UNIX_HOST", "WINDOWS_HOST-1", "UNIX_HOST-x", "UNIX_HOST--1"] {
            assert_eq!(referred(wrong), None, "{wrong}");
        }
    }
}
