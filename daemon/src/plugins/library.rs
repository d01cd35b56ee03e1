//! What a running plugin may ask of the engine: the seven library functions.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::plugins::Connection;

/// A command for a host.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Where, and as whom. Its environment's reference alone counts.
    pub connection: Connection,
    /// The script itself. It may hold secrets.
    pub command: String,
    /// Its environment variables. They may hold secrets, and megabytes.
    pub variables: BTreeMap<String, String>,
    /// Whether bash is a login shell. Only `run_bash` has one.
    pub use_login_shell: bool,
}

/// Scripts hold secrets, so they show only how long they are.
impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.variables.keys().collect();
        f.debug_struct("Script")
            .field("environment", &self.connection.environment.reference)
            .field("user", &self.connection.user.name)
            .field("command_len", &self.command.len())
            .field("variables", &names)
            .field("use_login_shell", &self.use_login_shell)
            .finish()
    }
}

/// How a script ended. A code other than 0 is no error here: the plugin decides.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ScriptOutput {
    /// What it exited with.
    pub exit_code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed of errors.
    pub stderr: String,
}

/// Files to be fetched into the dSource that is being synced.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sync {
    /// From where, and as whom.
    pub connection: Connection,
    /// The directory there.
    pub source_directory: String,
    /// Who reads it, where that is not the connection's user.
    pub rsync_user: Option<String>,
    /// What is left out.
    pub exclude_paths: Vec<String>,
    /// Links that are followed instead of copied.
    pub sym_links_to_follow: Vec<String>,
}

/// How much a line of a plugin's log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever writes the plugin.
    Debug,
    /// For whoever runs it.
    Info,
    /// Something is wrong. Python's warnings arrive as this too.
    Error,
}

/// What a credentials supplier gives.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A password.
    Password(String),
    /// An ssh key pair.
    KeyPair {
        /// The private half.
        private_key: String,
        /// The public half; may be empty.
        public_key: String,
    },
}

/// A user and how it proves itself. Neither is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The proof.
    pub secret: Secret,
}

/// Why a library function failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// The plugin may catch it, and try again or fail in its own words.
    #[error("{message}")]
    Actionable {
        /// The kind of error.
        id: i32,
        /// What went wrong.
        message: String,
    },
    /// The plugin cannot do anything: it ends at once, and this is why the operation failed.
    #[error("{message}")]
    NonActionable {
        /// What went wrong; the plugin does not see it.
        message: String,
    },
}

/// The seven library functions, for one operation of one plugin. They are called from the runner's threads, one at a
/// time unless the plugin has threads of its own, and should return soon after the operation is cancelled.
pub trait Library: Send + std::marker::Sync {
    /// Runs bash as the environment's user, from its home.
    fn run_bash(&self, script: &Script) -> Result<ScriptOutput, LibraryError>;
    /// Runs expect (Tcl).
    fn run_expect(&self, script: &Script) -> Result<ScriptOutput, LibraryError>;
    /// Runs PowerShell, on hosts that have it.
    fn run_powershell(&self, script: &Script) -> Result<ScriptOutput, LibraryError>;
    /// Fetches files into the dSource.
    fn run_sync(&self, sync: &Sync) -> Result<(), LibraryError>;
    /// A line of the plugin's log, or of what it printed. Without control characters but line ends.
    fn log(&self, level: Level, message: &str);
    /// What a credentials supplier, an object of the plugin's parameters, gives.
    fn retrieve_credentials(&self, supplier: &Map<String, Value>) -> Result<Credentials, LibraryError>;
    /// A credentials supplier that gives this password from now on. Only migrations ask for it.
    fn upgrade_password(&self, password: &str, username: Option<&str>) -> Result<Map<String, Value>, LibraryError>;
}

/// What the runner asks about the job that it works for.
pub trait Control: Send + std::marker::Sync {
    /// Whether the operation shall stop: the plugin's processes are ended then.
    fn is_cancelled(&self) -> bool;
}
