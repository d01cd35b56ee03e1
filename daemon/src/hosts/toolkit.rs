//! What is brought to each host, and what is found there.
//!
//! The toolkit is a directory `Delphix_COMMON_<id>_host/scripts/bin` with the programs that plugins call, and `scratch`.
//! It is brought when its hash is not the one that the host has written down.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hosts::ssh::error;
use crate::hosts::{Command, Control, Hosts, Outcome, Target, Why};

const TIME_MAX: Duration = Duration::from_secs(60);
/// Runs a command as another user of the host.
const DB_EXEC: &str = include_str!("toolkit/dlpx_db_exec");
/// Runs a command as root.
const PF_EXEC: &str = include_str!("toolkit/dlpx_pfexec");
/// Looks around.
const INSPECT: &str = include_str!("toolkit/inspect");
/// Brings the toolkit.
const INSTALL: &str = include_str!("toolkit/install");
/// What the installation ends with where the host has no jq.
const NO_JQ: i32 = 3;

/// What a host is and has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The operating system, as `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// The kernel, as `Linux 6.1.0 x86_64`.
    pub kernel: String,
    /// What it calls itself.
    pub hostname: String,
    /// The user's home.
    pub home: String,
    /// The user's number and its group's.
    pub owner: (u32, u32),
    /// Whether it can mount by NFS.
    pub has_nfs: bool,
    /// Versions of programs, by name; empty where one is not there: bash, rsync, jq, python3, expect.
    pub programs: BTreeMap<String, String>,
    /// What the user may not do as root, of mount, umount, mkdir, rmdir and chown.
    pub not_allowed: Vec<String>,
}

impl Hosts {
    /// Looks around on a host.
    pub fn inspect(&self, target: &Target, control: &dyn Control) -> Outcome<Facts> {
        let said = self.step("look around", target, &Command::new(INSPECT).within(TIME_MAX), control)?;
        Ok(facts(&said))
    }

    /// Brings what plugins rely on to the host, if it is not there as it should be. Returns whether anything was brought.
    pub fn push_toolkit(&self, target: &Target, control: &dyn Control) -> Outcome<bool> {
        const ACT: &str = "bring the toolkit";
        if !target.toolkit.starts_with('/') {
            let why = Why::Invalid(format!("'{}' is not an absolute path", target.toolkit.escape_default()));
            return Err(error(target, ACT, why));
        }
        let jq = engine_jq();
        let command = install(target, None);
        let finished = self.run_as(ACT, target, &command, control)?;
        match (finished.exit_code, jq) {
            (0, _) => Ok(finished.stdout.starts_with(b"brought")),
            (NO_JQ, Some(jq)) => self.step(ACT, target, &install(target, Some(jq)), control).map(|_| true),
            (exit_code, _) => {
                let message = crate::hosts::process::last_words(&finished.stderr);
                let hint =
                    Some("the user must be able to write the toolkit directory, and the host needs jq".to_owned());
                Err(error(target, ACT, Why::Failed { exit_code, message, hint }))
            }
        }
    }

    /// Removes what was brought to a host. What plugins left in `scratch` stays.
    pub fn remove_toolkit(&self, target: &Target, control: &dyn Control) -> Outcome<()> {
        let text = "rm -rf -- \"$common\"; rmdir -- \"$toolkit/scratch\" \"$toolkit\" 2>/dev/null; :";
        let common = format!("{}/Delphix_COMMON_{}_host", target.toolkit, target.toolkit_id);
        let command = Command::new(text).with("common", common).with("toolkit", &target.toolkit).within(TIME_MAX);
        self.step("remove the toolkit", target, &command, control).map(drop)
    }
}

/// The command that brings the toolkit, with a jq where the host has none.
fn install(target: &Target, jq: Option<Vec<u8>>) -> Command {
    let mut command = Command::new(INSTALL).within(TIME_MAX);
    let hash = blake3::hash([DB_EXEC, PF_EXEC, INSTALL].concat().as_bytes()).to_hex().to_string();
    for (name, value) in [
        ("toolkit", target.toolkit.as_str()),
        ("bin", &target.binary_path()),
        ("hash", &hash),
        ("db_exec", DB_EXEC),
        ("pf_exec", PF_EXEC),
        ("brings_jq", if jq.is_some() { "1" } else { "" }),
    ] {
        command = command.with(name, value);
    }
    command.input = jq.unwrap_or_default();
    command
}

/// This host's own jq.
fn engine_jq() -> Option<Vec<u8>> {
    ["/usr/bin/jq", "/usr/local/bin/jq"].iter().find_map(|path| std::fs::read(Path::new(path)).ok())
}

/// What the inspection says: a line `name=value` for each fact.
fn facts(said: &str) -> Facts {
    let mut facts = Facts::default();
    for (name, value) in said.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim();
        match name {
            "system" => facts.system = value.to_owned(),
            "kernel" => facts.kernel = value.to_owned(),
            "hostname" => facts.hostname = value.to_owned(),
            "home" => facts.home = value.to_owned(),
            "user" => facts.owner.0 = value.parse().unwrap_or(u32::MAX),
            "group" => facts.owner.1 = value.parse().unwrap_or(u32::MAX),
            "nfs" => facts.has_nfs = value == "1",
            "not_allowed" => facts.not_allowed.push(value.to_owned()),
            _ => {
                if let Some(program) = name.strip_prefix("program.") {
                    facts.programs.insert(program.to_owned(), value.to_owned());
                }
            }
        }
    }
    facts
}
