//! `cowctl source`: dSources.

use cow_api::v1::{Discovered, Job, LinkSource, SourceOrder, path};
use serde_json::Value;

use crate::arguments::{Command, Flag, Given};
use crate::commands::virtualization::{
    CONFIG, CONFIG_FILE, ENVIRONMENT, HOOK, PARAM, PARAM_FILE, PLUGIN, REPOSITORY, SNAPSHOT_PARAM, STAGING, USER, file,
    give_order, hooks, list, misused, parameters, required, show, status, table,
};
use crate::commands::{DETACH, NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;
use crate::table::Cell;

const STORE: Flag =
    Flag { short: None, long: "store", value: None, about: "Let later syncs take the snapshot parameters too" };
const FORCE: Flag =
    Flag { short: Some('f'), long: "force", value: None, about: "Unlink even if the plugin or the host fails" };

pub const COMMAND: Command = Command {
    name: "source",
    about: "Link, sync and unlink dSources",
    operands: "list | VERB NAME [OPTION...]",
    count: 1..=2,
    flags: &[
        PLUGIN,
        ENVIRONMENT,
        USER,
        STAGING,
        REPOSITORY,
        CONFIG,
        CONFIG_FILE,
        PARAM,
        PARAM_FILE,
        SNAPSHOT_PARAM,
        STORE,
        HOOK,
        FORCE,
        DETACH,
        NO_HEADER,
        PARSABLE,
    ],
    more: "Verbs: link makes a dSource; show, status, sync, resync, enable, disable and unlink work with one; discovered\n\
           takes an environment.\n\
           discovered lists what plugins have found on an environment: repositories, and source configs in them.\n\
           link makes a dSource and syncs it for the first time; sync brings what has changed and takes a snapshot, and\n\
           resync is a sync with other snapshot parameters. Each is a job; --detach leaves it to the daemon.\n\
           As in: cowctl source link sales --plugin postgres --env db1 --staging stage1 --param-file sales.json",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    match words[..] {
        ["list"] => list(session, given, false),
        ["discovered", environment] => discovered(session, given, environment),
        ["show", name] => show(session, name),
        ["status", name] => status(session, name),
        ["link", name] => link(session, given, name),
        ["sync" | "resync", name] => {
            let snapshot_parameters = snapshot_parameters(given)?;
            give_order(session, given, name, &SourceOrder::Sync { snapshot_parameters })
        }
        ["enable", name] => give_order(session, given, name, &SourceOrder::Enable),
        ["disable", name] => give_order(session, given, name, &SourceOrder::Disable),
        ["unlink", name] => give_order(session, given, name, &SourceOrder::Delete { force: given.has("force") }),
        _ => Err(misused(&COMMAND)),
    }
}

fn link(session: &Session<'_>, given: &Given, name: &str) -> Result<(), Failure> {
    let text = |flag| given.value(flag).map(str::to_owned);
    let request = LinkSource {
        name: name.to_owned(),
        plugin: required(&COMMAND, given, "plugin")?,
        environment: required(&COMMAND, given, "env")?,
        user: text("user"),
        staging_environment: text("staging"),
        staging_user: None,
        repository: text("repository"),
        config: text("config"),
        config_parameters: given.value("config-file").map(file).transpose()?,
        parameters: parameters(given)?,
        snapshot_parameters: snapshot_parameters(given)?,
        store_snapshot_parameters: given.has("store"),
        hooks: hooks(given)?,
    };
    let job: Job = session.client.post(path::LINK, &request)?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}

fn discovered(session: &Session<'_>, given: &Given, environment: &str) -> Result<(), Failure> {
    let found: Discovered = session.client.get(&path::discovered(environment))?;
    session.output.result("discovered", &found, || {
        let headings = ["plugin", "repository", "found", "source configs"];
        let rows = found.repositories.iter().map(|repository| {
            let state = if repository.is_lost { "no longer" } else { "yes" };
            let configs = Cell::Text(repository.configs.join(", "));
            vec![Cell::text(&repository.plugin), Cell::text(&repository.name), Cell::text(state), configs]
        });
        table(session, given, &headings, rows.collect())
    })
}

fn snapshot_parameters(given: &Given) -> Result<Option<Value>, Failure> {
    given.value("snapshot-param-file").map(file).transpose()
}
