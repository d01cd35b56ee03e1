use cow_storage::catalog::Properties;
use cow_storage::executor::Inline;
use cow_storage::format::{InodeNumber, PoolId};
use cow_storage::fs::{AttributeChange, Caller, Context, NewObject, Stability};
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::{Budgets, NewPool};

use crate::events::Heard;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const MANUAL: Pace = Pace { interval: Duration::ZERO, rate: 500 << 20 };

fn open(simulator: &Arc<Simulator>) -> Pool {
    Pool::open(simulator.clone(), Arc::new(Inline), Budgets::default(), 3, clock::now()).unwrap()
}

/// A pool with a file of so many bytes that do not compress.
fn pool(length: u32) -> (Arc<Simulator>, Pool) {
    let simulator = Arc::new(Simulator::new());
    let media: Arc<dyn Media> = simulator.clone();
    let new = NewPool { id: PoolId([1; 16]), secret: [2; 32], segment_size: 1 << 20, intent_size: 8 << 20 };
    Pool::create(&media, &new).unwrap();
    let pool = open(&simulator);
    pool.create_dataset("a", &Properties::default(), clock::now()).unwrap();
    let context = Context { now: clock::now(), caller: Caller::Superuser, durable: true, call: None };
    let (object, initial) = (NewObject::Regular { exclusive: None }, AttributeChange::default());
    let files = pool.file_system("a").unwrap();
    let file = files.create(&context, InodeNumber::ROOT, b"f", &object, 0o644, &initial).unwrap().object.inode;
    let bytes: Vec<u8> = (0..length / 4).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    files.write(&context, file, 0, &bytes, Stability::File).unwrap();
    pool.commit(clock::now()).unwrap();
    (simulator, pool)
}

fn start(pool: &Pool, pace: Pace) -> (Scrubber, Arc<Events>) {
    let events = Arc::new(Events::default());
    (Scrubber::start(pool.clone(), pace, Arc::default(), events.clone()).unwrap(), events)
}

fn wait_until(reached: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < until, "it does not come to that");
        thread::sleep(Duration::from_millis(1));
    }
}

fn is(scrubber: &Scrubber, state: ScrubState) -> bool {
    scrubber.progress().state == state
}

/// How it was at each event.
fn heard(events: &Events) -> Vec<ScrubState> {
    let (mut number, mut states) = (0, Vec::new());
    while let Heard::Event(event) = events.next(&mut number, Duration::ZERO) {
        let Happening::Scrub { scrub } = &event.happening else { panic!("{event:?}") };
        states.push(scrub.state);
    }
    states
}

#[test]
fn it_does_what_it_is_told_and_nothing_by_itself() {
    let (_, pool) = pool(2_000_000);
    let (scrubber, events) = start(&pool, Pace { rate: 1 << 20, ..MANUAL });
    thread::sleep(Duration::from_millis(50));
    assert_eq!(scrubber.progress(), ScrubProgress::default());
    assert_eq!(scrubber.order(Order::Pause).unwrap_err().kind(), ErrorKind::Conflict);
    let began = Instant::now();
    scrubber.order(Order::Start { anew: false }).unwrap();
    wait_until(|| scrubber.progress().bytes_done > 0);
    scrubber.order(Order::Pause).unwrap();
    let paused = scrubber.progress();
    assert!(paused.state == ScrubState::Paused && paused.percent < 99.0 && paused.rate == 0.0, "{paused:?}");
    thread::sleep(Duration::from_millis(600));
    assert!(scrubber.progress().bytes_done <= paused.bytes_done + (256 << 10), "one step may have been under way");
    scrubber.order(Order::Start { anew: false }).unwrap();
    assert!(scrubber.progress().begun == paused.begun && scrubber.progress().bytes_done > 0);
    wait_until(|| scrubber.progress().eta_seconds.is_some());
    // It is told after it is seen, and what is ordered in between would be told instead.
    wait_until(|| heard(&events).last() == Some(&ScrubState::Finished));
    assert!(began.elapsed() > Duration::from_millis(500), "that was more than its rate");
    let ended = scrubber.progress();
    assert!(ended.percent == 100.0 && ended.found == 0 && ended.finished == ended.since && ended.next.is_none());
    scrubber.order(Order::Start { anew: false }).unwrap();
    scrubber.order(Order::Cancel).unwrap();
    assert_eq!((scrubber.progress().state, scrubber.progress().finished), (ScrubState::Cancelled, ended.finished));
    use ScrubState::{Cancelled, Finished, Paused, Running};
    assert_eq!(heard(&events), [Running, Paused, Running, Finished, Running, Cancelled]);
    let mut page = Page::default();
    scrubber.metrics(&mut page);
    let text = page.into_text();
    assert!(text.contains("\ncow_scrubs_total 1\n") && text.contains("\ncow_scrub_running 0\n"), "{text}");
}

#[test]
fn passes_follow_each_other_and_tell_of_damage() {
    let (simulator, pool) = pool(300_000);
    let (scrubber, _) = start(&pool, Pace { interval: Duration::from_secs(1), ..MANUAL });
    wait_until(|| is(&scrubber, ScrubState::Finished));
    assert_eq!(scrubber.shown().damage, []);
    for name in simulator.list().unwrap().iter().filter(|name| name.starts_with("data-")) {
        simulator.corrupt(name, 1000, 1).unwrap();
    }
    wait_until(|| scrubber.progress().finished_found > 0);
    let shown = scrubber.shown();
    let damage = &shown.damage[0];
    assert_eq!((damage.dataset.as_deref(), damage.path.as_deref(), damage.offset), (Some("a"), Some("/f"), Some(0)));
    let mut page = Page::default();
    scrubber.shared.damages.metrics(&mut page);
    assert!(!page.into_text().contains("cow_damage_found_total 0"));
}

#[test]
fn a_restart_ends_no_pass_and_starts_none() {
    let (simulator, pool) = pool(1_500_000);
    let pace = Pace { interval: Duration::from_millis(1), rate: 1 << 20 };
    let (scrubber, _) = start(&pool, pace);
    wait_until(|| scrubber.progress().bytes_done > 0);
    scrubber.order(Order::Pause).unwrap();
    let before = scrubber.progress();
    scrubber.stop();
    pool.close(clock::now()).unwrap();
    let pool = open(&simulator);
    let (scrubber, _) = start(&pool, pace);
    thread::sleep(Duration::from_millis(300));
    assert!(is(&scrubber, ScrubState::Paused) && scrubber.progress().bytes_done >= before.bytes_done);
    scrubber.order(Order::Start { anew: false }).unwrap();
    scrubber.stop();
    pool.close(clock::now()).unwrap();
    let pool = open(&simulator);
    let (scrubber, events) = start(&pool, MANUAL);
    // It is told a moment after it is so.
    wait_until(|| is(&scrubber, ScrubState::Finished) && !heard(&events).is_empty());
    assert_eq!((heard(&events), scrubber.progress().begun), (vec![ScrubState::Finished], before.begun));
}

#[test]
fn the_time_to_the_next_counts_from_the_end_of_the_last_also_over_restarts() {
    let (_, pool) = pool(1000);
    let pace = Pace { interval: Duration::from_secs(3600), ..MANUAL };
    let now = clock::now();
    let ended = Timestamp { seconds: now.seconds - 3598, ..now };
    pool.scrub_start(false, ended).unwrap();
    assert!(pool.scrub_step(1 << 30, ended).unwrap().idle);
    let (scrubber, _) = start(&pool, pace);
    let next = scrubber.progress().next.unwrap().seconds;
    assert!((now.seconds..now.seconds + 4).contains(&next), "{next} {now:?}");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(scrubber.progress().begun, Some(clock::time(ended)));
    wait_until(|| scrubber.progress().begun.is_some_and(|begun| begun.seconds >= now.seconds));
    // One whose clock was ahead keeps the next from coming for no more than the interval.
    let due = |since: i64| {
        let mut pass = pool.scrub_pass().unwrap();
        pass.set(PassState::Finished, Timestamp { seconds: since, nanoseconds: 0 });
        scrubber.shared.due_in(Some(&pass), now).unwrap()
    };
    assert_eq!(due(now.seconds + 1_000_000), pace.interval);
    assert_eq!((due(now.seconds - 600), due(0)), (Duration::from_secs(3000), Duration::ZERO));
}
