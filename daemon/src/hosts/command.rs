//! What is asked of a host, and what comes of it.

use std::time::Duration;

use crate::hosts::HostError;
use crate::jobs::Ticket;

/// A text for bash on a host.
#[derive(Clone, Default)]
pub struct Command {
    /// What bash is to do. It may hold anything but NUL.
    pub text: String,
    /// Variables that it finds set. They are exported as far as the host's kernel lets a program have them: a longer one than
    /// 100,000 bytes is set but not exported.
    pub variables: Vec<(String, String)>,
    /// Whether the user's profile is read first.
    pub use_login_shell: bool,
    /// What it reads; nothing by default.
    pub input: Vec<u8>,
    /// Longest that it may take; `None` waits for ever.
    pub time_max: Option<Duration>,
}

impl Command {
    /// A text without anything else.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The same with one variable more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The same, ended when it takes longer.
    #[must_use]
    pub fn within(self, time_max: Duration) -> Self {
        Self { time_max: Some(time_max), ..self }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; 128 and more for a signal, as bash has it.
    pub exit_code: i32,
    /// What it wrote to stdout until it ended.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr until it ended.
    pub stderr: Vec<u8>,
}

/// What says that a call shall end before its time.
pub trait Control: Sync {
    /// Whether it shall; asked several times a second.
    fn is_cancelled(&self) -> bool;

    /// Hears that so many bytes of a tree have been copied, now and then.
    fn copied(&self, _bytes: u64) {}
}

impl Control for Ticket {
    fn is_cancelled(&self) -> bool {
        Self::is_cancelled(self)
    }
}

/// Never ends a call.
pub struct Patient;

impl Control for Patient {
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What a call on a host answers.
pub type Outcome<T> = Result<T, HostError>;
