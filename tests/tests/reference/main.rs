//! The same calls to our server and to another one, NFS-Ganesha over ext4, come to the same.
//!
//! What may differ is in `documented.rs`, each with its reason; everything else is a failure.

mod documented;
mod namespace;
mod seen;
mod servers;
mod side;
mod step;

use std::env;
use std::time::Duration;

use cow_tests::random::Random;
use cow_tests::scratch::Scratch;

use crate::seen::Came;
use crate::servers::Servers;
use crate::side::Side;
use crate::step::Step;

/// Clocks of the reference's file system tick so often that two steps never have the same time.
const TICK: Duration = Duration::from_millis(5);

/// How many steps, of which seed: `COW_REFERENCE=seed:steps` for others.
fn histories() -> (u64, usize) {
    let given = env::var("COW_REFERENCE").ok();
    let parsed = given.as_deref().and_then(|text| text.split_once(':'));
    parsed.map_or((1, 1500), |(seed, steps)| (seed.parse().expect("a seed"), steps.parse().expect("a number of steps")))
}

#[test]
fn calls_come_to_what_they_come_to_with_another_server() {
    let scratch = Scratch::new("reference");
    if !namespace::is_inside("calls_come_to_what_they_come_to_with_another_server") {
        return;
    }
    let Some(servers) = Servers::start(&scratch) else { return };
    let (seed, steps) = histories();
    let mut random = Random::new(seed);
    let [mut ours, mut theirs] = servers.sides();
    let (mut succeeded, mut failed, mut excused) = (0, 0, 0);
    for number in 0..steps {
        let step = Step::random(&mut random, &ours);
        std::thread::sleep(TICK);
        let (mine, other) = (step.run(&mut ours), step.run(&mut theirs));
        let told = (ours.tell(&mine), theirs.tell(&other));
        if told.0 != told.1 && documented::may_differ(&step, &told.0, &told.1) {
            excused += 1;
            step.even_out(&mut ours);
            step.even_out(&mut theirs);
        } else {
            assert_eq!(told.0, told.1, "ours is on the left, at step {number} of seed {seed}: {step:?}");
        }
        match told.0 {
            Came::Failed(_) => failed += 1,
            _ => succeeded += 1,
        }
        Side::agree_on_files(&mut ours, mine, &mut theirs, other);
    }
    assert!(succeeded * 5 > steps && failed * 10 > steps, "{succeeded} succeeded and {failed} failed");
    println!(
        "{steps} steps of seed {seed}: {succeeded} succeeded, {failed} failed alike, {excused} differ as documented"
    );
}
