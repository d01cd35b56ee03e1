//! All programs of up to three steps, with the power going at every operation of the disk.
//!
//! `COW_PROGRAM=3,17,40` tries one program again, by the numbers that a failure tells.

use std::env;
use std::time::Instant;

use cow_tests::small::{All, Effort, all, one, some};

fn clean(what: &str, tried: &All, began: Instant) {
    println!("{what}: {:?} in {:.1} s", tried.figures, began.elapsed().as_secs_f64());
    assert!(tried.failures.is_empty(), "{what}: {}", tried.failures.join("\n\n"));
}

#[test]
fn all_programs_of_one_step_keep_what_was_promised() {
    let began = Instant::now();
    clean("one step", &all(1, &Effort::MUCH), began);
}

#[test]
fn all_programs_of_two_steps_keep_what_was_promised() {
    let began = Instant::now();
    clean("two steps", &all(2, &Effort::LITTLE), began);
}

#[test]
fn some_programs_of_three_steps_keep_what_was_promised() {
    let began = Instant::now();
    clean("some of three steps", &some(3, (1, 200), &Effort::LITTLE), began);
}

#[test]
#[ignore = "long: cargo test --release -p cow-tests --test small_exhaustive -- --ignored --nocapture"]
fn all_programs_of_three_steps_keep_what_was_promised() {
    let parts = [("one step", 1, Effort::ALL), ("two steps", 2, Effort::MUCH), ("three steps", 3, Effort::SOME)];
    for (what, length, effort) in parts {
        let began = Instant::now();
        clean(what, &all(length, &effort), began);
    }
}

#[test]
#[ignore = "one program: COW_PROGRAM=3,17,40"]
fn one_program_keeps_what_was_promised() {
    let numbers = env::var("COW_PROGRAM").expect("COW_PROGRAM has the numbers of a program's steps");
    let numbers: Vec<usize> = numbers.split(',').map(|number| number.trim().parse().expect("a number")).collect();
    let began = Instant::now();
    clean("one program", &one(&numbers, &if env::var("COW_SOME").is_ok() { Effort::SOME } else { Effort::ALL }), began);
}
