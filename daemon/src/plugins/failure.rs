//! Why an operation of a plugin failed, and how that is told.
//!
//! Invariant: what a plugin's author wrote for users reaches them as it is: message, action and output; everything
//! else says whose mistake it is.

use std::time::Duration;

use cow_api::v1::{Code, Problem};

use crate::plugins::Operation;

/// Most bytes of a plugin's texts in a problem.
const TEXT_LEN_MAX: usize = 128 << 10;

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The plugin told the user what is wrong.
    User {
        /// What is wrong.
        message: String,
        /// What to do about it; may be empty.
        action: String,
        /// What it printed; may be empty.
        output: String,
    },
    /// The plugin's code failed: an exception that it did not catch, or one of the SDK's checks.
    Plugin {
        /// What is wrong with it.
        kind: PluginFault,
        /// The exception's text.
        message: String,
        /// Where it was raised.
        stack: String,
    },
    /// The plugin ended because a library function failed for good.
    Library {
        /// Why that failed.
        message: String,
    },
    /// The plugin has no such operation.
    Missing {
        /// The operation.
        operation: Operation,
    },
    /// It took too long, and was ended.
    Timeout {
        /// How long it may take.
        limit: Duration,
    },
    /// The job was cancelled, and the plugin's processes ended.
    Cancelled,
    /// Its process ended without an answer.
    Died {
        /// The signal, or the exit code.
        how: String,
        /// What it printed last.
        output: String,
    },
    /// It needed more memory than it may have.
    Memory {
        /// Bytes it may have.
        limit: u64,
    },
    /// Arguments or answer are larger than they may be.
    TooLarge {
        /// What is.
        what: &'static str,
        /// Bytes it may have.
        limit: usize,
    },
    /// The answer is not what the plugin's schema says.
    Schema {
        /// Where, and what is wrong.
        message: String,
    },
    /// Its interpreter or virtual environment is not there.
    NotSetUp {
        /// What is missing.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It could not be started.
    Start {
        /// Why.
        message: String,
    },
    /// The Python host and the daemon do not understand each other: a mistake of ours.
    Protocol {
        /// What was not understood.
        detail: String,
    },
}

/// What is wrong with a plugin's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginFault {
    /// An exception that it did not catch.
    Exception,
    /// An operation returned something of a wrong type, or the SDK's own classes were used wrongly.
    Runtime,
    /// Its data does not fit its schema: a required parameter is missing, or one is of a wrong type.
    Definition,
    /// It did not catch the error of a library function.
    LibraryError,
    /// It called `exit` itself.
    Exit,
    /// It could not be imported.
    Import,
}

impl Failure {
    /// The problem that it is; `act` names what was being done, as `start of VDB sales`.
    pub fn problem(&self, act: &str) -> Problem {
        match self {
            Self::User { message, action, output } => {
                let problem = with_more(plugin(act, message), output);
                if action.is_empty() { problem } else { problem.with_hint(action) }
            }
            Self::Plugin { kind, message, stack } => {
                let problem = with_more(plugin(act, &format!("{}: {message}", kind.describe())), stack);
                problem.with_hint("this is a mistake in the plugin: its author needs the output")
            }
            Self::Library { message } => plugin(act, message),
            Self::Missing { operation } => {
                Problem::new(Code::Unsupported, format!("{act}: the plugin has no operation {operation}"))
                    .with_hint("'cowctl plugin show' lists what it can do")
            }
            Self::Timeout { limit } => plugin(act, &format!("it took longer than {} s and was ended", limit.as_secs()))
                .with_hint("plugins.timeout in cowd's configuration says how long it may take"),
            Self::Cancelled => Problem::new(Code::Cancelled, format!("{act}: cancelled; the plugin was ended")),
            Self::Died { how, output } => {
                with_more(plugin(act, &format!("the plugin's process ended without an answer: {how}")), output)
            }
            Self::Memory { limit } => plugin(act, &format!("the plugin needs more than {} MiB of memory", limit >> 20))
                .with_hint("plugins.memory in cowd's configuration says how much it may have"),
            Self::TooLarge { what, limit } => plugin(act, &format!("{what} takes more than {} KiB", limit >> 10)),
            Self::Schema { message } => plugin(act, &format!("the plugin's answer does not fit its schema: {message}"))
                .with_hint("this is a mistake in the plugin"),
            Self::NotSetUp { message, hint } => {
                Problem::new(Code::Unavailable, format!("{act}: {message}")).with_hint(hint)
            }
            Self::Start { message } => Problem::new(Code::Unavailable, format!("{act}: {message}")),
            Self::Protocol { detail } => Problem::new(Code::Internal, format!("{act}: {detail}")),
        }
    }
}

/// A detail is one line: of a longer text the first line stands there, and all of it in the output.
fn plugin(act: &str, why: &str) -> Problem {
    let why = why.trim();
    match why.split_once('\n') {
        None => Problem::new(Code::PluginFailed, format!("{act}: {why}")),
        Some((first, _)) => Problem::new(Code::PluginFailed, format!("{act}: {}", first.trim_end())).with_output(why),
    }
}

/// The same problem, with more output after what it has.
fn with_more(problem: Problem, output: &str) -> Problem {
    let output = match &problem.output {
        Some(before) if !output.is_empty() => format!("{before}\n{output}"),
        Some(before) => before.to_string(),
        None => output.to_owned(),
    };
    problem.with_output(cut(&output))
}

/// The text, or as much of it as may be told.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_LEN_MAX)]
}

impl PluginFault {
    /// What is wrong, in front of the exception's own text.
    fn describe(self) -> &'static str {
        match self {
            Self::Exception => "the plugin raised an exception",
            Self::Runtime => "the plugin uses the SDK wrongly",
            Self::Definition => "the plugin's data does not fit its schema",
            Self::LibraryError => "a library function failed",
            Self::Exit => "the plugin ended itself",
            Self::Import => "the plugin cannot be imported",
        }
    }
}
