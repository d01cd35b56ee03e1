//! Whatever happens, nothing is wrong: half reclaimed, cleaned, crashed, changed meanwhile.

use crate::catalog::{Compression, Properties, PropertyChange, Stage, Task};
use crate::format::Timestamp;
use crate::pool::world::World;

#[test]
fn random_histories_are_sound() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        for step in 0..150 {
            world.step();
            if step % 7 == 0 {
                check(&mut world);
            }
        }
        world.settle();
        check(&mut world);
    }
}

fn check(world: &mut World) {
    let window_len = [1, 2_000, 1 << 20][world.choices.below(3) as usize];
    let (mut last, mut total) = (0, 0);
    let report = world.core().verify_by_windows(None, window_len, &mut |done, of| {
        assert!(done >= last && done <= of, "{done} of {of} bytes, after {last}");
        (last, total) = (done, of);
        true
    });
    let report = report.unwrap();
    assert_eq!(report.damage, []);
    assert!(report.objects > 0 && report.bytes > 0 && last == total);
    let names = [world.datasets(), world.snapshots()].concat();
    if let Some(name) = world.pick(&names) {
        let part = world.core().verify_by_windows(Some(&name), window_len, &mut |_, _| true).unwrap();
        assert_eq!(part.damage, []);
        assert!(part.objects > 0 && part.bytes <= report.bytes, "{name}");
    }
}

/// What happens meanwhile is not seen.
#[test]
fn a_pool_in_use_is_sound() {
    for seed in 100..104 {
        let mut world = World::new(seed);
        world.crashes = false;
        (0..40).for_each(|_| world.step());
        for _ in 0..6 {
            let pool = world.pool.clone();
            let mut left = 12;
            let report = pool.core.verify_by_windows(None, 30_000, &mut |_, _| {
                if left > 0 {
                    left -= 1;
                    (0..4).for_each(|_| world.step());
                    world.core().store.account().hurry();
                    world.commit();
                }
                true
            });
            assert_eq!(report.unwrap().damage, []);
        }
    }
}

/// A snapshot is merged into what comes after it, a piece of its dead list at a time.
#[test]
fn half_a_merge_is_sound() {
    let world = World::new(3);
    let small =
        Properties { block_size: 4096, extent_size: 4096, compression: Compression::Off, ..Properties::default() };
    world.pool.create_dataset("d", &small, world.now()).unwrap();
    for (number, snapshot) in [(0, "a"), (4, "b"), (8, "c")] {
        for block in 0..1500 {
            world.put("d", "f", block * 8192, 4 * block + number, 4096);
        }
        world.pool.snapshot(&[("d", snapshot)], world.now()).unwrap();
    }
    world.pool.destroy("d@b", false, Timestamp::default()).unwrap();
    world.pool.purge(Timestamp { seconds: 1, nanoseconds: 0 }, world.now()).unwrap();
    let mut steps = 0;
    while !world.pool.reclaim_step(1, world.now()).unwrap().idle {
        steps += 1;
        assert_eq!(world.core().verify(None, &mut |_, _| true).unwrap().damage, []);
    }
    assert!(steps > 2, "the list was sorted out in {steps} steps");
}

/// What all clones of a snapshot have lost is taken out of one dead list after the other.
#[test]
fn half_a_sifting_is_sound() {
    let world = World::new(4);
    let small =
        Properties { block_size: 4096, extent_size: 4096, compression: Compression::Off, ..Properties::default() };
    world.pool.create_dataset("d", &small, world.now()).unwrap();
    let write = |dataset: &str, blocks: std::ops::Range<u64>, number| {
        blocks.for_each(|block| world.put(dataset, "f", block * 8192, 4 * block + number, 4096));
    };
    write("d", 0..1500, 0);
    world.pool.snapshot(&[("d", "origin")], world.now()).unwrap();
    for (name, blocks, number) in [("a", 0..900, 10_000), ("b", 300..1200, 20_000), ("d", 200..1500, 30_000)] {
        if name != "d" {
            world.pool.clone_snapshot("d@origin", name, &PropertyChange::default(), world.now()).unwrap();
        }
        write(name, blocks, number);
    }
    world.pool.destroy("d@origin", false, Timestamp::default()).unwrap();
    world.commit();
    let (live, foretold) = (world.pool.space().unwrap().live, world.pool.space().unwrap().awaiting);
    world.pool.purge(Timestamp { seconds: 1, nanoseconds: 0 }, world.now()).unwrap();
    let mut steps = 0;
    while !world.pool.reclaim_step(1, world.now()).unwrap().idle {
        steps += 1;
        let job = world.core().catalog.read().begun_job().unwrap();
        let is_finding = matches!(job, Some((_, Task::Sift(turn))) if turn.sift.stage == Stage::Find);
        if !is_finding || steps % 50 == 0 {
            assert_eq!(world.core().verify(None, &mut |_, _| true).unwrap().damage, []);
        }
    }
    world.settle();
    let freed = live - world.pool.space().unwrap().live;
    assert!(foretold > 600 * 4096 && freed.abs_diff(foretold) < foretold / 20, "{freed} freed, {foretold} foretold");
    assert!(steps > 30, "the lists were gone through in {steps} steps");
}
