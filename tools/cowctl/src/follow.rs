//! Jobs: shows how far one is until it ends.
//!
//! Invariant: the job is the daemon's. That cowctl ends, however it does, changes nothing for it.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cow_api::size::ByteSize;
use cow_api::v1::{Code, Job, JobState, Progress, path};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::commands::Session;
use crate::failure::Failure;

/// Characters of the bar.
const BAR_LEN: usize = 30;

/// Looks at a job until it has ended, and returns it if it is done.
pub fn follow(session: &Session<'_>, mut job: Job) -> Result<Job, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    // The second Ctrl-C in a row ends cowctl at once, as nobody is there to answer.
    let heard = flag::register_conditional_shutdown(SIGINT, 1, Arc::clone(&interrupted))
        .and_then(|_| flag::register(SIGINT, Arc::clone(&interrupted)));
    heard.map_err(|error| Failure::problem(Code::Io, format!("cannot listen for Ctrl-C: {error}")))?;
    let bar = Bar { shown: io::stderr().is_terminal() };
    while !job.progress.state.has_ended() {
        bar.draw(&job);
        // The answer comes when the job has ended, or after a second.
        job = session.client.get(&format!("{}?wait=1", path::job(job.id)))?;
        if interrupted.load(Ordering::Relaxed) && !job.progress.state.has_ended() {
            bar.clear();
            ask_what_to_do(session, &job)?;
            interrupted.store(false, Ordering::Relaxed);
        }
    }
    bar.clear();
    ended(job)
}

/// The job, if it is done; otherwise why not.
pub fn ended(job: Job) -> Result<Job, Failure> {
    match (job.progress.state, job.problem) {
        (JobState::Failed, Some(problem)) => Err(problem.into()),
        (JobState::Failed, None) => Err(Failure::problem(Code::Unknown, format!("job {} failed", job.id))),
        (JobState::Cancelled, problem) => {
            let told = problem.map_or_else(|| format!("job {} was cancelled", job.id), |problem| problem.detail);
            Err(Failure::problem(Code::Cancelled, told))
        }
        (_, problem) => Ok(Job { problem, ..job }),
    }
}

/// After Ctrl-C: cancels the job, goes on, or leaves it.
fn ask_what_to_do(session: &Session<'_>, job: &Job) -> Result<(), Failure> {
    let id = job.id;
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        let answer = ask(&format!("Job {id} goes on without us. Cancel it, follow it, or leave it? [c/f/L] "));
        match answer.to_ascii_lowercase().as_str() {
            "f" | "follow" => return Ok(()),
            "c" | "cancel" => return session.client.delete::<Job>(&path::job(id)).map(drop),
            _ => {}
        }
    }
    session.output.note(&format!(
        "Job {id} goes on. Follow it with 'cowctl job follow {id}', end it with 'cowctl job cancel {id}'."
    ));
    Err(Failure::Told(1))
}

/// Asks the user on the terminal; nothing where there is no answer.
pub fn ask(question: &str) -> String {
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question}").and_then(|()| io::stderr().flush());
    let answered = asked.and_then(|()| io::stdin().read_line(&mut answer));
    if answered.is_ok() { answer.trim().to_owned() } else { String::new() }
}

/// A line on the terminal that is drawn again and again.
struct Bar {
    shown: bool,
}

impl Bar {
    fn draw(&self, job: &Job) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K{}", line(&job.progress));
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A job's progress in a line of less than 80 columns.
fn line(progress: &Progress) -> String {
    if progress.state == JobState::Queued {
        return "waiting for its turn".to_owned();
    }
    let percent = progress.percent.unwrap_or(0.0).clamp(0.0, 100.0);
    let full = (percent / 100.0 * BAR_LEN as f64) as usize;
    let bar = format!("[{}{}]", "#".repeat(full), "-".repeat(BAR_LEN - full));
    let done = ByteSize(progress.bytes_done);
    let known = progress.percent.is_some();
    let head = if known { format!("{bar} {percent:5.1}%  {done}") } else { done.to_string() };
    let rate = ByteSize(progress.rate.max(0.0) as u64);
    let left = progress.eta_seconds.map_or_else(String::new, |seconds| format!("  {} left", duration(seconds)));
    format!("{head}  {rate}/s{left}")
}

/// Seconds as people write them.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_fits_on_a_line() {
        let progress = Progress {
            state: JobState::Running,
            percent: Some(50.0),
            bytes_done: 3 << 29,
            bytes_total: Some(3 << 30),
            rate: 123.4e6,
            eta_seconds: Some(100_000_000),
        };
        let half = format!("[{}{}]  50.0%  1.5 GiB  117.7 MiB/s  1157d09h left", "#".repeat(15), "-".repeat(15));
        assert_eq!(line(&progress), half);
        assert!(half.len() < 80);
        let unknown = Progress { percent: None, bytes_total: None, eta_seconds: None, ..progress };
        assert_eq!(line(&unknown), "1.5 GiB  117.7 MiB/s");
        assert_eq!(line(&Progress { state: JobState::Queued, ..progress }), "waiting for its turn");
        assert!(line(&Progress { percent: Some(f64::NAN), rate: -1.0, ..progress }).len() < 80);
        assert_eq!(["5s", "1m05s", "1h01m", "2d00h"], [5, 65, 3_661, 172_800].map(duration));
    }
}
