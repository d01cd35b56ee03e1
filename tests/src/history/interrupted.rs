//! A commit in whose middle calls are made, and perhaps all ends.

use std::sync::Arc;

use cow_storage::format::DatasetId;
use cow_storage::fs::FileSystem;
use cow_storage::media::Simulator;
use cow_storage::superblock::Superblock;

use crate::history::deed::Deed;
use crate::history::interlude::{Interlude, Planned};
use crate::history::run::History;
use crate::history::steps::Commits;
use crate::history::{Call, Verb};

/// A file of this size has no more to be logged than a log takes from one call.
const SYNCED_SIZE_MAX: u64 = 64 << 10;
/// Cues that a commit gives, at most.
const CUES_MAX: u64 = 6;

impl History {
    /// Commits, with calls of heads in the middle. Sometimes the process or the power ends right after them.
    pub fn interrupted_commit(&mut self) {
        self.tell("commit, and meanwhile".to_owned());
        let wait = if !self.draw.one_in(4) { 0 } else { self.draw.below(CUES_MAX) };
        let calls = self.plan_calls();
        let verb = if self.draw.one_in(4) { None } else { self.plan_verb(&calls) };
        let (pool, disk, now) = (self.pool.clone(), Arc::clone(&self.disk), self.now);
        let (answers, verb_answer, then) = (Vec::new(), None, None);
        self.cue.set(Interlude { pool, disk, wait, calls, answers, verb, now, verb_answer, then });
        let (cut, events) = (self.world.clone(), self.journal.begin_cut());
        let committed = self.pool.commit(self.now);
        let interlude = self.cue.take().expect("the cue leaves it there");
        committed.unwrap_or_else(|error| panic!("commit: {error:?}"));
        for (planned, answer) in interlude.calls.iter().zip(interlude.answers) {
            self.heed(planned.id, &planned.call, &planned.who, answer);
        }
        let commits = self.count_commits();
        if let (Some((verb, _)), Some((answer, took_commit))) = (&interlude.verb, interlude.verb_answer) {
            self.figures.passed += u64::from(took_commit && answer.is_ok());
            self.heed_verb(verb, answer, if took_commit { Commits::Some } else { Commits::None });
        }
        if let Some(then) = &interlude.then {
            self.check_slots(then, commits);
        }
        match interlude.then {
            Some(then) if self.draw.one_in(3) => {
                let power = self.draw.one_in(2);
                self.tell(format!("in the middle of that the {} ends", if power { "power" } else { "process" }));
                self.disk = Arc::new(then);
                self.reopen(power, Some(Deed::Commit(cut, events)));
            }
            _ if commits == Commits::Whole => {
                self.journal.end_cut(&cut, events);
                // What it has of heads that passed it may come twice only now.
                if self.draw.one_in(3) {
                    self.kill();
                }
            }
            _ => {}
        }
    }

    /// Whether the commit left the slot alone that was the newest in the middle of it.
    fn check_slots(&self, then: &Simulator, commits: Commits) {
        let numbers = |disk: &Simulator| -> Vec<u64> {
            let slots = Superblock::both(disk).unwrap_or_else(|error| panic!("read the superblock: {error:?}"));
            slots.into_iter().flatten().map(|slot| slot.commit).collect()
        };
        let newest = numbers(then).into_iter().max().expect("an open pool has a superblock");
        let now = numbers(&self.disk);
        let is_kept = now.contains(&newest) || now.iter().all(|number| *number > newest);
        assert!(commits != Commits::Whole || is_kept, "commit {newest} was overwritten: {now:?}");
    }

    /// Draws a verb, unless it is one that makes a dataset: that might wait for memory.
    fn plan_verb(&mut self, calls: &[Planned]) -> Option<(Verb, Vec<DatasetId>)> {
        let verb = match calls.last() {
            // What was called since the cut, so that its records are in the log before and after.
            Some(call) if self.draw.one_in(2) => {
                let name = self.world.datasets[&call.id].name.clone();
                Verb::Snapshot(vec![(name, format!("passing-{}", self.step))])
            }
            _ => self.draw.verb(&self.world, self.now),
        };
        if matches!(verb, Verb::Create { .. }) {
            return None;
        }
        let heads = verb.heads(&self.world);
        self.tell(format!("  {verb:?}, if it need not wait"));
        Some((verb, heads))
    }

    /// Draws small calls of some heads. What may take an inode's last name away comes last, if at all.
    fn plan_calls(&mut self) -> Vec<Planned> {
        let ids: Vec<_> = self.world.live_datasets().map(|(id, _)| id).collect();
        let mut calls: Vec<Planned> = Vec::new();
        for _ in 0..self.draw.below(8) {
            if ids.is_empty() || calls.last().is_some_and(|planned| planned.call.may_orphan()) {
                break;
            }
            let id = *self.draw.pick(&ids);
            let model = Arc::clone(&self.world.datasets[&id].files);
            let (call, mut who) = (self.draw.call(&model), self.draw.context(self.now));
            // A durable rename first syncs, and that may take a commit.
            who.durable &= !call.may_orphan();
            // A quota may count what waits to be erased, and a sync of what takes no changes takes a commit.
            let properties = &self.world.datasets[&id].properties;
            let is_plain = properties.quota.is_none() && !properties.readonly;
            let is_small = match &call {
                Call::Sync(inode) => model.attributes(*inode).is_ok_and(|found| found.size <= SYNCED_SIZE_MAX),
                call => call.is_small(),
            };
            if is_small && is_plain && !self.is_unknowable(&call, &model) {
                let files = self.handle(id);
                self.tell(format!("  {} durable {} {call:?}", self.world.datasets[&id].name, who.durable));
                calls.push(Planned { id, files, call, who });
            }
        }
        calls
    }
}
