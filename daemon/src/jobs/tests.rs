use std::sync::mpsc::{Receiver, Sender, channel};

use cow_api::v1::TransferReport;

use super::*;
use crate::events::Heard;

const LONG: Duration = Duration::from_secs(60);

fn jobs(running: usize, kept: usize) -> (Arc<Jobs>, Arc<Events>) {
    let events = Arc::new(Events::default());
    (Jobs::new(Limits { running, kept }, events.clone()), events)
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
