//! One run of a program on a disk that is watched.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use cow_storage::media::{Operation, OperationKind, Simulator};
use cow_storage::pool::Pool;

use crate::small::base::open;
use crate::small::world::hashes;
use crate::small::{Base, Found, Outcome, Promises, Step, World};

/// When the first step is done: earlier are those of the base.
pub(super) const BEGIN: i64 = 1000;

/// What every program ends with; all but the first only where something was destroyed.
static ENDING: [Step; 3] = [Step::Commit, Step::Reclaim, Step::Commit];

/// A moment at which the power may go.
pub struct Moment {
    /// What the disk is asked to do just then.
    pub operation: Operation,
    /// The disk, with that and all else that is pending.
    pub disk: Simulator,
    /// What may be found.
    pub possible: Arc<Vec<World>>,
    /// Whether something became durable, or was promised, since the moment before.
    pub is_new: bool,
}

/// A run that ended well.
pub struct Run {
    /// All moments of the watched steps, and one after the last.
    pub moments: Vec<Moment>,
    /// All that the pool was at any time, or may have been found to be.
    pub worlds: Vec<World>,
    /// What a crash may leave in the middle of each step, those of the end among them.
    pub(super) possible: Vec<Arc<Vec<World>>>,
    /// The same after each step.
    pub(super) promised: Vec<Arc<Vec<World>>>,
}

type Seen = Arc<Mutex<Vec<(Operation, Simulator)>>>;

impl Run {
    /// Runs a program, watched from its last step on; then everything is committed, and what it destroyed is given back.
    pub fn of(base: &Base, program: &[Step]) -> Result<Self, String> {
        Self::watched_from(base, program, program.len().saturating_sub(1))
    }

    /// The same, watched from a step on.
    pub fn watched_from(base: &Base, program: &[Step], from: usize) -> Result<Self, String> {
        let disk = Arc::new(base.disk.duplicate());
        let mut runner = Runner::new(base, &disk)?;
        for (at, step) in program.iter().enumerate() {
            if at == from {
                runner.watch(&disk);
            }
            runner.step(step)?;
        }
        let found = Found::of(&runner.pool).map_err(|error| format!("read the pool: {error:?}"))?;
        if let Some(difference) = found.difference(&runner.promises.live) {
            return Err(format!("before any crash, {difference}"));
        }
        let ending: &[Step] = if runner.promises.live.has_destroyed() { &ENDING } else { &ENDING[..1] };
        ending.iter().try_for_each(|step| runner.step(step))?;
        Ok(runner.end(&disk))
    }

    /// The same without the commit in the end and without being watched; before one of the steps something is done to the disk. Returns also the
    /// disk and what may be found on it.
    pub(super) fn unended(
        base: &Base,
        program: &[Step],
        pause: usize,
        act: &dyn Fn(&Simulator),
    ) -> Result<(Self, Simulator, Vec<World>), String> {
        let disk = Arc::new(base.disk.duplicate());
        let mut runner = Runner::new(base, &disk)?;
        for (at, step) in program.iter().enumerate() {
            if at == pause {
                act(&disk);
            }
            runner.step(step)?;
        }
        Ok((runner.run, disk.duplicate(), runner.promises.states))
    }
}

/// The steps that a run of a program ended with.
pub(super) fn ending(run: &Run, program: &[Step]) -> &'static [Step] {
    &ENDING[..run.possible.len() - program.len()]
}

struct Runner {
    pool: Pool,
    promises: Promises,
    seen: Seen,
    commits: (u64, u64),
    time: i64,
    run: Run,
}

impl Runner {
    fn new(base: &Base, disk: &Arc<Simulator>) -> Result<Self, String> {
        let pool = open(disk, 1).map_err(|error| format!("open: {error:?}"))?;
        let counters = pool.counters();
        Ok(Self {
            commits: (counters.commits, counters.whole_commits),
            pool,
            promises: Promises::new(base.world.clone()),
            seen: Seen::default(),
            time: BEGIN,
            run: Run {
                moments: Vec::new(),
                worlds: vec![base.world.clone()],
                possible: Vec::new(),
                promised: Vec::new(),
            },
        })
    }

    fn watch(&self, disk: &Simulator) {
        let seen = Arc::clone(&self.seen);
        disk.watch(Some(Arc::new(move |disk, operation| {
            if operation.counts() {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push((operation.clone(), disk.duplicate()));
            }
        })));
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.time += 1;
        let made = step.act(&self.pool, self.time).map_err(|error| format!("{step:?}: {error:?}"))?;
        let counters = self.pool.counters();
        let before = std::mem::replace(&mut self.commits, (counters.commits, counters.whole_commits));
        let (committed, committed_all) = (counters.commits > before.0, counters.whole_commits > before.1);
        let possible = self.promises.step(step, &Outcome { made, committed, committed_all }, self.time);
        if matches!(step, Step::Snapshot(..) | Step::Rewind(..)) {
            self.learn()?;
        }
        self.run.worlds.extend(possible.iter().cloned());
        self.run.worlds.push(self.promises.live.clone());
        self.keep(possible);
        Ok(())
    }

    /// From now on the pool may tell no other hash of a snapshot.
    fn learn(&mut self) -> Result<(), String> {
        let listing = self.pool.list().map_err(|error| format!("list: {error:?}"))?;
        let hashes = hashes(&listing);
        let Promises { live, states, .. } = &mut self.promises;
        states.iter_mut().chain([live]).for_each(|world| world.learn(&hashes));
        Ok(())
    }

    fn keep(&mut self, possible: Vec<World>) {
        self.run.promised.push(Arc::new(self.promises.states.clone()));
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let (possible, mut is_new) = (Arc::new(possible), true);
        self.run.possible.push(Arc::clone(&possible));
        for (operation, disk) in seen {
            let next = matches!(operation.kind, OperationKind::Flush | OperationKind::SyncDirectory);
            self.run.moments.push(Moment { operation, disk, possible: Arc::clone(&possible), is_new });
            is_new = next;
        }
    }

    fn end(mut self, disk: &Simulator) -> Run {
        let operation = Operation { kind: OperationKind::Read, name: "the end".to_owned(), offset: 0, length: 0 };
        let possible = Arc::new(self.promises.states);
        self.run.moments.push(Moment { operation, disk: disk.duplicate(), possible, is_new: true });
        self.run
    }
}
