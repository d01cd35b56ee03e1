//! A pool with a past: its disk remembers every file as it was in the middle of what was done.

use std::sync::Arc;

use cow_storage::error::Result;
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::Pool;

use crate::small::base::open;
use crate::small::run::Run;
use crate::small::{Base, Found, Step, World};

/// A disk after the end of the process, and what may be found there.
pub struct Aged {
    /// The disk, which remembers.
    pub disk: Simulator,
    /// What was promised last.
    world: World,
    /// All that the pool was before.
    worlds: Vec<World>,
}

impl Aged {
    /// Does some steps, lets the disk remember, and does some more. The last of them must be waited for.
    pub fn new(earlier: &[Step], later: &[Step]) -> Self {
        let all: Vec<Step> = earlier.iter().chain(later).copied().collect();
        let remember = |disk: &Simulator| {
            let names = disk.list().expect("a disk has a list");
            names.iter().for_each(|name| disk.remember(name).expect("it is listed"));
        };
        let (run, disk, states) =
            Run::unended(&Base::new(&[]), &all, earlier.len(), &remember).unwrap_or_else(|problem| panic!("{problem}"));
        let world = states.last().expect("there is always one").clone();
        Self { disk, world, worlds: run.worlds }
    }

    /// Opens the pool on a copy of a disk.
    pub fn open(disk: &Simulator) -> Result<Pool> {
        open(&Arc::new(disk.duplicate()), 5)
    }

    /// What the pool holds that is not what was promised last, in words; an error where something cannot be read.
    pub fn is_right(&self, pool: &Pool) -> Result<Option<String>> {
        Ok(Found::of(pool)?.difference(&self.world))
    }

    /// Whether the pool is what it was, or might have been found to be, at some time.
    pub fn is_earlier(&self, pool: &Pool) -> bool {
        Found::of(pool).is_ok_and(|found| self.worlds.iter().any(|world| found.difference(world).is_none()))
    }
}
