//! Why a command did not do what it was told.

use std::io;

use cow_api::v1::{Code, Problem};

/// Why a command did not do what it was told.
#[derive(Debug)]
pub enum Failure {
    /// A problem, the daemon's or ours, that is still to be told.
    Problem(Box<Problem>),
    /// Everything was told already: only the exit code is left.
    Told(u8),
    /// Whoever read our output has enough of it, which is success.
    BrokenPipe,
}

impl Failure {
    /// A command line that makes no sense.
    pub fn usage(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem::new(Code::InvalidRequest, detail).with_hint(hint).into()
    }

    /// Something that was done ended like this.
    pub fn problem(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// What a command that failed like this exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Problem(problem) => problem.code.exit_code(),
            Self::Told(code) => *code,
            Self::BrokenPipe => 0,
        }
    }

    /// Our output could not be written.
    pub fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::BrokenPipe;
        }
        Self::problem(Code::Io, format!("cannot write the output: {error}"))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}
