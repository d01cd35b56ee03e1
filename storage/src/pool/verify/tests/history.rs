//! Whatever happens, nothing is wrong: half reclaimed, cleaned, crashed.

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
