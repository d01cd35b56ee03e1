//! Hooks at work: a recipe runs those of a point.
//!
//! Invariant: once the hooks of a point have run that others are to undo, those others run whatever happens: also when
//! the job is cancelled, and, as the journal has it, when cowd is killed.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cow_api::v1::{Code, JobLevel, Problem};

use crate::plugins::Script;
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::act::Act;
use crate::virtualization::outside::IsCancelled;
use crate::virtualization::records::{Hook, HookPoint};
use crate::virtualization::run::Run;

/// So long may a hook take that runs whatever happened, from when nobody could end it otherwise.
const UNWANTED_TIME_MAX: Duration = Duration::from_mins(10);

/// What came of hooks that run whatever happened.
enum Ended {
    /// They ran; the first of them that failed, if one did.
    Ran(Answer<()>),
    /// Not all could be run, as a host does not answer.
    NotRun(Problem),
}

impl Run<'_> {
    /// Runs the hooks of a point, up to the first that fails.
    pub fn hook(&self, at: HookPoint) -> Answer<()> {
        self.hooks(at)?.iter().try_for_each(|hook| {
            self.step(said(hook))?;
            self.run_hook(hook, self.job.is_cancelled)?
        })
    }

    /// Works between the hooks of two points, of which the second run whatever happened. What failed first is told.
    pub fn between<T>(
        &mut self,
        (before, after): (HookPoint, HookPoint),
        work: impl FnOnce(&mut Self) -> Answer<T>,
    ) -> Answer<T> {
        let promise = match self.hooks(after)?.is_empty() {
            true => None,
            false => Some(self.job.journal.promise(Act::Hooks { source: self.id, at: after })?),
        };
        let begun = self.hook(before);
        let is_begun = begun.is_ok();
        let outcome = begun.and_then(|()| work(self));
        let (ended, is_owed) = match self.hook_anyway(after, self.job.is_cancelled) {
            Ended::Ran(ended) => (ended, false),
            Ended::NotRun(problem) => (Err(problem), is_begun),
        };
        let withdrawn = promise.filter(|_| !is_owed).map_or(Ok(()), |promise| self.job.journal.withdraw(promise));
        let done = outcome?;
        ended.and(withdrawn).map(|()| done)
    }

    /// Runs the hooks of a point for a job that can run them no more. One that fails has run; one that cannot be run is
    /// still owed.
    pub fn hook_owed(&self, at: HookPoint) -> Answer<()> {
        match self.hook_anyway(at, &|| true) {
            Ended::Ran(outcome) => {
                outcome.unwrap_or_else(|problem| self.job.ticket.note(JobLevel::Error, problem.detail));
                Ok(())
            }
            Ended::NotRun(problem) => Err(problem),
        }
    }

    /// Runs all hooks of a point, also if one fails. From when the job `is_unwanted` they have some minutes each.
    fn hook_anyway(&self, at: HookPoint, is_unwanted: IsCancelled<'_>) -> Ended {
        let hooks = match self.hooks(at) {
            Ok(hooks) => hooks,
            Err(problem) => return Ended::NotRun(problem),
        };
        let mut first = Ok(());
        for hook in hooks {
            self.job.ticket.step(said(&hook));
            let since = OnceLock::new();
            let is_late = || is_unwanted() && since.get_or_init(Instant::now).elapsed() >= UNWANTED_TIME_MAX;
            let outcome = match self.run_hook(&hook, &is_late) {
                Ok(outcome) => outcome,
                Err(problem) if problem.code == Code::Cancelled => Err(self.late(&hook)),
                Err(problem) => return Ended::NotRun(problem),
            };
            first = first.and(outcome);
        }
        Ended::Ran(first)
    }

    fn hooks(&self, at: HookPoint) -> Answer<Vec<Hook>> {
        let hooks = self.job.on.state.read(|view| view.owned::<Hook>(self.id))?;
        Ok(hooks.into_iter().map(|Row { record, .. }| record).filter(|hook| hook.at == at).collect())
    }

    /// Runs a hook. The inner answer is its own.
    fn run_hook(&self, hook: &Hook, is_cancelled: IsCancelled<'_>) -> Answer<Answer<()>> {
        let command = self.job.on.unseal(&hook.script)?;
        let script = Script {
            connection: self.connection(hook.place.as_ref().unwrap_or(&self.source.place))?,
            command: command.as_str().unwrap_or_default().to_owned(),
            ..Script::default()
        };
        let output = self.job.on.ground.run(&script, is_cancelled)?;
        for text in [&output.stdout, &output.stderr].into_iter().filter(|text| !text.is_empty()) {
            self.job.ticket.note(JobLevel::Info, text.trim_end());
        }
        if output.exit_code == 0 {
            return Ok(Ok(()));
        }
        let detail = format!("hook {} of {} exited with {}", hook.name, self.source.name, output.exit_code);
        Ok(Err(Problem::new(Code::Conflict, detail).with_hint("the job's log has what it printed")))
    }

    fn late(&self, hook: &Hook) -> Problem {
        let minutes = UNWANTED_TIME_MAX.as_secs() / 60;
        let detail = format!("hook {} of {} was ended after {minutes} minutes", hook.name, self.source.name);
        Problem::new(Code::Conflict, detail).with_hint("look on its host whether what it was to undo is undone")
    }
}

fn said(hook: &Hook) -> String {
    format!("hook {} ({})", hook.name, hook.at.as_str())
}
