//! A pass is one pass, whatever comes in between: restarts, crashes at any moment, and orders.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::executor::Inline;
use crate::format::{SegmentId, SlotId, Timestamp};
use crate::media::{Choices, Media, Operation, OperationKind, Simulator};
use crate::pool::scrub::KEPT_EVERY_SECS;
use crate::pool::verify::tests::fixture::{Piece, file_of, pieces, world};
use crate::pool::world::World;
use crate::pool::{Budgets, Damage, Pass, PassState, Pool};
use crate::segment::Place;
use crate::sync::Mutex;

/// Bytes of a step, so that a pass takes some.
const BUDGET: u64 = 60_000;
/// Seconds that a step takes.
const STEP_SECS: i64 = 4;

/// Where in which file bytes were read.
type Reads = Vec<(String, Range<u64>)>;

/// What is seen of a disk while steps are made.
#[derive(Default)]
struct Seen {
    reads: Reads,
    /// Whether moments are kept.
    keeps: bool,
    /// The disk at each operation, reads included, and how many reads there were before.
    moments: Vec<(usize, Simulator)>,
}

impl Seen {
    fn see(&mut self, disk: &Simulator, operation: &Operation) {
        if self.keeps {
            self.moments.push((self.reads.len(), disk.duplicate()));
        }
        if operation.kind == OperationKind::Read {
            self.reads.push((operation.name.clone(), operation.offset..operation.offset + operation.length));
        }
    }
}

/// A pool on a disk that is watched while steps are made.
struct Scrubbed {
    world: World,
    seen: Arc<Mutex<Seen>>,
}

impl Scrubbed {
    /// With extents and nodes in the last segments that there are, too.
    fn new(world: World) -> Self {
        let seconds = world.seconds;
        let scrubbed = Self::open(world.disk, seconds).unwrap();
        scrubbed.world.put("d", "late", 0, 900, 100_000);
        scrubbed.world.commit();
        scrubbed
    }

    fn open(disk: Arc<Simulator>, seconds: i64) -> Result<Self> {
        let now = Timestamp { seconds, nanoseconds: 0 };
        let media: Arc<dyn Media> = Arc::clone(&disk) as _;
        let pool = Pool::open(media, Arc::new(Inline), Budgets::default(), 7, now)?;
        let mut world = World::new(0);
        (world.disk, world.pool, world.seconds) = (disk, pool, seconds);
        Ok(Self { world, seen: Arc::default() })
    }

    fn step(&mut self) -> Result<bool> {
        self.world.seconds += STEP_SECS;
        let seen = Arc::clone(&self.seen);
        self.world.disk.watch(Some(Arc::new(move |disk, operation| seen.lock().see(disk, operation))));
        let step = self.world.pool.scrub_step(BUDGET, self.world.now());
        self.world.disk.watch(None);
        step.map(|step| step.idle)
    }

    fn finish(&mut self) {
        while !self.step().unwrap() {}
        assert_eq!(self.pass().state, PassState::Finished);
    }

    fn start(&self) {
        self.world.pool.scrub_start(false, self.world.now()).unwrap();
    }

    fn pass(&self) -> Pass {
        self.world.pool.scrub_pass().unwrap()
    }

    fn flip(&self, piece: &Piece) {
        let at = u64::from(piece.place.offset + piece.place.length / 2);
        self.world.disk.corrupt(&file_of(&self.world, piece.place.segment), at, 0x10).unwrap();
    }

    /// Extents that a file or several have.
    fn extents(&self) -> Vec<Piece> {
        let mut extents = pieces(&self.world);
        extents.retain(|piece| !piece.is_node);
        extents
    }
}

/// Of all that there was when the pass began and still is, what these reads did not have whole.
fn unread(reads: &[(String, Range<u64>)], scrubbed: &Scrubbed, of: &[Piece]) -> Vec<SlotId> {
    let mut by_file: BTreeMap<&str, Vec<&Range<u64>>> = BTreeMap::new();
    reads.iter().for_each(|(name, range)| by_file.entry(name).or_default().push(range));
    let is_read = |piece: &Piece| {
        let (first, end) = (u64::from(piece.place.offset), u64::from(piece.place.end()));
        let ranges = by_file.get(&*file_of(&scrubbed.world, piece.place.segment));
        ranges.is_some_and(|ranges| ranges.iter().any(|range| range.start <= first && end <= range.end))
    };
    let there: BTreeSet<SlotId> = pieces(&scrubbed.world).iter().map(|piece| piece.id).collect();
    of.iter().filter(|piece| there.contains(&piece.id) && !is_read(piece)).map(|piece| piece.id).collect()
}

#[test]
fn whatever_ends_the_pool_the_pass_goes_on_and_reads_all_that_there_was() {
    let mut scrubbed = Scrubbed::new(world());
    let extents = scrubbed.extents();
    [3, extents.len() / 2, extents.len() - 3].iter().for_each(|at| scrubbed.flip(&extents[*at]));
    scrubbed.start();
    let there = pieces(&scrubbed.world);
    let last = SegmentId(scrubbed.pass().end.segment().0 - 1);
    assert!(there.iter().any(|piece| piece.id.segment() == last), "nothing is in the last segment");
    let began = (scrubbed.world.disk.duplicate(), scrubbed.world.seconds);
    let mut whole = Scrubbed::open(Arc::new(began.0), began.1).unwrap();
    whole.finish();
    let whole = whole.pass();
    assert!(whole.found >= 3 && whole.damage.len() as u64 == whole.found, "{whole:?}");

    scrubbed.seen.lock().keeps = true;
    // How many moments there were when each step began, and how far the pass was.
    let mut steps = vec![(0, 0)];
    while !scrubbed.step().unwrap() {
        steps.push((scrubbed.seen.lock().moments.len(), scrubbed.pass().bytes));
    }
    let Seen { reads: all, moments, .. } = std::mem::take(&mut *scrubbed.seen.lock());
    assert_eq!(unread(&all, &scrubbed, &there), []);
    let (mut choices, mut resumed) = (Choices::new(1), 0);
    assert!(moments.len() > 300, "{}", moments.len());
    for (number, (reads, disk)) in moments.into_iter().enumerate() {
        let disk = disk.crash(&mut |limit| choices.below(limit));
        let mut after = Scrubbed::open(Arc::new(disk), scrubbed.world.seconds).unwrap();
        let found = after.pass();
        let step = steps.partition_point(|(first, _)| *first <= number) - 1;
        let long_ago = step.saturating_sub((KEPT_EVERY_SECS / STEP_SECS + 1) as usize);
        assert!(found.bytes >= steps[long_ago].1, "the place is too old: {found:?}, step {step} of {steps:?}");
        if found.state == PassState::Running {
            resumed += u32::from(found.next > SlotId(0));
            after.finish();
        }
        let reads = [&all[..reads], &after.seen.lock().reads].concat();
        assert_eq!(unread(&reads, &after, &there), [], "{found:?}");
        let ended = after.pass();
        assert_eq!((&ended.damage, ended.found), (&whole.damage, whole.found), "{found:?}");
        // Pages of the slot table that a piece ends in are read twice.
        assert!(ended.objects <= there.len() as u64 + 20 && ended.begun == whole.begun, "{ended:?} {}", there.len());
    }
    assert!(resumed > 200, "{resumed}");
}

#[test]
fn a_pool_that_is_closed_goes_on_exactly_where_it_was() {
    let mut scrubbed = Scrubbed::new(world());
    scrubbed.start();
    let mut before = scrubbed.pass();
    loop {
        let is_last = scrubbed.step().unwrap();
        let pass = scrubbed.pass();
        assert!(pass.next > before.next && pass.bytes > before.bytes || is_last);
        if is_last {
            break;
        }
        scrubbed.world.pool.close(scrubbed.world.now()).unwrap();
        scrubbed = Scrubbed::open(Arc::clone(&scrubbed.world.disk), scrubbed.world.seconds).unwrap();
        assert_eq!(scrubbed.pass(), pass);
        before = pass;
    }
    let pass = scrubbed.pass();
    assert_eq!((pass.state, pass.found), (PassState::Finished, 0));
    // Each extent and node was read once: those that the commits of closing replaced may not have been there any more.
    let there = pieces(&scrubbed.world).iter().filter(|piece| piece.id < pass.end).count() as u64;
    assert!((there..=there + 60).contains(&pass.objects), "{} of {there}", pass.objects);
}

#[test]
fn damage_is_stored_as_soon_as_it_is_found() {
    let scrubbed = Scrubbed::new(world());
    scrubbed.flip(&scrubbed.extents()[0]);
    scrubbed.start();
    let (now, mut choices) = (scrubbed.world.now(), Choices::new(5));
    while scrubbed.pass().found == 0 {
        // No time goes by, so nothing is stored for that.
        assert!(!scrubbed.world.pool.scrub_step(BUDGET, now).unwrap().idle);
    }
    let left = Arc::new(scrubbed.world.disk.crash(&mut |limit| choices.below(limit)));
    let after = Scrubbed::open(left, scrubbed.world.seconds).unwrap();
    assert_eq!(after.pass(), scrubbed.pass());
}

/// What was ordered, in order, and what the pass is then.
const ORDERS: [(&str, PassState); 8] = [
    ("start", PassState::Running),
    ("step", PassState::Running),
    ("pause", PassState::Paused),
    ("step", PassState::Paused),
    ("start", PassState::Running),
    ("anew", PassState::Running),
    ("step", PassState::Running),
    ("cancel", PassState::Cancelled),
];

fn order(scrubbed: &mut Scrubbed, order: &str) -> Result<()> {
    let (pool, now) = (scrubbed.world.pool.clone(), scrubbed.world.now());
    match order {
        "start" => pool.scrub_start(false, now),
        "anew" => pool.scrub_start(true, now),
        "pause" => pool.scrub_pause(now),
        "cancel" => pool.scrub_cancel(now),
        _ => scrubbed.step().map(drop),
    }
}

#[test]
fn what_was_ordered_holds_after_a_crash_at_any_operation() {
    let disk = world().disk;
    let mut choices = Choices::new(3);
    for fuse in 0.. {
        let mut scrubbed = Scrubbed::open(Arc::new(disk.duplicate()), 1000).unwrap();
        scrubbed.world.disk.set_fuse(Some(fuse));
        let mut may_be = vec![None];
        for (ordered, state) in ORDERS {
            scrubbed.world.seconds += 1;
            let promised = order(&mut scrubbed, ordered);
            match promised {
                Ok(()) => may_be = vec![Some(state)],
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned, "{ordered}");
                    may_be.push(Some(state));
                    break;
                }
            }
        }
        let is_last = may_be == [Some(PassState::Cancelled)];
        let left = Arc::new(scrubbed.world.disk.crash(&mut |limit| choices.below(limit)));
        let after = Scrubbed::open(left, 2000).unwrap();
        let found = after.world.pool.scrub_pass().map(|pass| pass.state);
        assert!(may_be.contains(&found), "{fuse}: {found:?} of {may_be:?}");
        if is_last {
            assert!(fuse > 15, "{fuse}");
            return;
        }
    }
}

#[test]
fn orders_that_make_no_sense_are_refused_and_steps_without_a_pass_do_nothing() {
    let scrubbed = Scrubbed::new(world());
    let (pool, now) = (&scrubbed.world.pool, scrubbed.world.now());
    let refused = |outcome: Result<()>| assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
    let does_nothing = || {
        let (commits, step) = (pool.counters().commits, pool.scrub_step(1 << 30, now).unwrap());
        assert_eq!((step.done, step.idle, step.damage, pool.counters().commits), (0, true, Vec::new(), commits));
    };
    assert_eq!(pool.scrub_pass(), None);
    does_nothing();
    [pool.scrub_pause(now), pool.scrub_cancel(now)].into_iter().for_each(refused);
    pool.scrub_start(false, now).unwrap();
    refused(pool.scrub_start(false, now));
    pool.scrub_pause(now).unwrap();
    refused(pool.scrub_pause(now));
    does_nothing();
    pool.scrub_cancel(now).unwrap();
    [pool.scrub_pause(now), pool.scrub_cancel(now)].into_iter().for_each(refused);
    does_nothing();
    pool.scrub_start(false, now).unwrap();
    assert!(pool.scrub_step(1 << 30, now).unwrap().idle);
    assert_eq!((scrubbed.pass().state, scrubbed.pass().last.unwrap().ended), (PassState::Finished, now));
    [pool.scrub_pause(now), pool.scrub_cancel(now)].into_iter().for_each(refused);
    does_nothing();
    pool.scrub_start(true, now).unwrap();
    assert_eq!((scrubbed.pass().state, scrubbed.pass().bytes), (PassState::Running, 0));
    assert_eq!(scrubbed.pass().last.unwrap().ended, now);
}

#[test]
fn an_order_during_a_step_counts_more_than_what_the_step_brings() {
    let began = Scrubbed::new(world());
    began.start();
    for (order, state) in [("pause", PassState::Paused), ("cancel", PassState::Cancelled), ("anew", PassState::Running)]
    {
        let disk = Arc::new(began.world.disk.duplicate());
        let mut scrubbed = Scrubbed::open(disk, began.world.seconds).unwrap();
        scrubbed.step().unwrap();
        let (before, pool, now) = (scrubbed.pass(), scrubbed.world.pool.clone(), scrubbed.world.now());
        let ordered = Arc::new(Mutex::new(false));
        let during = Arc::clone(&ordered);
        scrubbed.world.disk.watch(Some(Arc::new(move |_, operation| {
            if operation.kind == OperationKind::Read && !std::mem::replace(&mut *during.lock(), true) {
                match order {
                    "pause" => pool.scrub_pause(now).unwrap(),
                    "cancel" => pool.scrub_cancel(now).unwrap(),
                    _ => pool.scrub_start(true, now).unwrap(),
                }
            }
        })));
        scrubbed.world.pool.scrub_step(BUDGET, now).unwrap();
        scrubbed.world.disk.watch(None);
        assert!(*ordered.lock());
        let after = scrubbed.pass();
        assert_eq!(after.state, state);
        match order {
            "pause" => assert!(after.bytes > before.bytes && after.next > before.next, "what was read counts"),
            "cancel" => assert_eq!((after.bytes, after.next), (before.bytes, before.next)),
            _ => assert_eq!((after.bytes, after.next, after.begun), (0, SlotId(0), now)),
        }
    }
}

#[test]
fn damage_before_the_place_is_found_by_this_pass_and_damage_behind_it_by_the_next() {
    let began = Scrubbed::new(world());
    began.start();
    let paths = |pass: &Pass| -> BTreeSet<(Option<String>, Option<String>, Option<u64>)> {
        let damage = pass.damage.iter().cloned();
        damage.map(|Damage { dataset, path, offset, .. }| (dataset, path, offset)).collect()
    };
    let (mut of_this, mut of_next, mut of_files) = (0, 0, 0);
    for (number, piece) in began.extents().into_iter().enumerate() {
        let disk = Arc::new(began.world.disk.duplicate());
        let mut scrubbed = Scrubbed::open(disk, began.world.seconds).unwrap();
        for _ in 0..number % 20 {
            scrubbed.step().unwrap();
        }
        let is_behind = piece.id < scrubbed.pass().next;
        scrubbed.flip(&piece);
        if number % 2 == 0 {
            scrubbed.world.pool.close(scrubbed.world.now()).unwrap();
            scrubbed = Scrubbed::open(Arc::clone(&scrubbed.world.disk), scrubbed.world.seconds).unwrap();
        }
        scrubbed.finish();
        let first = scrubbed.pass();
        assert_eq!(first.found == 0, is_behind, "{piece:?} {first:?}");
        scrubbed.start();
        assert_eq!((scrubbed.pass().found, scrubbed.pass().damage.len()), (0, 0), "what was found is forgotten");
        scrubbed.finish();
        let second = scrubbed.pass();
        assert!(!paths(&second).is_empty() && (is_behind || paths(&first) == paths(&second)));
        // Some are only of what is being reclaimed.
        of_files += second.damage.iter().filter(|damage| damage.path.is_some() && damage.offset.is_some()).count();
        (of_this, of_next) = (of_this + u32::from(!is_behind), of_next + u32::from(is_behind));
    }
    assert!(of_this > 20 && of_next > 20 && of_files > 40, "{of_this} {of_next} {of_files}");
}

#[test]
fn whatever_is_damaged_a_pass_ends_and_the_pool_takes_writes() {
    let mut places: Vec<Place> = Vec::new();
    let began = Scrubbed::new(world());
    began.start();
    let view = began.world.core().committed_view().unwrap();
    let account = began.world.core().store.account().view(&view.roots.account);
    account.for_each_page(&mut |place| places.push(place)).unwrap();
    drop(view);
    places.extend(pieces(&began.world).iter().filter(|piece| piece.is_node).map(|piece| piece.place));
    for place in places {
        let disk = Arc::new(began.world.disk.duplicate());
        let mut scrubbed = Scrubbed::open(disk, began.world.seconds).unwrap();
        let name = file_of(&scrubbed.world, place.segment);
        scrubbed.world.disk.corrupt(&name, u64::from(place.offset) + 7, 1).unwrap();
        scrubbed.world.core().store.clear_caches();
        let commits = scrubbed.world.pool.counters().commits;
        scrubbed.finish();
        assert!(scrubbed.world.pool.counters().commits > commits);
        scrubbed.world.pool.scrub_start(true, scrubbed.world.now()).unwrap();
        scrubbed.world.core().check().unwrap();
        assert_eq!(scrubbed.pass().state, PassState::Running, "{place:?}");
    }
}

#[test]
fn a_pass_ends_though_more_is_written_than_it_reads() {
    let mut scrubbed = Scrubbed::new(world());
    scrubbed.start();
    let mut steps = 0;
    while !scrubbed.step().unwrap() {
        steps += 1;
        scrubbed.world.put("e", &format!("more{steps}"), 0, 1000 + 2 * steps, 4 * BUDGET as usize);
        scrubbed.world.commit();
        assert!(steps < 200, "it does not end: {:?}", scrubbed.pass());
    }
    assert!(steps > 10);
    let extents = scrubbed.extents();
    let newest = extents.last().unwrap();
    assert!(newest.id >= scrubbed.pass().end);
}

#[test]
fn the_place_is_stored_every_few_seconds_and_not_more_often() {
    let mut scrubbed = Scrubbed::new(world());
    scrubbed.start();
    let (mut steps, before) = (0, scrubbed.world.pool.counters().commits);
    while !scrubbed.step().unwrap() {
        steps += 1;
    }
    let commits = (scrubbed.world.pool.counters().commits - before) as i64;
    let expected = steps / (1 + (KEPT_EVERY_SECS - 1) / STEP_SECS);
    assert!((expected..=expected + 2).contains(&commits) && expected > 5, "{commits} of {expected}");
    // A clock that went back is no reason to wait.
    scrubbed.start();
    scrubbed.world.seconds -= 100_000;
    let before = scrubbed.world.pool.counters().commits;
    scrubbed.step().unwrap();
    assert_eq!(scrubbed.world.pool.counters().commits, before + 1);
}
