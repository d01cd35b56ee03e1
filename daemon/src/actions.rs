//! Who asked for what: a record of each request that is to change something.
//!
//! Invariant: a request is recorded before it is carried out, so that one which ended cowd is known too (a loss of power may
//! take the last records); records are bounded by number and age; and none holds more of a request than its names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cow_api::time::Time;
use cow_api::v1::{self, Problem};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::state::{Edit, Record, State};

/// Most records that go for their age when one comes.
const OLD_AT_ONCE_MAX: usize = 100;

/// How many records there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At once.
    pub kept: u64,
    /// How old.
    pub age: Duration,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// By whom.
    pub who: String,
    /// What, in the imperative.
    pub what: String,
    /// Method and path.
    pub request: String,
    /// Names that were given.
    pub details: BTreeMap<String, String>,
}

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of those in whose name this is.
    pub who: Option<String>,
    /// In whose act, request or names this is.
    pub about: Option<String>,
    /// That began this job.
    pub job: Option<u64>,
    /// Not older.
    pub since: Option<Time>,
    /// Only what was not done.
    pub is_failed: bool,
    /// At most so many, the newest.
    pub count: usize,
}

/// The record of an action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Recorded {
    /// What tells it from others of the same nanosecond.
    number: u64,
    action: v1::Action,
}

impl Record for Recorded {
    const TABLE: &'static str = "action";
    const NOUN: &'static str = "action";

    fn key(&self) -> String {
        format!("{} {}", self.action.at, self.number)
    }
}

/// All records.
pub struct Actions {
    state: Arc<State>,
    limits: Limits,
    count: AtomicU64,
}

impl Actions {
    /// Those that are in the state.
    pub fn new(state: Arc<State>, limits: Limits) -> Self {
        Self { state, limits, count: AtomicU64::new(0) }
    }

    /// Records that something is asked for. Returns its number; nothing where it cannot be written down, which keeps
    /// nobody from what makes room again.
    pub fn begin(&self, asked: Asked) -> Option<u64> {
        self.insert(asked, |_| ())
    }

    /// Records what came of it: nothing or a job, or why not.
    pub fn end(&self, id: u64, outcome: Result<Option<u64>, &Problem>) {
        let ended = self.state.note(|edit| {
            let mut row = edit.get::<Recorded>(id)?;
            conclude(&mut row.record.action, outcome);
            edit.update(id, &row.record)
        });
        if let Err(problem) = ended {
            tracing::error!(action = id, %problem, "cannot record what came of an action");
        }
    }

    /// Records both at once.
    pub fn record(&self, asked: Asked, outcome: Result<Option<u64>, &Problem>) {
        self.insert(asked, |action| conclude(action, outcome));
    }

    fn insert(&self, asked: Asked, change: impl FnOnce(&mut v1::Action)) -> Option<u64> {
        let Asked { who, what, request, details } = asked;
        let (at, number) = (clock::time(clock::now()), self.count.fetch_add(1, Ordering::Relaxed));
        let mut action = v1::Action {
            id: 0,
            at,
            who,
            what,
            request,
            details,
            is_done: None,
            code: None,
            problem: None,
            ended: None,
            job: None,
            job_state: None,
        };
        change(&mut action);
        let written = self.state.note(|edit| {
            let id = edit.insert(&Recorded { number, action })?;
            self.forget(edit, id, at)?;
            Ok(id)
        });
        written.inspect_err(|problem| tracing::error!(%problem, "cannot record an action")).ok()
    }

    /// Forgets what is too much or too old, when the record of that number has come.
    fn forget(&self, edit: &Edit<'_>, newest: u64, now: Time) -> Result<(), Problem> {
        edit.remove_up_to::<Recorded>(newest.saturating_sub(self.limits.kept))?;
        let age = i64::try_from(self.limits.age.as_secs()).unwrap_or(i64::MAX);
        let horizon = Time { seconds: now.seconds.saturating_sub(age), ..now };
        for _ in 0..OLD_AT_ONCE_MAX {
            match edit.first::<Recorded>()? {
                Some(row) if row.record.action.at < horizon => edit.remove::<Recorded>(row.id)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// The records that are wanted, the newest first.
    pub fn list(&self, wanted: &Wanted) -> Result<v1::Actions, Problem> {
        let rows = self.state.read(|view| view.all::<Recorded>())?;
        let actions = rows.into_iter().rev().map(|row| v1::Action { id: row.id, ..row.record.action });
        Ok(v1::Actions { actions: actions.filter(|action| wanted.has(action)).take(wanted.count).collect() })
    }
}

impl Wanted {
    fn has(&self, action: &v1::Action) -> bool {
        let about = |text: &String| {
            let names = action.details.values().chain([&action.what, &action.request]);
            names.into_iter().any(|name| name.contains(text.as_str()))
        };
        self.who.as_ref().is_none_or(|who| action.who.contains(who.as_str()))
            && self.about.as_ref().is_none_or(about)
            && self.job.is_none_or(|job| action.job == Some(job))
            && self.since.is_none_or(|since| action.at >= since)
            && (!self.is_failed || action.is_done != Some(true))
    }
}

fn conclude(action: &mut v1::Action, outcome: Result<Option<u64>, &Problem>) {
    action.ended = Some(clock::time(clock::now()));
    action.is_done = Some(outcome.is_ok());
    match outcome {
        Ok(job) => action.job = job,
        Err(problem) => (action.code, action.problem) = (Some(problem.code), Some(problem.detail.clone())),
    }
}

#[cfg(test)]
mod tests {
    use cow_api::v1::Code;

    use super::*;

    struct Scratch(std::path::PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn records_are_bounded_and_found_by_what_they_say() {
        let scratch = Scratch(format!("/dev/shm/cow-actions-{}", std::process::id()).into());
        let state = Arc::new(State::open(&scratch.0).unwrap());
        let limits = Limits { kept: 10, age: Duration::from_hours(1) };
        let actions = Actions::new(state.clone(), limits);
        let asked = |number: u64| Asked {
            who: if number.is_multiple_of(2) { "uid 0" } else { "policy x" }.to_owned(),
            what: "Destroy".to_owned(),
            request: format!("DELETE /v1/datasets/{number}"),
            details: BTreeMap::new(),
        };
        let problem = Problem::new(Code::Held, "it is held");
        for number in 0..25 {
            let outcome = if number % 3 == 0 { Err(&problem) } else { Ok(Some(number)) };
            if number % 5 == 0 {
                actions.record(asked(number), outcome);
            } else {
                let id = actions.begin(asked(number)).unwrap();
                if number != 23 {
                    actions.end(id, outcome);
                }
            }
        }
        let all = Wanted { count: 100, ..Wanted::default() };
        let numbers = |wanted: &Wanted| -> Vec<u64> {
            let found = actions.list(wanted).unwrap().actions;
            found.iter().map(|action| action.request.rsplit('/').next().unwrap().parse().unwrap()).collect()
        };
        assert_eq!(numbers(&all), (15..25).rev().collect::<Vec<_>>());
        assert_eq!(numbers(&Wanted { count: 2, ..all.clone() }), [24, 23]);
        assert_eq!(numbers(&Wanted { who: Some("policy".to_owned()), ..all.clone() }), [23, 21, 19, 17, 15]);
        assert_eq!(numbers(&Wanted { about: Some("/20".to_owned()), ..all.clone() }), [20]);
        assert_eq!(numbers(&Wanted { job: Some(22), ..all.clone() }), [22]);
        assert_eq!(numbers(&Wanted { is_failed: true, ..all.clone() }), [24, 23, 21, 18, 15]);
        let (first, newest) = (actions.list(&all).unwrap().actions[9].clone(), clock::time(clock::now()));
        assert_eq!(
            (first.is_done, first.code, first.problem.as_deref()),
            (Some(false), Some(Code::Held), Some("it is held"))
        );
        assert_eq!(numbers(&Wanted { since: Some(newest), ..all.clone() }), Vec::<u64>::new());
        // An hour later all that is old goes, as soon as there is something new.
        let later = Actions::new(state, Limits { age: Duration::ZERO, ..limits });
        later.record(asked(30), Ok(None));
        assert_eq!(numbers(&all), [30]);
    }
}
