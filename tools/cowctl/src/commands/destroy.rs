//! `cowctl destroy`: destroys datasets and snapshots, after saying what that takes along.

use std::io::{self, IsTerminal};

use cow_api::size::ByteSize;
use cow_api::v1::{Code, Destroy, Destroyed, DestroyedEach, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::Session;
use crate::failure::Failure;
use crate::follow::ask;
use crate::output::Tone;

/// Most names in a request, whose size is bounded.
const NAMES_MAX: usize = 2000;

pub const COMMAND: Command = Command {
    name: "destroy",
    about: "Destroy datasets and snapshots",
    operands: "DATASET[@SNAPSHOT]...",
    count: 1..=usize::MAX,
    flags: &[
        Flag { short: Some('n'), long: "dry-run", value: None, about: "Only print what would go, and what that frees" },
        Flag { short: Some('r'), long: "recursive", value: None, about: "Destroy all datasets below too" },
        Flag { short: Some('y'), long: "yes", value: None, about: "Do not ask" },
        Flag { short: None, long: "now", value: None, about: "Free the space at once: it cannot be undeleted" },
    ],
    more: "A dataset goes with its snapshots. Clones stay. Several go in one step, in their order, up to one that cannot.\n\
           'cowctl undelete' takes a destroy back for a while.\n\
           On a terminal you are asked first; elsewhere --now needs --yes.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let now = given.has("now");
    let on_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if now && !given.has("yes") && !given.has("dry-run") && !on_terminal {
        return Err(Failure::usage("destroy: --now cannot be undone, and nobody can be asked", "add --yes"));
    }
    if let Some(name) = given.operands.iter().find(|name| given.has("recursive") && name.contains('@')) {
        return Err(Failure::usage(format!("destroy: nothing is below {name}"), "--recursive is for datasets"));
    }
    let asks = !given.has("yes") && on_terminal;
    let requests = || given.operands.chunks(NAMES_MAX);
    if given.has("dry-run") || asks {
        let asked = requests().map(|names| request(session, given, names, true).map(|each| each.destroyed));
        let foreseen = asked.collect::<Result<Vec<_>, _>>()?.concat();
        if given.has("dry-run") {
            return session
                .output
                .result("destroyed", &foreseen, || foreseen.iter().try_for_each(|one| print(session, one)));
        }
        if !confirmed(session, &foreseen, now) {
            return Err(Failure::problem(Code::Cancelled, "nothing was destroyed"));
        }
    }
    let mut done = Vec::new();
    for names in requests() {
        let DestroyedEach { destroyed, problem } = request(session, given, names, false)?;
        // What went is told also when something after it did not.
        if !session.output.json {
            destroyed.iter().try_for_each(|one| print(session, one))?;
        }
        problem.map_or(Ok(()), |problem| Err(Failure::from(problem)))?;
        done.extend(destroyed);
    }
    session.output.result("destroyed", &done, || Ok(()))
}

fn request(session: &Session<'_>, given: &Given, names: &[String], dry_run: bool) -> Result<DestroyedEach, Failure> {
    let (recursive, now) = (given.has("recursive"), given.has("now"));
    session.client.post(path::DESTROY, &Destroy { names: names.to_vec(), recursive, now, dry_run })
}

fn confirmed(session: &Session<'_>, foreseen: &[Destroyed], now: bool) -> bool {
    for destroyed in foreseen {
        session.output.note(&summary(destroyed, "would destroy"));
    }
    let undone = if now { "This cannot be undone." } else { "'cowctl undelete' can take it back for a while." };
    let answer = ask(&format!("{undone} Go on? [y/N] "));
    ["y", "yes"].contains(&answer.to_ascii_lowercase().as_str())
}

fn print(session: &Session<'_>, destroyed: &Destroyed) -> Result<(), Failure> {
    if !destroyed.dry_run {
        session.output.line(&summary(destroyed, "Destroyed"))?;
        return match destroyed.undelete_until {
            Some(until) => session.output.line(&format!("'cowctl undelete {}' works until {until}", destroyed.name)),
            None => Ok(()),
        };
    }
    for name in destroyed.datasets.iter().chain(&destroyed.snapshots) {
        session.output.line(&session.output.paint(Tone::Bad, &format!("would destroy {name}")))?;
    }
    match destroyed.frees {
        Some(frees) => session.output.line(&format!("would free {}", ByteSize(frees))),
        None => Ok(()),
    }
}

fn summary(destroyed: &Destroyed, verb: &str) -> String {
    let Destroyed { name, datasets, snapshots, frees, .. } = destroyed;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let others = datasets.iter().chain(snapshots).filter(|other| *other != name).count();
    let along = match others {
        0 => String::new(),
        _ => format!(" ({}, {})", count(datasets.len(), "dataset"), count(snapshots.len(), "snapshot")),
    };
    let frees = frees.map_or_else(String::new, |frees| format!(", {}", ByteSize(frees)));
    format!("{verb} {name}{along}{frees}")
}
