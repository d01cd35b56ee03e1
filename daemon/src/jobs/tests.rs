use std::sync::mpsc::{Receiver, Sender, channel};

use cow_api::v1::{JobLevel, TransferReport};

use super::*;
use crate::events::Heard;

const LONG: Duration = Duration::from_secs(60);

fn jobs(running: usize, kept: usize) -> (Arc<Jobs>, Arc<Events>) {
    let events = Arc::new(Events::default());
    (Jobs::new(Limits { running, kept }, events.clone(), memory()).unwrap(), events)
}

/// A state of its own, in memory as far as anybody else is concerned: its files have no names any more.
fn memory() -> Arc<crate::state::State> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    // In memory, as a thousand jobs are two thousand syncs.
    let path = std::path::PathBuf::from(format!("/dev/shm/cow-jobs-{}-{number}", std::process::id()));
    let state = crate::state::State::open(&path).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    Arc::new(state)
}

fn done() -> Result<JobReport, Problem> {
    Ok(JobReport::Import(TransferReport::default()))
}

/// A job that runs until it is told how to end, or is cancelled.
fn gated() -> (Sender<Result<JobReport, Problem>>, Work) {
    let (end, ends): (_, Receiver<Result<JobReport, Problem>>) = channel();
    let work = move |ticket: &Ticket| {
        loop {
            if let Ok(outcome) = ends.recv_timeout(Duration::from_millis(1)) {
                return outcome;
            }
            if !ticket.progress(10, Some(40)) {
                return Err(ticket.cancelled());
            }
        }
    };
    (end, Box::new(work))
}

fn start(jobs: &Arc<Jobs>, work: Work) -> u64 {
    jobs.start(JobKind::Import, "/from to", work).unwrap().id
}

fn state(jobs: &Arc<Jobs>, id: u64) -> JobState {
    jobs.get(id).unwrap().progress.state
}

#[test]
fn jobs_end_as_done_failed_cancelled_or_panicked() {
    let (jobs, events) = jobs(8, 8);
    let works: [(Work, JobState); 4] = [
        (Box::new(|_| done()), JobState::Done),
        (Box::new(|_| Err(Problem::new(Code::NoSpace, "cannot write"))), JobState::Failed),
        (Box::new(|_| panic!("a job that panics, as this test wants")), JobState::Failed),
        (Box::new(|ticket| Err(ticket.cancelled())), JobState::Cancelled),
    ];
    for (work, expected) in works {
        let id = start(&jobs, work);
        let ended = jobs.wait(id, LONG).unwrap();
        assert_eq!(ended.progress.state, expected);
        assert_eq!(ended.report.is_some(), expected == JobState::Done);
        assert_eq!(ended.problem.is_some(), expected != JobState::Done);
        assert!(ended.started.is_some() && ended.ended.is_some());
        assert_eq!(jobs.cancel(id).unwrap_err().code, Code::Conflict);
    }
    assert_eq!(jobs.active(), 0);
    assert_eq!(jobs.ended()[&(JobKind::Import, JobState::Failed)], 2);
    assert_eq!(jobs.get(99).unwrap_err().code, Code::NotFound);
    // Every job was announced, and its end was the last that was heard of it.
    let mut heard = 0;
    let mut last = HashMap::new();
    while let Heard::Event(event) = events.next(&mut heard, Duration::ZERO) {
        let Happening::Job { job } = &event.happening else { panic!("{event:?}") };
        last.insert(job.id, job.progress.state);
    }
    assert_eq!(last.len(), 4);
    assert!(last.values().all(|state| state.has_ended()), "{last:?}");
}

#[test]
fn more_than_the_limit_wait_and_can_be_cancelled_there() {
    let (jobs, _) = jobs(2, 100);
    let gates: Vec<_> = (0..4).map(|_| gated()).collect();
    let (ends, ids): (Vec<_>, Vec<_>) = gates.into_iter().map(|(end, work)| (end, start(&jobs, work))).unzip();
    let states = || ids.iter().map(|id| state(&jobs, *id)).collect::<Vec<_>>();
    let (queued, running) = (JobState::Queued, JobState::Running);
    assert_eq!(states(), [running, running, queued, queued]);
    jobs.cancel(ids[2]).unwrap();
    assert_eq!(states(), [running, running, JobState::Cancelled, queued]);
    ends[0].send(done()).unwrap();
    jobs.wait(ids[0], LONG).unwrap();
    assert_eq!(states(), [JobState::Done, running, JobState::Cancelled, running]);
    jobs.cancel(ids[1]).unwrap();
    assert_eq!(jobs.wait(ids[1], LONG).unwrap().progress.state, JobState::Cancelled);
    assert_eq!(jobs.wait(ids[3], Duration::ZERO).unwrap().progress.state, running);
    assert_eq!(jobs.active(), 1);
    assert!(jobs.stop(LONG));
    assert_eq!(state(&jobs, ids[3]), JobState::Cancelled);
    assert_eq!(jobs.start(JobKind::Verify, "x", Box::new(|_| done())).unwrap_err().code, Code::Unavailable);
}

#[test]
fn jobs_of_one_host_leave_a_place_to_those_of_others() {
    let (jobs, _) = jobs(3, 100);
    let begin = |hosts: &[u64]| {
        let (end, work) = gated();
        let id = jobs.start_on(hosts.iter().copied().collect(), JobKind::Sync, "x", work).unwrap().id;
        let running = state(&jobs, id) == JobState::Running;
        (end, id, running)
    };
    let end = |(end, id, _): &(Sender<_>, u64, bool)| {
        end.send(done()).unwrap();
        jobs.wait(*id, LONG).unwrap();
    };
    let is_running = |(_, id, _): &(Sender<_>, u64, bool)| state(&jobs, *id) == JobState::Running;
    let (first, second, third, both) = (begin(&[1]), begin(&[1, 3]), begin(&[1]), begin(&[1, 2]));
    assert_eq!([first.2, second.2, third.2, both.2], [true, true, false, false]);
    // Others pass those by, until all places are taken.
    let (other, last) = (begin(&[2, 3]), begin(&[]));
    assert_eq!([other.2, last.2], [true, false]);
    end(&other);
    assert_eq!([&third, &both, &last].map(is_running), [false, false, true]);
    // What has ended gives its place back, and those that waited longest are first.
    end(&second);
    assert_eq!([&third, &both].map(is_running), [true, false]);
    jobs.cancel(first.1).unwrap();
    jobs.wait(first.1, LONG).unwrap();
    assert!(is_running(&both));
    assert!(jobs.stop(LONG));

    let alone = Jobs::new(Limits { running: 1, kept: 3 }, Arc::default(), memory()).unwrap();
    let only = alone.start_on(BTreeSet::from([1]), JobKind::Sync, "x", Box::new(|_| done())).unwrap();
    assert_eq!(alone.wait(only.id, LONG).unwrap().progress.state, JobState::Done);
}

#[test]
fn history_and_queue_are_bounded() {
    let (jobs, _) = jobs(1, 3);
    let (end, work) = gated();
    let running = start(&jobs, work);
    let queued: Vec<u64> = (0..QUEUED_MAX).map(|_| start(&jobs, Box::new(|_| done()))).collect();
    assert_eq!(jobs.start(JobKind::Verify, "x", Box::new(|_| done())).unwrap_err().code, Code::Unavailable);
    end.send(done()).unwrap();
    let last = *queued.last().unwrap();
    jobs.wait(last, LONG).unwrap();
    let left: Vec<u64> = jobs.list().iter().map(|job| job.id).collect();
    assert_eq!(left, [last, last - 1, last - 2]);
    assert_eq!(jobs.get(running).unwrap_err().code, Code::NotFound);
}

#[test]
fn jobs_and_their_logs_are_remembered_over_a_restart_and_interrupted_ones_end_once() {
    let memory = memory();
    let started = || Jobs::new(Limits { running: 1, kept: 3 }, Arc::default(), memory.clone()).unwrap();
    let first = started();
    let done_id = start(
        &first,
        Box::new(|ticket| {
            ticket.note(JobLevel::Info, "hello");
            done()
        }),
    );
    first.wait(done_id, LONG).unwrap();
    let (release, work) = gated();
    let cut = start(
        &first,
        Box::new(move |ticket| {
            ticket.step("the first step");
            work(ticket)
        }),
    );
    let waiting = start(&first, Box::new(|_| done()));
    while history::all(&memory)
        .unwrap()
        .iter()
        .all(|remembered| remembered.job.id != cut || remembered.lines.is_empty())
    {
        std::thread::yield_now();
    }
    // As after kill -9: the first daemon's memory is not asked any more.
    let second = started();
    assert_eq!(second.interrupted().iter().map(|job| job.id).collect::<Vec<_>>(), [cut, waiting]);
    assert_eq!(state(&second, done_id), JobState::Done);
    assert_eq!(second.log(done_id).unwrap().lines[0].text, "hello");
    assert_eq!(second.log(cut).unwrap().lines[0].text, "the first step");
    second.ticket(cut).unwrap().step("undoing it");
    second.conclude(cut, Err(Problem::new(Code::Unavailable, "cowd was killed; undone")));
    second.conclude(waiting, Err(Problem::new(Code::Cancelled, "it had not begun")));
    second.conclude(waiting, done());
    assert_eq!((state(&second, cut), state(&second, waiting)), (JobState::Failed, JobState::Cancelled));
    let next = start(&second, Box::new(|_| done()));
    assert_eq!(next, waiting + 1, "numbers go on");
    second.wait(next, LONG).unwrap();
    let third = started();
    assert_eq!(third.list().iter().map(|job| job.id).collect::<Vec<_>>(), [next, waiting, cut]);
    assert_eq!(third.log(cut).unwrap().lines.last().unwrap().text, "undoing it");
    release.send(done()).unwrap();
}

#[test]
fn a_log_is_bounded_and_keeps_what_matters() {
    let ticket = Ticket::new(1, Box::new(|_| {}));
    (0..20_000).for_each(|number| ticket.note(JobLevel::Debug, number.to_string()));
    ticket.note(JobLevel::Error, "é".repeat(1 << 20));
    let lines = ticket.lines();
    assert_eq!(lines.len(), 10_002);
    assert!(lines[10_000].text.len() < 140 << 10 && lines[10_000].text.ends_with("[cut]"));
    assert!(lines[10_001].text.starts_with("10000 more lines"), "{}", lines[10_001].text);
}
