//! Environments: hosts that data is taken from and mounted on, and the users there.
//!
//! Invariant: what proves to be a user goes to the daemon and never comes back.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What proves to be a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NewCredential {
    /// The user's password.
    Password {
        /// The password.
        password: Hidden,
    },
    /// A private key as OpenSSH writes it, without a passphrase.
    Key {
        /// The whole content of the key's file.
        private_key: Hidden,
    },
}

/// How a user comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// By a password.
    Password,
    /// By a private key.
    Key,
}

impl CredentialKind {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Key => "key",
        }
    }
}

/// Asks for a host to be made known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewEnvironment {
    /// What it shall be called.
    pub name: String,
    /// The host's name or address.
    pub address: String,
    /// Where its sshd listens.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Its first user.
    pub user: String,
    /// What proves to be that user.
    pub credential: NewCredential,
    /// The directory there for what the daemon brings along; `cow-toolkit` in the user's home by default.
    #[serde(default)]
    pub toolkit: Option<String>,
    /// The key that the host must have, as `ssh-ed25519 AAAA..`; by default the one that it shows now.
    #[serde(default)]
    pub host_key: Option<String>,
}

fn ssh_port() -> u16 {
    22
}

/// Asks for a user of a host to be made known, or to come in otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewEnvironmentUser {
    /// Its name there.
    pub user: String,
    /// What proves to be that user.
    pub credential: NewCredential,
}

/// A user of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnvironmentUser {
    /// Its name there.
    pub name: String,
    /// What plugins know it by.
    pub reference: String,
    /// How it comes in.
    pub credential: CredentialKind,
}

/// What was found on a host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostFacts {
    /// The operating system, as `Debian GNU/Linux 12 (bookworm)`.
    pub system: String,
    /// The kernel, as `Linux 6.1.0 x86_64`.
    pub kernel: String,
    /// What it calls itself.
    pub hostname: String,
    /// Whether it can mount by NFS.
    pub has_nfs: bool,
    /// Versions of programs, by name; empty where one is not there.
    pub programs: BTreeMap<String, String>,
}

/// A host that data is taken from or mounted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// What plugins know it by.
    pub reference: String,
    /// The host's name or address.
    pub address: String,
    /// Where its sshd listens.
    pub port: u16,
    /// Who works there; the first does where nobody is named.
    pub users: Vec<EnvironmentUser>,
    /// The fingerprint of the host's key.
    pub host_key: String,
    /// The directory there for what the daemon brought along.
    pub toolkit: String,
    /// What was found when it was last looked at.
    pub facts: HostFacts,
    /// What it lacks, each in one line with what to do; nothing works that needs it.
    pub missing: Vec<String>,
    /// When it was last looked at.
    pub checked: Time,
}

/// All environments.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Environments {
    /// In the order in which they were added.
    pub environments: Vec<Environment>,
}
