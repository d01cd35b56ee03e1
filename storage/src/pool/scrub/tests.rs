//! A pass finds what `verify` finds of stored bytes, and nothing else whatever happens between its steps.

mod passes;

use std::collections::BTreeSet;

use crate::format::SlotId;
use crate::pool::PassState;
use crate::pool::verify::tests::fixture::{file_of, pieces, world};
use crate::pool::world::World;
use crate::scrub::Damage;
use crate::segment::Place;

/// All that a pass reads, in pieces of so many bytes: how many, bytes read, and what is told. It commits nothing.
fn pass(world: &World, budget: u64) -> (u64, u64, BTreeSet<Damage>) {
    world.core().store.clear_caches();
    let (mut steps, mut read, mut told, mut from) = (0, 0, BTreeSet::new(), SlotId(0));
    loop {
        let (piece, damage) = world.core().scrub_piece(from..SlotId(u64::MAX), budget).unwrap();
        assert!(piece.bytes > 0 || piece.next.is_none());
        assert_eq!(world.core().epoch.oldest(), world.core().epoch.present(), "something is still pinned");
        (steps, read) = (steps + 1, read + piece.bytes);
        for damage in damage {
            assert!(told.insert(damage.clone()), "{damage:?} is told twice");
        }
        match piece.next {
            Some(next) => from = next,
            None => return (steps, read, told),
        }
    }
}

fn verified(world: &World) -> BTreeSet<Damage> {
    world.core().store.clear_caches();
    let report = world.core().verify(None, &mut |_, _| true).unwrap();
    // Of what a lost page of the slot table leads to, and of what a walk cannot get at, scrubbing tells the page or node alone.
    let of_bytes = |damage: &Damage| {
        !damage.problem.contains("is lost with a page") && !damage.problem.starts_with("read the node")
    };
    report.damage.into_iter().filter(of_bytes).collect()
}

fn flip(world: &World, place: Place, at: u64) {
    world.disk.corrupt(&file_of(world, place.segment), u64::from(place.offset) + at, 0x10).unwrap();
}

fn any_budget(world: &mut World) -> u64 {
    [0, 5_000, 100_000, 1 << 30][world.choices.below(4) as usize]
}

#[test]
fn a_pass_reads_all_that_verify_reads() {
    let world = world();
    world.settle();
    let report = world.core().verify(None, &mut |_, _| true).unwrap();
    let (small, large) = (pass(&world, 50_000), pass(&world, 1 << 30));
    assert_eq!((small.1 >= report.bytes, large), (true, (1, report.bytes, BTreeSet::new())));
    assert!(small.0 > 20 && small.2.is_empty(), "{small:?}");
}

#[test]
fn a_pass_tells_what_verify_tells_of_each_piece() {
    let mut world = world();
    let mut of_files = 0;
    for piece in pieces(&world) {
        let at = world.choices.below(u64::from(piece.place.length));
        flip(&world, piece.place, at);
        let budget = any_budget(&mut world).max(100_000);
        let (_, _, told) = pass(&world, budget);
        assert!(!told.is_empty());
        assert_eq!(told, verified(&world), "{piece:?}");
        of_files += told.iter().filter(|damage| damage.path.is_some()).count();
        flip(&world, piece.place, at);
    }
    assert!(of_files > 100, "{of_files}");
}

#[test]
fn a_pass_tells_what_verify_tells_of_many_at_once_and_what_that_hides() {
    for round in 0..20 {
        let mut world = world();
        let pieces = pieces(&world);
        for _ in 0..=round {
            let place = world.pick(&pieces).unwrap().place;
            let at = world.choices.below(u64::from(place.length));
            flip(&world, place, at);
        }
        let budget = any_budget(&mut world);
        let ((_, _, told), verified) = (pass(&world, budget), verified(&world));
        let more: Vec<_> = told.difference(&verified).collect();
        assert!(verified.is_subset(&told), "{verified:?}, {told:?}");
        assert!(more.iter().all(|damage| damage.problem.contains("other damage hides")), "{more:?}");
    }
}

#[test]
fn a_pass_tells_of_damaged_pages_and_superblocks() {
    let mut world = world();
    let view = world.core().committed_view().unwrap();
    let (birth, mut places) = (view.roots.birth.0, Vec::new());
    world.core().store.account().view(&view.roots.account).for_each_page(&mut |place| places.push(place)).unwrap();
    drop(view);
    for place in places {
        let at = world.choices.below(u64::from(place.length));
        flip(&world, place, at);
        let budget = any_budget(&mut world).max(5_000);
        let (told, verified) = (pass(&world, budget).2, verified(&world));
        assert!(!told.is_empty() && told.is_subset(&verified), "{place:?}: {told:?}, {verified:?}");
        flip(&world, place, at);
    }
    world.disk.corrupt("superblock", (birth % 2) * (64 << 10) + 20, 1).unwrap();
    assert_eq!(pass(&world, 1 << 20).2, verified(&world));
}

#[test]
fn what_happens_between_steps_is_no_damage() {
    let mut passes = 0;
    for seed in 0..12 {
        let mut world = World::new(seed);
        world.crashes = seed % 3 == 0;
        for step in 0..600 {
            world.step();
            match step % 5 {
                0 => drop(world.pool.clean_step(1 << 20, world.now()).unwrap()),
                1 => world.core().store.account().hurry(),
                2 => world.commit(),
                _ => {}
            }
            let budget = [5_000, 100_000, 400_000][world.choices.below(3) as usize];
            if world.pool.scrub_pass().is_none_or(|pass| pass.state != PassState::Running) {
                world.pool.scrub_start(false, world.now()).unwrap();
            }
            let step = world.pool.scrub_step(budget, world.now()).unwrap();
            assert_eq!(step.damage, [], "seed {seed}");
            passes += u32::from(step.idle);
        }
    }
    assert!(passes > 50, "{passes}");
}
