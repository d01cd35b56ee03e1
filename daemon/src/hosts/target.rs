//! Whom to speak with: a host, and a user on it.

use crate::secrets::Secret;

/// A user of a host, and how to come in as that user.
#[derive(Clone, Debug)]
pub struct Target {
    /// The number of its environment, for names of files.
    pub environment: u64,
    /// The environment's name, for messages.
    pub name: String,
    /// The host's name or address.
    pub address: String,
    /// Where its sshd listens.
    pub port: u16,
    /// The user there.
    pub user: String,
    /// What proves to be that user.
    pub credential: Credential,
    /// The key that the host must have, as `ssh-ed25519 AAAA..`; `None` trusts nobody.
    pub host_key: Option<String>,
    /// The directory there that holds what cowd brings along, writable for the user.
    pub toolkit: String,
    /// Tells this toolkit from those of other environments and engines in the same directory: letters and digits.
    pub toolkit_id: String,
}

/// What proves to be a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The user's password.
    Password(Secret),
    /// A private key as OpenSSH writes it, without a passphrase.
    PrivateKey(Secret),
}

impl Target {
    /// The directory with the programs that plugins call; three directories up is the toolkit.
    pub fn binary_path(&self) -> String {
        format!("{}/Delphix_COMMON_{}_host/scripts/bin", self.toolkit, self.toolkit_id)
    }

    /// The directory where plugins keep what they want.
    pub fn scratch_path(&self) -> String {
        format!("{}/scratch", self.toolkit)
    }

    /// The program jq, which every command may call by the variable `DLPX_BIN_JQ`.
    pub fn jq_path(&self) -> String {
        format!("{}/jq", self.binary_path())
    }
}
