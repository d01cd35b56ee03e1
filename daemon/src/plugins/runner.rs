//! Calls operations of plugins, each in a fresh Python process.

use std::path::PathBuf;
use std::time::Duration;

use crate::plugins::{Call, Control, Failure, Language, Library, Package, Reply};

/// How plugins are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory where the Python host, virtual environments and plugins are kept.
    pub directory: PathBuf,
    /// The interpreters, for languages that have one.
    pub interpreters: Vec<(Language, PathBuf)>,
    /// How long an operation may take.
    pub timeout: Duration,
    /// Bytes of memory that a plugin's process may have.
    pub memory: u64,
}

/// Who calls operations: the [`Runner`], or a test in its place.
pub trait Caller: Send + Sync {
    /// Calls an operation and waits for its answer. It is refused when the package does not have it.
    fn call(
        &self,
        package: &Package,
        call: &Call,
        library: &dyn Library,
        control: &dyn Control,
    ) -> Result<Reply, Failure>;
}

/// Runs plugins.
pub struct Runner {
    settings: Settings,
}

impl Runner {
    /// A runner; nothing is run yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Caller for Runner {
    fn call(&self, package: &Package, call: &Call, _: &dyn Library, _: &dyn Control) -> Result<Reply, Failure> {
        if let Some(operation) = call.operation().filter(|operation| !package.has(*operation)) {
            return Err(Failure::Missing { operation });
        }
        let message = format!("plugins cannot be run in {} yet", self.settings.directory.display());
        Err(Failure::Start { message })
    }
}
