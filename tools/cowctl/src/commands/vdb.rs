//! `cowctl vdb`: VDBs.

use cow_api::v1::{Job, Provision, SourceOrder, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::virtualization::{
    ENVIRONMENT, HOOK, PARAM, PARAM_FILE, PLUGIN, REPOSITORY, USER, give_order, hooks, list, misused, parameters,
    required, show, status,
};
use crate::commands::{DETACH, NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;

const FORCE: Flag =
    Flag { short: Some('f'), long: "force", value: None, about: "Delete even if the plugin or the host fails" };

pub const COMMAND: Command = Command {
    name: "vdb",
    about: "Provision, refresh, rewind and delete VDBs",
    operands: "list | VERB NAME [SNAPSHOT] [OPTION...]",
    count: 1..=3,
    flags: &[PLUGIN, ENVIRONMENT, USER, REPOSITORY, PARAM, PARAM_FILE, HOOK, FORCE, DETACH, NO_HEADER, PARSABLE],
    more: "Verbs: show, status, snapshot, start, stop, enable, disable and delete take a NAME; provision NAME SNAPSHOT and\n\
           provision-empty NAME make a VDB; refresh and rewind take NAME [SNAPSHOT].\n\
           A snapshot is written by its full name, as SOURCE@TIME, or as SOURCE for the newest; refresh and rewind take\n\
           TIME alone too, and the newest by default. refresh takes a snapshot of what the VDB was provisioned from,\n\
           rewind one of its own; both begin a new timeflow, and keep the old one with all its snapshots.\n\
           As in: cowctl vdb provision test sales --env dev1 --param port=5433",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    let order = |name: &str, order: SourceOrder| give_order(session, given, name, &order);
    match words[..] {
        ["list"] => list(session, given, true),
        ["show", name] => show(session, name),
        ["status", name] => status(session, name),
        ["provision", name, from] => provision(session, given, name, Some(from)),
        ["provision-empty", name] => provision(session, given, name, None),
        ["snapshot", name] => order(name, SourceOrder::Snapshot),
        ["refresh", name] => order(name, SourceOrder::Refresh { to: None }),
        ["refresh", name, to] => order(name, SourceOrder::Refresh { to: Some(to.to_owned()) }),
        ["rewind", name] => order(name, SourceOrder::Rewind { to: None }),
        ["rewind", name, to] => order(name, SourceOrder::Rewind { to: Some(to.to_owned()) }),
        ["start", name] => order(name, SourceOrder::Start),
        ["stop", name] => order(name, SourceOrder::Stop),
        ["enable", name] => order(name, SourceOrder::Enable),
        ["disable", name] => order(name, SourceOrder::Disable),
        ["delete", name] => order(name, SourceOrder::Delete { force: given.has("force") }),
        _ => Err(misused(&COMMAND)),
    }
}

fn provision(session: &Session<'_>, given: &Given, name: &str, from: Option<&str>) -> Result<(), Failure> {
    let text = |flag| given.value(flag).map(str::to_owned);
    let request = Provision {
        name: name.to_owned(),
        from: from.map(str::to_owned),
        plugin: text("plugin"),
        environment: required(&COMMAND, given, "env")?,
        user: text("user"),
        repository: text("repository"),
        parameters: parameters(given)?,
        hooks: hooks(given)?,
    };
    let job: Job = session.client.post(path::PROVISION, &request)?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}
