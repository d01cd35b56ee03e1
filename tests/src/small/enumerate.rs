//! All programs of a length, over threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::random::Random;
use crate::small::alphabet::{alphabet, base};
use crate::small::{Base, Effort, Figures, Step, World, explore};

/// A program by the numbers of its steps in the alphabet.
type Numbers = Vec<usize>;

/// How often it is told how far it is, in programs.
const TELL_EVERY: usize = 1000;

/// Programs that fail are told of, up to so many.
const TOLD_MAX: usize = 5;

/// What was found.
#[derive(Debug, Default)]
pub struct All {
    /// What was done.
    pub figures: Figures,
    /// Programs that failed, and how.
    pub failures: Vec<String>,
}

/// Tries every program of so many steps that can be run.
pub fn all(length: usize, effort: &Effort) -> All {
    try_each(&programs(length), effort)
}

/// Tries some programs of so many steps: as many, by a seed.
pub fn some(length: usize, (seed, count): (u64, usize), effort: &Effort) -> All {
    let (mut programs, mut random) = (programs(length), Random::new(seed));
    let chosen = (0..count.min(programs.len())).map(|_| {
        let at = random.below(programs.len() as u64) as usize;
        programs.swap_remove(at)
    });
    try_each(&chosen.collect::<Vec<_>>(), effort)
}

/// Tries one program, by its numbers.
pub fn one(numbers: &[usize], effort: &Effort) -> All {
    try_each(&[numbers.to_vec()], effort)
}

/// Those programs of which each step can be done, in order.
fn programs(length: usize) -> Vec<Numbers> {
    let (steps, mut found) = (alphabet(), vec![(Numbers::new(), base().world)]);
    for _ in 0..length {
        let longer = found.iter().flat_map(|(numbers, world)| {
            let added = |(number, step): (usize, &Step)| {
                let mut world: World = world.clone();
                let all = numbers.iter().copied().chain([number]).collect();
                world.act(step, None, 1000 + numbers.len() as i64).ok().map(|()| (all, world))
            };
            steps.iter().enumerate().filter_map(added).collect::<Vec<_>>()
        });
        found = longer.collect();
    }
    found.into_iter().map(|(numbers, _)| numbers).collect()
}

fn try_each(programs: &[Numbers], effort: &Effort) -> All {
    let (base, steps, next) = (base(), alphabet(), AtomicUsize::new(0));
    let work = || {
        let mut all = All::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(numbers) = programs.get(at) else { break };
            if at > 0 && at.is_multiple_of(TELL_EVERY) {
                println!("{at} of {} programs", programs.len());
            }
            let program: Vec<Step> = numbers.iter().map(|number| steps[*number]).collect();
            match try_one(&base, &program, numbers, effort) {
                Ok(figures) => all.figures += figures,
                Err(problem) if all.failures.len() < TOLD_MAX => all.failures.push(problem),
                Err(_) => break,
            }
        }
        all
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut all = All::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in running {
            let part = worker.join().expect("a worker catches what panics");
            all.figures += part.figures;
            all.failures.extend(part.failures);
        }
    });
    all
}

fn try_one(base: &Base, program: &[Step], numbers: &[usize], effort: &Effort) -> Result<Figures, String> {
    let seed = numbers.iter().fold(1, |seed: u64, number| seed.wrapping_mul(1009).wrapping_add(*number as u64));
    let tried = catch_unwind(AssertUnwindSafe(|| explore(base, program, seed, effort)));
    let tried = tried.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("it panics: {}", text.unwrap_or_else(|| "see above".to_owned())))
    });
    tried.map_err(|problem| {
        let shown = numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        format!("program {shown}: {program:?}: {problem}")
    })
}
