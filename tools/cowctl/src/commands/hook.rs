//! `cowctl hook`: scripts of users' own around what is done with a dSource or VDB.

use cow_api::v1::{Hook, HookPoint, Hooks, NewHook, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::virtualization::{USER, misused, required, script, table};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::table::Cell;

const AT: Flag = Flag { short: None, long: "at", value: Some("POINT"), about: "Run it there" };
const SCRIPT: Flag =
    Flag { short: None, long: "script-file", value: Some("FILE"), about: "Have bash do what is in FILE; - is stdin" };
const ENVIRONMENT: Flag = Flag {
    short: None,
    long: "env",
    value: Some("NAME"),
    about: "Run it on this environment; by default where the source is mounted",
};

pub const COMMAND: Command = Command {
    name: "hook",
    about: "Run scripts around what is done with a dSource or VDB",
    operands: "list SOURCE | add|show|remove SOURCE NAME",
    count: 2..=3,
    flags: &[AT, SCRIPT, ENVIRONMENT, USER, NO_HEADER, PARSABLE],
    more: "Points of dSources: pre-sync, post-sync. Of VDBs: pre-snapshot, post-snapshot, configure-clone, pre-refresh,\n\
           post-refresh, pre-rollback, post-rollback, pre-start, post-start, pre-stop, post-stop.\n\
           post-sync and post-snapshot run whatever happened, post-refresh and post-rollback only after success. A\n\
           hook that fails fails the operation. Hooks of one point run in the order in which they were added.\n\
           As in: cowctl hook add sales quiesce --at pre-sync --script-file quiesce.sh",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match words[..] {
        ["list", source] => list(session, given, source),
        ["add", source, name] => add(session, given, source, name),
        ["show", source, name] => {
            let hook: Hook = session.client.get(&path::hook(source, name))?;
            session.output.result("hook", &hook, || {
                let at = hook.at.as_str();
                session.output.line(&format!("# {at} of {}, as {} on {}", hook.source, hook.user, hook.environment))?;
                hook.script.iter().flat_map(|script| script.lines()).try_for_each(|line| session.output.line(line))
            })
        }
        ["remove", source, name] => {
            let hook: Hook = session.client.delete(&path::hook(source, name))?;
            session.output.result("hook", &hook, || session.output.line(&format!("Removed hook {name} of {source}")))
        }
        _ => Err(misused(&COMMAND)),
    }
}

fn add(session: &Session<'_>, given: &Given, source: &str, name: &str) -> Result<(), Failure> {
    let at = required(&COMMAND, given, "at")?;
    let unknown = || Failure::usage(format!("there is no point '{at}'"), "'cowctl help hook' lists them");
    let hook = NewHook {
        name: name.to_owned(),
        at: HookPoint::parse(&at).ok_or_else(unknown)?,
        script: script(&required(&COMMAND, given, "script-file")?)?,
        environment: given.value("env").map(str::to_owned),
        user: given.value("user").map(str::to_owned),
    };
    let hook: Hook = session.client.post(&path::source_part(source, "hooks"), &hook)?;
    session.output.result("hook", &hook, || session.output.line(&format!("Added hook {name}: {at} of {source}")))
}

fn list(session: &Session<'_>, given: &Given, source: &str) -> Result<(), Failure> {
    let hooks: Hooks = session.client.get(&path::source_part(source, "hooks"))?;
    session.output.result("hooks", &hooks, || {
        let rows = hooks.hooks.iter().map(|hook| {
            let [name, environment, user] = [&hook.name, &hook.environment, &hook.user].map(Cell::text);
            vec![name, Cell::text(hook.at.as_str()), environment, user]
        });
        table(session, given, &["name", "at", "environment", "user"], rows.collect())
    })
}
