//! A history from its beginning to its end, and what is told of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cow_storage::error::Error;
use cow_storage::format::{DatasetId, InodeNumber, Timestamp};
use cow_storage::fs::FileSystem;
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::{Budgets, Pool};

use crate::history::interlude::Cue;
use crate::history::pools::{draw_budgets, draw_pool, open};
use crate::history::steps::Mood;
use crate::history::{Draw, Figures, Journal, World};

/// Lines that are told of a history, the last ones.
const TOLD_MAX: usize = 150;

/// Bytes of the smallest disk that is drawn: what is kept back, and some.
const CAPACITY_MIN: u64 = 14 << 20;

/// Stored bytes that an empty pool may have.
const EMPTY_LIVE_MAX: u64 = 64 << 10;

/// Commits after which what was freed must not count any more.
const SETTLING_COMMITS: usize = 60;

pub(super) struct History {
    pub seed: u64,
    pub step: u64,
    pub draw: Draw,
    pub now: Timestamp,
    pub disk: Arc<Simulator>,
    pub budgets: Budgets,
    pub pool: Pool,
    pub world: World,
    pub journal: Journal,
    /// Handles in use, as a server has them.
    pub handles: BTreeMap<DatasetId, Arc<dyn FileSystem>>,
    /// Inodes that lost their last name while somebody had them open, or while they were large.
    pub orphans: BTreeSet<InodeNumber>,
    /// Heads that may have orphans which count for their quotas.
    pub unreaped: BTreeSet<DatasetId>,
    /// The largest inode number that each dataset was heard to give.
    pub given: BTreeMap<DatasetId, u64>,
    /// Commits that were counted, and how many of them were of everything.
    pub commits: (u64, u64),
    pub boot: u64,
    /// The disk is to fail soon: until which step.
    pub armed: Option<u64>,
    /// Whether the disk is small enough to be full at times.
    pub cramped: bool,
    pub mood: Mood,
    pub cue: Cue,
    pub figures: Figures,
    /// The dataset of the last call.
    pub busy: DatasetId,
    trace: VecDeque<String>,
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let (disk, now) = (Arc::new(Simulator::new()), Timestamp { seconds: 1000, nanoseconds: 0 });
        let media: Arc<dyn Media> = disk.clone();
        let budgets = draw_budgets(&mut draw);
        let new = draw_pool(&mut draw);
        let mood = Mood::draw(&mut draw);
        let cramped = draw.one_in(4);
        if cramped {
            disk.set_capacity(Some(CAPACITY_MIN + draw.below(16) * (1 << 20)));
        }
        let trace = VecDeque::from([format!("{}; a log of {} bytes, {budgets:?}", draw.swarm(), new.intent_size)]);
        Pool::create(&media, &new).expect("a pool can be made on an empty disk");
        let cue = Cue::default();
        let pool = open(&disk, &cue, &budgets, 1, now).expect("a new pool can be opened");
        Self {
            seed,
            step: 0,
            draw,
            now,
            disk,
            budgets,
            commits: (pool.counters().commits, pool.counters().whole_commits),
            pool,
            world: World::default(),
            journal: Journal::new(World::default()),
            handles: BTreeMap::new(),
            orphans: BTreeSet::new(),
            unreaped: BTreeSet::new(),
            given: BTreeMap::new(),
            boot: 1,
            armed: None,
            cramped,
            mood,
            cue,
            figures: Figures::default(),
            busy: DatasetId(0),
            trace,
        }
    }

    /// Takes some of the seed's steps, and ends.
    pub fn run(&mut self, steps: &[u64]) {
        for step in steps {
            self.step = *step;
            self.draw.begin(self.seed, *step);
            self.take_step();
            self.figures.steps += 1;
        }
        self.step += 1;
        self.draw.begin(self.seed, u64::MAX);
        self.end();
    }

    /// What happened so far.
    pub fn figures(&self) -> Figures {
        Figures { operations: self.figures.operations + self.disk.operations(), ..self.figures }
    }

    /// The last steps in words, after what the pool was made like.
    pub fn told(&self) -> Vec<String> {
        self.trace.iter().cloned().collect()
    }

    pub fn tell(&mut self, what: String) {
        if self.trace.len() > TOLD_MAX {
            self.trace.remove(1);
        }
        let unset =
            ["mode", "uid", "gid", "size", "accessed", "modified", "created"].map(|name| format!("{name}: None"));
        let what = unset.iter().fold(what, |what, unset| what.replace(&format!("{unset}, "), "").replace(unset, ""));
        self.trace.push_back(format!("{} at {}: {what}", self.step, self.now.seconds));
    }

    /// Ends the history: nothing may be left of what is destroyed.
    fn end(&mut self) {
        if self.armed.is_some() {
            self.lose_power();
        }
        self.reopen_cleanly();
        let emptied = self.empty();
        let live = emptied.unwrap_or_else(|error| panic!("empty the pool: {error:?}"));
        assert!(live <= EMPTY_LIVE_MAX, "{live} bytes live in an empty pool");
        self.check();
    }

    fn empty(&mut self) -> Result<u64, Error> {
        let snapshots: Vec<_> = self.world.live_snapshots().map(|(id, it)| (id, it.holds.clone())).collect();
        for (id, holds) in snapshots {
            let name = self.world.full_name(id);
            holds.iter().try_for_each(|tag| self.pool.release_hold(&name, tag, self.now))?;
        }
        while let Some(dataset) = self.pool.list()?.datasets.first() {
            self.pool.destroy(&dataset.name, true, self.now)?;
        }
        let later = Timestamp { seconds: self.now.seconds + 1, nanoseconds: 0 };
        self.pool.purge(later, later)?;
        for round in 0.. {
            assert!(round < 10_000, "reclaiming does not end");
            if self.pool.reclaim_step(500, later)?.idle {
                break;
            }
        }
        self.world = World { next_id: self.world.next_id, ..World::default() };
        // Each commit accounts for a part of what was freed.
        for _ in 0..SETTLING_COMMITS {
            self.pool.commit(later)?;
            if self.pool.space()?.live <= EMPTY_LIVE_MAX {
                break;
            }
        }
        Ok(self.pool.space()?.live)
    }
}
