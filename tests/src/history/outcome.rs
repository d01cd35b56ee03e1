//! Runs histories, and makes those that fail short.

use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::history::run::History;
use crate::history::{Figures, Program};

/// Runs that shortening a failed history takes, at most.
const TRIES_MAX: usize = 600;

thread_local! {
    /// What this thread's panics said, while they are not to be printed.
    static HUSHED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A history that went wrong.
#[derive(Debug)]
pub struct Failure {
    /// What to replay.
    pub program: Program,
    /// The step at which it failed.
    pub step: u64,
    /// What was wrong, and where that was found.
    pub message: String,
    /// The steps before it, the last ones.
    pub told: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails with {} steps:", self.program.seed, self.program.steps.len())?;
        self.told.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "{}", self.message)?;
        writeln!(f, "replay it with")?;
        write!(
            f,
            "COW_REPLAY={} cargo test -p cow-tests --test pool_history replayed -- --ignored --nocapture",
            self.program
        )
    }
}

/// Runs the history of a seed. One that fails is made as short as may be.
pub fn run(seed: u64, steps: u64) -> Result<Figures, Box<Failure>> {
    let failure = match replay(&Program::new(seed, steps)) {
        Ok((figures, _)) => return Ok(figures),
        Err(failure) => failure,
    };
    let first = Program::new(seed, failure.step.min(steps));
    let short = first.shrink(TRIES_MAX, |program| replay(program).is_err());
    Err(replay(&short).err().unwrap_or(failure))
}

/// Runs a program. Returns what happened in it, in numbers and in words.
pub fn replay(program: &Program) -> Result<(Figures, Vec<String>), Box<Failure>> {
    let mut history = History::new(program.seed);
    let outcome = hushed(|| history.run(&program.steps));
    match outcome {
        Ok(()) => Ok((history.figures(), history.told())),
        Err(message) => {
            let (step, told) = (history.step, history.told());
            // What a failed pool leaves may fail again.
            let _ = hushed(move || drop(history));
            Err(Box::new(Failure { program: program.clone(), step, message, told }))
        }
    }
}

/// Calls `act`; returns what a panic in it says, which is not printed.
fn hushed(act: impl FnOnce()) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_hushed = HUSHED.with_borrow_mut(|said| {
                let said = said.as_mut()?;
                if said.is_empty() {
                    *said = info.to_string();
                }
                Some(())
            });
            if is_hushed.is_none() {
                usual(info);
            }
        }));
    });
    HUSHED.set(Some(String::new()));
    let done = panic::catch_unwind(AssertUnwindSafe(act));
    let said = HUSHED.take().unwrap_or_default();
    done.map_err(|_| said)
}
