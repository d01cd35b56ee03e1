//! What is remembered of an environment.

use cow_api::time::Time;
use cow_api::v1::{CredentialKind, NewCredential};
use serde::{Deserialize, Serialize};

use crate::hosts::{Credential, Facts, Target};
use crate::secrets::{Key, OpenError, Secret};
use crate::state::Record;

/// What is remembered of an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentRecord {
    /// Its name.
    pub name: String,
    /// The host's name or address.
    pub address: String,
    /// Where its sshd listens.
    pub port: u16,
    /// Who works there; the first where nobody is named.
    pub users: Vec<UserRecord>,
    /// How many users there ever were.
    pub users_made: u64,
    /// The host's key.
    pub host_key: String,
    /// The directory for what is brought along.
    pub toolkit: String,
    /// Names it for ever, also among other engines.
    pub guid: String,
    /// What was found there.
    pub facts: Facts,
    /// When.
    pub checked: Time,
}

/// A user of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its name.
    pub name: String,
    /// 1 for the environment's first.
    pub number: u64,
    /// How it comes in.
    pub kind: CredentialKind,
    /// What proves to be it, sealed for this user of this environment.
    pub sealed: String,
}

impl Record for EnvironmentRecord {
    const TABLE: &'static str = "environment";
    const NOUN: &'static str = "environment";

    fn key(&self) -> String {
        self.name.clone()
    }
}

impl EnvironmentRecord {
    /// A user with its credential sealed.
    pub fn new_user(&mut self, name: &str, credential: &NewCredential, key: &Key) -> std::io::Result<UserRecord> {
        let (kind, text) = match credential {
            NewCredential::Password { password } => (CredentialKind::Password, password),
            NewCredential::Key { private_key } => (CredentialKind::Key, private_key),
        };
        let sealed = key.seal(&Secret::new(text.0.as_str()), &context(&self.guid, name))?;
        self.users_made += 1;
        Ok(UserRecord { name: name.to_owned(), number: self.users_made, kind, sealed })
    }

    /// The host as one of its users sees it.
    pub fn target(&self, id: u64, user: &UserRecord, key: &Key) -> Result<Target, OpenError> {
        let secret = key.open(&user.sealed, &context(&self.guid, &user.name))?;
        let credential = match user.kind {
            CredentialKind::Password => Credential::Password(secret),
            CredentialKind::Key => Credential::PrivateKey(secret),
        };
        Ok(Target {
            environment: id,
            name: self.name.clone(),
            address: self.address.clone(),
            port: self.port,
            user: user.name.clone(),
            credential,
            host_key: Some(self.host_key.clone()),
            toolkit: self.toolkit.clone(),
            toolkit_id: self.guid.clone(),
        })
    }
}

/// What a credential is sealed for.
fn context(guid: &str, user: &str) -> String {
    format!("environment/{guid}/user/{user}")
}
