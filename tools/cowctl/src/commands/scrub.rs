//! `cowctl scrub`: starts, pauses and ends scrubbing, and tells what it found.

use std::thread;
use std::time::Duration;

use cow_api::size::ByteSize;
use cow_api::time::Time;
use cow_api::v1::{Code, Scrub, ScrubProgress, ScrubState, StartScrub, path};
use serde_json::json;

use crate::arguments::{Command, Flag, Given};
use crate::commands::Session;
use crate::failure::Failure;
use crate::follow::duration;
use crate::output::Tone;
use crate::render;

/// How often `--wait` asks whether it has ended.
const POLL: Duration = Duration::from_millis(500);

const ANEW: Flag = Flag {
    short: None,
    long: "anew",
    value: None,
    about: "With start, begin at the beginning, whatever runs or is paused",
};
const WAIT: Flag =
    Flag { short: Some('w'), long: "wait", value: None, about: "With start, wait for its end and print what it found" };

pub const COMMAND: Command = Command {
    name: "scrub",
    about: "Read and check all that is stored bit by bit, beside everything else",
    operands: "start | status | pause | cancel",
    count: 1..=1,
    flags: &[ANEW, WAIT],
    more: "start goes on with a scrub that is paused. A restart of the daemon ends none: one that runs goes on, and\n\
           one that is paused stays paused. What it found is listed until the next one begins. Nothing is repaired,\n\
           as there is no second copy. status, and start --wait, exit with 10 when something is damaged.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let order = given.operands.first().map_or("", String::as_str);
    let (anew, wait) = (given.has("anew"), given.has("wait"));
    if (anew || wait) && order != "start" {
        return Err(Failure::usage(format!("scrub: {order} takes no flags"), "--anew and --wait go with start"));
    }
    match order {
        "status" => told(session, &session.client.get(path::SCRUB)?),
        "start" => {
            let scrub: Scrub = session.client.post(&path::scrub_verb("start"), &StartScrub { anew })?;
            if wait { follow(session) } else { done(session, &scrub) }
        }
        "pause" | "cancel" => done(session, &session.client.post(&path::scrub_verb(order), &json!({}))?),
        _ => Err(Failure::usage(format!("scrub: '{order}' makes no sense"), "give start, status, pause or cancel")),
    }
}

fn done(session: &Session<'_>, scrub: &Scrub) -> Result<(), Failure> {
    session.output.result("scrub", scrub, || session.output.line(&line(&scrub.progress)))
}

fn follow(session: &Session<'_>) -> Result<(), Failure> {
    loop {
        let scrub: Scrub = session.client.get(path::SCRUB)?;
        match scrub.progress.state {
            ScrubState::Running => thread::sleep(POLL),
            ScrubState::Finished => return told(session, &scrub),
            state => return Err(Failure::problem(Code::Cancelled, format!("the scrub was {}", state.as_str()))),
        }
    }
}

/// Prints all that is known. Damage is a failure.
fn told(session: &Session<'_>, scrub: &Scrub) -> Result<(), Failure> {
    session.output.result("scrub", scrub, || print(session, scrub))?;
    if scrub.progress.found > 0 { Err(Failure::Told(10)) } else { Ok(()) }
}

fn print(session: &Session<'_>, scrub: &Scrub) -> Result<(), Failure> {
    let progress = &scrub.progress;
    let tone = if progress.found > 0 { Tone::Bad } else { Tone::Good };
    let mut lines = vec![("Scrub", state(progress))];
    if progress.state != ScrubState::Never {
        lines.push(("Read", read(progress)));
        lines.push(("Damage", session.output.paint(tone, &damage(progress.found))));
    }
    if progress.state == ScrubState::Running && progress.rate > 0.0 {
        let left = progress.eta_seconds.map_or_else(String::new, |seconds| format!(", {} left", duration(seconds)));
        lines.push(("Rate", format!("{}/s{left}", ByteSize(progress.rate as u64))));
    }
    if let Some(finished) = progress.finished.filter(|_| progress.state != ScrubState::Finished) {
        lines.push(("Last", format!("finished {}, {} damaged", moment(finished), progress.finished_found)));
    }
    if let Some(next) = progress.next {
        lines.push(("Next", moment(next)));
    }
    lines.iter().try_for_each(|(name, text)| session.output.line(&format!("{:<9}{text}", format!("{name}:"))))?;
    scrub.damage.iter().try_for_each(|damage| render::damage(session, damage))?;
    match progress.found.saturating_sub(scrub.damage.len() as u64) {
        0 => Ok(()),
        more => session.output.line(&format!("and {more} more, which are not listed")),
    }
}

/// How it is, in a line.
pub fn line(progress: &ScrubProgress) -> String {
    let damaged = match progress.found {
        0 => String::new(),
        found => format!("; {found} damaged, see 'cowctl scrub status'"),
    };
    let percent = match progress.state {
        ScrubState::Running | ScrubState::Paused => format!(", {:.1}%", progress.percent),
        _ => String::new(),
    };
    format!("{}{percent}{damaged}", state(progress))
}

fn state(progress: &ScrubProgress) -> String {
    let at = |time: Option<Time>| time.map_or_else(String::new, |time| format!(" {}", moment(time)));
    match progress.state {
        ScrubState::Never => "never".to_owned(),
        ScrubState::Running => format!("running, begun{}", at(progress.begun)),
        state => format!("{}{}", state.as_str(), at(progress.since)),
    }
}

fn read(progress: &ScrubProgress) -> String {
    let ScrubProgress { bytes_done, bytes_total, percent, objects, .. } = *progress;
    match progress.state {
        ScrubState::Finished => format!("{}, {objects} objects", ByteSize(bytes_done)),
        _ => format!("{} of {} ({percent:.1}%), {objects} objects", ByteSize(bytes_done), ByteSize(bytes_total)),
    }
}

fn damage(found: u64) -> String {
    match found {
        0 => "none".to_owned(),
        1 => "1 thing is damaged".to_owned(),
        found => format!("{found} things are damaged"),
    }
}

fn moment(time: Time) -> String {
    Time { nanoseconds: 0, ..time }.to_string()
}
