//! The same seed gives the same run, to the byte; and a disk that fails on cue is heard of, and costs nothing that was promised.

use std::thread;

use cow_tests::random::Random;
use cow_tests::small::{Figures, Step, alphabet, base, fail_each, fingerprints};

#[test]
fn the_same_seed_gives_the_same_run_to_the_byte() {
    for seed in 0..3 {
        let (steps, mut random) = (alphabet(), Random::new(seed));
        let program: Vec<Step> = (0..80).map(|_| *random.pick(&steps)).collect();
        let [one, other] = [0, 1].map(|_| fingerprints(&base(), &program, seed));
        assert!(one.len() > 100, "only {} operations", one.len());
        assert_eq!(one.iter().zip(&other).position(|(one, other)| one != other), None, "of {} operations", one.len());
        assert_eq!(one.len(), other.len());
        assert!(fingerprints(&base(), &program, seed + 1) != one, "another crash leaves another disk");
    }
}

#[test]
fn a_disk_that_fails_once_costs_nothing_that_was_promised() {
    let (base, steps) = (base(), alphabet());
    // What is there to be synced, committed or given back comes first.
    let first = [None, Some(9), Some(39)];
    let programs: Vec<Vec<Step>> = first
        .into_iter()
        .flat_map(|first| (0..steps.len()).map(move |last| first.into_iter().chain([last]).collect::<Vec<usize>>()))
        .map(|numbers| numbers.into_iter().map(|number| steps[number]).collect())
        .filter(|program: &Vec<Step>| base.allows(program))
        .collect();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = |worker: usize| {
        let mut figures = Figures::default();
        for program in programs.iter().skip(worker).step_by(workers) {
            figures += fail_each(&base, program).unwrap_or_else(|problem| panic!("{program:?}: {problem}"));
        }
        figures
    };
    let mut figures = Figures::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker))).collect();
        running.into_iter().for_each(|worker| figures += worker.join().expect("a worker has told why it failed"));
    });
    println!("{figures:?}");
    assert!(figures.moments > 2000, "{figures:?}");
}
