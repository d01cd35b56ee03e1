//! A disk that fails once, at each of the operations that a program's last step takes.
//!
//! Invariant: whoever failed was told, and what was promised before is there: for the same process, for the next one, and after a loss of power.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use cow_storage::error::ErrorKind;
use cow_storage::format::Timestamp;
use cow_storage::media::{Choices, OperationKind, Simulator};
use cow_storage::pool::Pool;

use crate::small::base::open;
use crate::small::check::{check_sound, recover};
use crate::small::run::{BEGIN, ending};
use crate::small::{Base, Figures, Found, Run, Step, World};

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Read,
    Write,
    /// So many bytes are stored.
    ShortWrite(u64),
    /// It lies from then on.
    Flush,
}

impl Fault {
    fn kind(self) -> OperationKind {
        match self {
            Self::Read => OperationKind::Read,
            Self::Write | Self::ShortWrite(_) => OperationKind::Write,
            Self::Flush => OperationKind::Flush,
        }
    }

    /// Strikes after so many operations of its kind.
    fn set(self, disk: &Simulator, successes: u64) {
        match self {
            Self::Read => disk.fail_read(successes),
            Self::Write => disk.fail_write(successes),
            Self::ShortWrite(length) => disk.shorten_write(successes, length),
            Self::Flush => disk.fail_flush(successes),
        }
    }
}

const FAULTS: [Fault; 6] =
    [Fault::Read, Fault::Write, Fault::ShortWrite(1), Fault::ShortWrite(700), Fault::ShortWrite(5000), Fault::Flush];

/// Runs a program again and again, and lets the disk fail at one operation of its last step, or of the commit after it.
pub fn fail_each(base: &Base, program: &[Step]) -> Result<Figures, String> {
    let run = Run::of(base, program)?;
    let steps: Vec<Step> = program.iter().chain(ending(&run, program)).copied().collect();
    let mut figures = Figures { programs: 1, ..Figures::default() };
    let first = program.len() - 1;
    let kinds = kinds_from(base, &steps, first)?;
    for fault in FAULTS {
        let count = kinds.iter().filter(|kind| **kind == fault.kind()).count() as u64;
        for successes in 0..count {
            let tell = |problem| format!("{fault:?} after {successes}: {problem}");
            figures.states += fail_one(base, &run, &steps, first, (fault, successes)).map_err(tell)?;
            figures.moments += 1;
        }
    }
    Ok(figures)
}

/// What the disk is asked to do from a step on.
fn kinds_from(base: &Base, steps: &[Step], first: usize) -> Result<Vec<OperationKind>, String> {
    let (kinds, disk) = (Arc::new(Mutex::new(Vec::new())), Arc::new(base.disk.duplicate()));
    let kept = Arc::clone(&kinds);
    let pool = begin(&disk, &steps[..first])?;
    disk.watch(Some(Arc::new(move |_, operation| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(operation.kind);
    })));
    for (at, step) in steps.iter().enumerate().skip(first) {
        step.act(&pool, time_of(at)).map_err(|error| format!("{step:?}: {error:?}"))?;
    }
    disk.watch(None);
    Ok(std::mem::take(&mut *kinds.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn time_of(step: usize) -> i64 {
    BEGIN + 1 + step as i64
}

fn begin(disk: &Arc<Simulator>, steps: &[Step]) -> Result<Pool, String> {
    let pool = open(disk, 1).map_err(|error| format!("open: {error:?}"))?;
    for (at, step) in steps.iter().enumerate() {
        step.act(&pool, time_of(at)).map_err(|error| format!("{step:?}: {error:?}"))?;
    }
    Ok(pool)
}

fn fail_one(
    base: &Base,
    run: &Run,
    steps: &[Step],
    first: usize,
    (fault, successes): (Fault, u64),
) -> Result<u64, String> {
    let disk = Arc::new(base.disk.duplicate());
    let pool = begin(&disk, &steps[..first])?;
    fault.set(&disk, successes);
    let mut possible = run.promised.last().expect("a program has steps");
    for (at, step) in steps.iter().enumerate().skip(first) {
        if let Err(error) = step.act(&pool, time_of(at)) {
            if !matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned) {
                return Err(format!("{step:?}: {error:?}"));
            }
            possible = &run.possible[at];
            check_goes_on(&pool, &error.kind(), &run.worlds)?;
            break;
        }
    }
    drop(pool);
    let mut choices = Choices::new(successes);
    let crashed = Arc::new(disk.crash(&mut |limit| choices.below(limit)));
    let tell = |problem| format!("then the power ends, {problem}");
    recover(&crashed, possible).and_then(|(pool, _)| check_sound(&pool)).map_err(tell)?;
    let killed = Arc::new(disk.duplicate());
    let tell = |problem| format!("then the process ends, {problem}");
    let (pool, found) = recover(&killed, possible).map_err(tell)?;
    check_sound(&pool).map_err(tell)?;
    drop(pool);
    let crashed = Arc::new(killed.crash(&mut |_| 0));
    let tell = |problem| format!("then the process ends, and then the power, {problem}");
    let (pool, _) = recover(&crashed, &possible[found..=found]).map_err(tell)?;
    check_sound(&pool).map_err(tell)?;
    Ok(3)
}

/// A pool that could not read shows something that it was; one that could not write takes nothing more.
fn check_goes_on(pool: &Pool, kind: &ErrorKind, worlds: &[World]) -> Result<(), String> {
    if *kind == ErrorKind::Poisoned {
        let later = pool.commit(Timestamp::default()).map_err(|error| error.kind());
        return if later == Err(*kind) { Ok(()) } else { Err(format!("a poisoned pool commits: {later:?}")) };
    }
    let found = Found::of(pool).map_err(|error| format!("read on: {error:?}"))?;
    match worlds.iter().any(|world| found.difference(world).is_none()) {
        true => Ok(()),
        false => {
            Err(format!("it shows what it never was: {:?}", worlds.last().and_then(|world| found.difference(world))))
        }
    }
}

/// What the disk holds at each of its operations while a program runs, is cut off by a loss of power, and is recovered from. What cannot
/// be done is left out.
pub fn fingerprints(base: &Base, program: &[Step], seed: u64) -> Vec<[u8; 32]> {
    let seen: Arc<Mutex<Vec<[u8; 32]>>> = Arc::default();
    let watch = |disk: &Simulator| {
        let kept = Arc::clone(&seen);
        disk.watch(Some(Arc::new(move |disk, operation| {
            if operation.counts() {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(disk.fingerprint());
            }
        })));
    };
    let disk = Arc::new(base.disk.duplicate());
    watch(&disk);
    let pool = open(&disk, 1).expect("the base opens");
    for (at, step) in program.iter().enumerate() {
        let _ = step.act(&pool, time_of(at));
    }
    let mut choices = Choices::new(seed);
    let crashed = Arc::new(disk.crash(&mut |limit| choices.below(limit)));
    watch(&crashed);
    drop(open(&crashed, 2).expect("a crash leaves what opens"));
    crashed.watch(None);
    std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
}
