//! Policies: what is done with sources again and again, and which snapshots are kept of it.
//!
//! A policy orders what a user could order, and no more: what it begins are the same jobs.

mod record;
mod retention;
mod scheduler;

use std::sync::Arc;

use cow_api::v1::{self, Code, JobKind, NewPolicy, PolicyChange, PolicyKind, Problem, SourceOrder, SourceRun};
use serde_json::Value;

use crate::clock;
use crate::plugins::{SchemaKind, schema};
use crate::service::Answer;
use crate::state::{Edit, Row};
use crate::virtualization::Virtualization;
use crate::virtualization::recipes;
use crate::virtualization::records::{Fault, Source};
use crate::virtualization::sources::check_name;

pub use crate::virtualization::policies::record::Policy;
pub use crate::virtualization::policies::retention::Plan;
pub use crate::virtualization::policies::scheduler::{Clock, Scheduler};

impl Virtualization {
    /// All policies.
    pub fn policies(&self) -> Answer<v1::Policies> {
        let rows = self.state.read(|view| view.all::<Policy>())?;
        Ok(v1::Policies { policies: rows.iter().map(|row| self.shown_policy(&row.record)).collect::<Answer<_>>()? })
    }

    /// A policy.
    pub fn policy(&self, name: &str) -> Answer<v1::Policy> {
        self.shown_policy(&self.state.read(|view| view.named::<Policy>(name))?.record)
    }

    fn shown_policy(&self, policy: &Policy) -> Answer<v1::Policy> {
        let sources = self.state.read(|view| view.all::<Source>())?;
        let name = |id: &u64| sources.iter().find(|row| row.id == *id).map(|row| row.record.name.clone());
        // A zone that the host has lost since is told where it is run.
        let next = policy.times().ok().and_then(|(cron, zone)| cron.next_after(&zone, policy.since));
        Ok(v1::Policy {
            name: policy.name.clone(),
            kind: policy.kind,
            schedule: policy.schedule.clone(),
            zone: policy.zone.clone(),
            keep: (policy.kind == PolicyKind::Retention).then_some(policy.keep),
            has_snapshot_parameters: policy.snapshot_parameters.is_some(),
            is_enabled: policy.is_enabled,
            sources: policy.sources.iter().filter_map(name).collect(),
            last: policy.last,
            next: next.filter(|_| policy.is_enabled),
        })
    }

    /// Adds a policy.
    pub fn add_policy(&self, new: &NewPolicy) -> Answer<v1::Policy> {
        check_name("policy", &new.name)?;
        let mut policy = Policy {
            name: new.name.clone(),
            kind: new.kind,
            schedule: new.schedule.clone(),
            zone: new.zone.clone().unwrap_or_else(|| "UTC".to_owned()),
            keep: new.keep.unwrap_or_default(),
            snapshot_parameters: new.snapshot_parameters.as_ref().map(|value| self.seal(value)).transpose()?,
            is_enabled: true,
            sources: Vec::new(),
            pending: Vec::new(),
            last: None,
            since: clock::time(clock::now()),
        };
        policy.check()?;
        for name in &new.sources {
            self.apply(&mut policy, name)?;
        }
        self.state.write(|edit| {
            check_alone(edit, &policy)?;
            edit.insert(&policy)
        })?;
        self.schedules.ring();
        self.shown_policy(&policy)
    }

    /// Changes a policy. A new schedule counts from now on.
    pub fn set_policy(&self, name: &str, change: &PolicyChange) -> Answer<v1::Policy> {
        let Row { id, record: before } = self.state.read(|view| view.named::<Policy>(name))?;
        let mut policy = before.clone();
        let PolicyChange { schedule, zone, keep, snapshot_parameters, is_enabled, apply, unapply } = change;
        policy.schedule = schedule.clone().unwrap_or(policy.schedule);
        policy.zone = zone.clone().unwrap_or(policy.zone);
        policy.keep = keep.unwrap_or(policy.keep);
        if let Some(value) = snapshot_parameters {
            policy.snapshot_parameters = Some(self.seal(value)?);
        }
        policy.is_enabled = is_enabled.unwrap_or(policy.is_enabled);
        policy.check()?;
        // What was missed while it was off, or by the schedule before, is not made up for.
        if (&policy.schedule, &policy.zone, policy.is_enabled) != (&before.schedule, &before.zone, before.is_enabled) {
            policy.since = clock::time(clock::now());
        }
        for name in unapply {
            let source = self.state.read(|view| view.named::<Source>(name))?;
            policy.sources.retain(|applied| *applied != source.id);
            self.mend(&policy.fault(name))?;
        }
        for name in apply {
            self.apply(&mut policy, name)?;
        }
        if let Some(value) = snapshot_parameters {
            self.check_parameters(&policy, value)?;
        }
        self.state.write(|edit| {
            let now = edit.get::<Policy>(id)?.record;
            // The scheduler may have run it meanwhile.
            (policy.last, policy.since) = (now.last, policy.since.max(now.since));
            let is_due = |source: &u64| policy.is_enabled && policy.sources.contains(source);
            policy.pending = now.pending.into_iter().filter(is_due).collect();
            check_alone(edit, &policy)?;
            edit.update(id, &policy)
        })?;
        self.schedules.ring();
        self.shown_policy(&policy)
    }

    /// Removes a policy. What it began goes on.
    pub fn remove_policy(&self, name: &str) -> Answer<v1::Policy> {
        let row = self.state.read(|view| view.named::<Policy>(name))?;
        let shown = self.shown_policy(&row.record)?;
        self.state.write(|edit| {
            let (own, prefix) = (format!("policy {name}"), row.record.fault(""));
            let is_its = |subject: &str| subject == own || subject.starts_with(&prefix);
            let faults = edit.all::<Fault>()?.into_iter();
            faults
                .filter(|fault| is_its(&fault.record.subject))
                .try_for_each(|fault| edit.remove::<Fault>(fault.id))?;
            edit.remove::<Policy>(row.id)
        })?;
        Ok(shown)
    }

    fn apply(&self, policy: &mut Policy, name: &str) -> Answer<()> {
        let row = self.made(name)?;
        let wanted = match policy.kind {
            PolicyKind::Sync => Some(false),
            PolicyKind::Snapshot | PolicyKind::Refresh => Some(true),
            PolicyKind::Retention => None,
        };
        if wanted.is_some_and(|is_virtual| is_virtual != row.record.is_virtual()) {
            let (kind, what) = (policy.kind.as_str(), row.record.describe());
            let problem = Problem::new(Code::InvalidRequest, format!("a {kind} policy cannot be applied to {what}"));
            return Err(problem.with_hint("dSources are synced, VDBs are refreshed and have snapshots taken"));
        }
        if policy.sources.contains(&row.id) {
            return Ok(());
        }
        policy.sources.push(row.id);
        match &policy.snapshot_parameters {
            Some(sealed) => self.check_parameters(policy, &self.unseal(sealed)?),
            None => Ok(()),
        }
    }

    /// Fails unless the plugin of each source takes these snapshot parameters.
    fn check_parameters(&self, policy: &Policy, parameters: &Value) -> Answer<()> {
        let sources = self.state.read(|view| view.all::<Source>())?;
        let mut applied = sources.iter().filter(|row| policy.sources.contains(&row.id));
        applied.try_for_each(|row| {
            let package = self.packages.package(&row.record.plugin)?;
            schema::check(&package, SchemaKind::SnapshotParameters, parameters)
        })
    }

    /// Runs a policy now, or says what that would do.
    pub fn run_policy(self: &Arc<Self>, name: &str, is_dry: bool) -> Answer<v1::PolicyRun> {
        let policy = self.state.read(|view| view.named::<Policy>(name))?.record;
        let names = self.shown_policy(&policy)?.sources;
        Ok(v1::PolicyRun { sources: names.iter().map(|source| self.run_on(&policy, source, is_dry)).collect() })
    }

    fn run_on(self: &Arc<Self>, policy: &Policy, name: &str, is_dry: bool) -> SourceRun {
        let mut run = SourceRun {
            source: name.to_owned(),
            what: format!("{} {name}", policy.kind.as_str()),
            job: None,
            problem: None,
            snapshots: Vec::new(),
            timeflows: Vec::new(),
        };
        let outcome = self.made(name).and_then(|row| {
            if policy.kind == PolicyKind::Retention {
                let needed = self.needed.lock().clone();
                let plan = self.plan(&row, policy, &needed)?;
                run.what = plan.describe(name);
                (run.snapshots, run.timeflows) = (plan.shown(), plan.timeflows());
            }
            if is_dry { Ok(()) } else { self.submit(policy, row).map(|job| run.job = Some(job)) }
        });
        run.problem = outcome.err();
        run
    }

    /// Begins what a policy does with a source.
    fn submit(self: &Arc<Self>, policy: &Policy, row: Row<Source>) -> Answer<v1::Job> {
        let name = row.record.name.clone();
        match policy.kind {
            PolicyKind::Sync => {
                let snapshot_parameters =
                    policy.snapshot_parameters.as_ref().map(|sealed| self.unseal(sealed)).transpose()?;
                self.order(&name, SourceOrder::Sync { snapshot_parameters })
            }
            PolicyKind::Snapshot => self.order(&name, SourceOrder::Snapshot),
            PolicyKind::Refresh => self.order(&name, SourceOrder::Refresh { to: None }),
            PolicyKind::Retention => {
                let policy = policy.clone();
                self.begin(JobKind::Retain, self.occupy(&row)?, move |run| recipes::retain(run, &policy).map(|()| None))
            }
        }
    }
}

/// Two grids for one source would leave what both keep: less than either says.
fn check_alone(edit: &Edit<'_>, policy: &Policy) -> Answer<()> {
    if policy.kind != PolicyKind::Retention {
        return Ok(());
    }
    let shares = |other: &Policy| {
        let is_other = other.kind == PolicyKind::Retention && other.name != policy.name;
        is_other && other.sources.iter().any(|source| policy.sources.contains(source))
    };
    match edit.all::<Policy>()?.into_iter().find(|row| shares(&row.record)) {
        None => Ok(()),
        Some(Row { record: other, .. }) => {
            let problem = Problem::new(Code::Conflict, format!("retention policy {} is applied there", other.name));
            Err(problem.with_hint("a source has one at most: unapply that one first"))
        }
    }
}
