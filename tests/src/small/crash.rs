//! The ways in which the power goes at one moment, and what is found then.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use cow_storage::media::{Choices, Simulator};

use crate::small::base::open;
use crate::small::check::{check_other_slot, check_sound, check_use, recover};
use crate::small::torn::tear;
use crate::small::{Base, Moment, Run, Step, World};

/// How much is tried at each moment.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Subsets of what is pending, by seed.
    pub subsets: u64,
    /// Once in so many states the power also goes at each operation of the recovery.
    pub recoveries: u64,
    /// Once in so many states the other superblock slot is opened.
    pub other_slots: u64,
    /// Once in so many states all files are removed afterwards and new ones made.
    pub uses: u64,
    /// One in so many bytes of what is written to the superblock and the log is where the write is torn.
    pub torn: u64,
    /// Whether a pool is opened for each torn byte, and not only what opening goes by compared.
    pub all_torn: bool,
}

impl Effort {
    /// Everything, everywhere.
    pub const ALL: Self = Self { subsets: 4, recoveries: 1, other_slots: 1, uses: 1, torn: 1, all_torn: true };
    /// Each torn byte, and something of all else.
    pub const MUCH: Self = Self { subsets: 2, recoveries: 10, other_slots: 4, uses: 4, torn: 1, all_torn: false };
    /// What is bearable for very many programs.
    pub const SOME: Self = Self { subsets: 2, recoveries: 40, other_slots: 16, uses: 16, torn: 8, all_torn: false };
    /// What is bearable whenever something was changed.
    pub const LITTLE: Self = Self { subsets: 1, recoveries: 80, other_slots: 16, uses: 16, torn: 16, all_torn: false };
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Programs.
    pub programs: u64,
    /// Operations of the disk at which the power went.
    pub moments: u64,
    /// States of a disk from which a pool was opened and compared.
    pub states: u64,
    /// Bytes at which a write of the superblock or the log was torn.
    pub torn: u64,
    /// Of the states, those where the power went once more while the pool was being opened.
    pub recoveries: u64,
    /// Pools opened from the other superblock slot.
    pub other_slots: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.programs += other.programs;
        self.moments += other.moments;
        self.states += other.states;
        self.torn += other.torn;
        self.recoveries += other.recoveries;
        self.other_slots += other.other_slots;
    }
}

/// Runs a program, and lets the power go at every moment of its last step, and of the commit after it.
pub fn explore(base: &Base, program: &[Step], seed: u64, effort: &Effort) -> Result<Figures, String> {
    explore_run(&Run::of(base, program)?, seed, effort)
}

/// The same for a run that has ended.
pub fn explore_run(run: &Run, seed: u64, effort: &Effort) -> Result<Figures, String> {
    let mut figures = Figures { programs: 1, ..Figures::default() };
    for (at, moment) in run.moments.iter().enumerate() {
        let choices = Choices::new(seed.wrapping_mul(0x9e37_79b9).wrapping_add(at as u64));
        let mut explorer = Explorer { moment, worlds: &run.worlds, effort, choices, figures: Figures::default() };
        explorer.explore().map_err(|problem| {
            let operation = &moment.operation;
            format!("the power goes at operation {at}, {operation:?}; {problem}")
        })?;
        figures += explorer.figures;
        figures.moments += 1;
    }
    Ok(figures)
}

struct Explorer<'a> {
    moment: &'a Moment,
    worlds: &'a [World],
    effort: &'a Effort,
    choices: Choices,
    figures: Figures,
}

impl Explorer<'_> {
    fn explore(&mut self) -> Result<(), String> {
        let disk = &self.moment.disk;
        if self.moment.is_new {
            self.check(disk.crash(&mut |_| 0)).map_err(|problem| format!("nothing pending survives; {problem}"))?;
        }
        self.check(disk.duplicate()).map_err(|problem| format!("the process is killed; {problem}"))?;
        for number in 0..self.effort.subsets {
            let choices = &mut self.choices;
            let crashed = disk.crash(&mut |limit| choices.below(limit));
            self.check(crashed).map_err(|problem| format!("subset {number} survives; {problem}"))?;
        }
        let choices = &mut self.choices;
        let (torn, opened) = tear(self.moment, self.effort, &mut |limit| choices.below(limit))?;
        self.figures.torn += torn;
        self.figures.states += opened;
        Ok(())
    }

    fn once_in(&mut self, many: u64) -> bool {
        self.choices.below(many) == 0
    }

    /// Opens what a crash left, and then again after one more crash: what was shown stays.
    fn check(&mut self, disk: Simulator) -> Result<(), String> {
        if self.once_in(self.effort.other_slots) {
            self.figures.other_slots += 1;
            check_other_slot(&disk, self.worlds)?;
        }
        if self.once_in(self.effort.recoveries) {
            self.interrupt(&disk)?;
        }
        let disk = Arc::new(disk);
        self.figures.states += 1;
        let possible = &self.moment.possible;
        let (pool, found) = recover(&disk, possible)?;
        check_sound(&pool)?;
        if self.once_in(self.effort.uses) {
            self.figures.states += 1;
            let again = Arc::new(disk.crash(&mut |_| 0));
            let (pool, _) = recover(&again, &possible[found..=found])
                .map_err(|problem| format!("then what was found is lost by one more crash: {problem}"))?;
            check_use(&pool).map_err(|problem| format!("in use afterwards: {problem}"))?;
        }
        Ok(())
    }

    /// Opens it, with the power going at each operation of that.
    fn interrupt(&mut self, disk: &Simulator) -> Result<(), String> {
        let watched = Arc::new(disk.duplicate());
        let seen: Arc<Mutex<Vec<Simulator>>> = Arc::default();
        let kept = Arc::clone(&seen);
        watched.watch(Some(Arc::new(move |disk, operation| {
            if operation.counts() {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(disk.duplicate());
            }
        })));
        drop(open(&watched, 4).map_err(|error| format!("open: {error:?}"))?);
        watched.watch(None);
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, then) in seen.iter().enumerate() {
            let choices = &mut self.choices;
            let crashed = match choices.below(3) {
                0 => then.duplicate(),
                _ => then.crash(&mut |limit| choices.below(limit)),
            };
            self.figures.states += 1;
            self.figures.recoveries += 1;
            let checked = recover(&Arc::new(crashed), &self.moment.possible).and_then(|(pool, _)| check_sound(&pool));
            checked.map_err(|problem| format!("the power goes at operation {at} of the recovery; {problem}"))?;
        }
        Ok(())
    }
}
