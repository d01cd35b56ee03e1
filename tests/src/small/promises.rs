//! What a pool has promised, and so what a crash may leave.
//!
//! Invariant: what may be found is the state of the last promise or of one of the steps after it that the log has, in order.
//! Bytes that were written without a promise are in none of these states until their file was made durable, or committed.

use std::collections::BTreeSet;

use cow_storage::format::InodeNumber;

use crate::small::world::Files;
use crate::small::{Call, Step, World};

/// What a step was seen to come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// The number of the inode that it made.
    pub made: Option<InodeNumber>,
    /// Whether it committed something.
    pub committed: bool,
    /// Whether it committed everything.
    pub committed_all: bool,
}

#[derive(Clone)]
pub(super) struct Promises {
    /// What the pool shows.
    pub live: World,
    /// What a crash may leave, oldest first.
    pub states: Vec<World>,
    /// Files with bytes that nothing promises.
    unsynced: BTreeSet<(String, InodeNumber)>,
    /// The first of the states that is still possible when the step has returned.
    promised: usize,
}

impl Promises {
    /// Everything is durable.
    pub fn new(world: World) -> Self {
        Self { states: vec![world.clone()], live: world, unsynced: BTreeSet::new(), promised: 0 }
    }

    /// A step was done. Returns what a crash may leave in the middle of it.
    pub fn step(&mut self, step: &Step, outcome: &Outcome, time: i64) -> Vec<World> {
        let before = self.live.clone();
        self.live.act(step, outcome.made, time).expect("it was done");
        self.promised = 0;
        match step {
            Step::Call { .. } => self.call(step, &before, outcome, time),
            Step::Commit => self.commit_all(self.live.clone()),
            // There was nothing to give back.
            Step::Reclaim if !outcome.committed => {}
            _ => self.verb(step, &before, outcome, time),
        }
        let possible = self.states.clone();
        self.states.drain(..self.promised);
        possible
    }

    fn last(&self) -> World {
        self.states.last().expect("there is always one").clone()
    }

    /// Nothing before this state is possible once the step has returned.
    fn promise(&mut self, world: World) {
        self.states.push(world);
        self.promised = self.states.len() - 1;
    }

    fn commit_all(&mut self, world: World) {
        self.unsynced.clear();
        self.promise(world);
    }

    /// A commit of one head, as it is in a world.
    fn commit_head(&mut self, dataset: &str, world: &World) {
        let mut committed = self.last();
        committed.datasets.insert(dataset.to_owned(), world.datasets[dataset].clone());
        self.unsynced.retain(|(of, _)| of != dataset);
        self.promise(committed);
    }

    fn call(&mut self, step: &Step, before: &World, outcome: &Outcome, time: i64) {
        let Step::Call { dataset, call, durable } = step else { unreachable!("it is a call") };
        let files = &before.datasets[*dataset];
        if outcome.committed {
            // What is too much for the log is committed when it is written; what needs a commit otherwise needs it first.
            let is_written = matches!(call, Call::Write(..));
            let world = if is_written { self.live.clone() } else { before.clone() };
            match outcome.committed_all {
                true => self.commit_all(world),
                false => self.commit_head(dataset, &world),
            }
            if is_written {
                return;
            }
        }
        let synced = call.synced(&*files.model, *durable);
        if let Some(inode) = synced.filter(|inode| self.unsynced.remove(&((*dataset).to_owned(), *inode))) {
            let mut state = self.last();
            let head = state.datasets[*dataset].model.copy();
            files.model.save(inode).iter().for_each(|saved| head.restore(saved));
            state.datasets.insert((*dataset).to_owned(), Files::new(head));
            self.states.push(state);
        }
        if call.is_logged() {
            let mut state = self.last();
            // Where bytes were lost, a call may have nothing to do.
            if !state.punch_nothing(dataset, call, time) {
                let _ = state.act(step, outcome.made, time);
            }
            self.states.push(state);
        }
        if call.waits(*durable) {
            self.promised = self.states.len() - 1;
        }
        self.unsynced.extend(call.unsynced(&*files.model).map(|inode| ((*dataset).to_owned(), inode)));
    }

    fn verb(&mut self, step: &Step, before: &World, outcome: &Outcome, time: i64) {
        let mut state = if outcome.committed_all { before.clone() } else { self.last() };
        if let Step::Snapshot(dataset, _) | Step::Rewind(dataset, _) | Step::Destroy(dataset) = *step
            && let Some(files) = before.datasets.get(dataset)
        {
            state.datasets.insert(dataset.to_owned(), files.clone());
            self.unsynced.retain(|(of, _)| of != dataset);
        }
        if outcome.committed_all {
            self.unsynced.clear();
        }
        state.act(step, None, time).expect("it was done");
        self.promise(state);
    }
}
