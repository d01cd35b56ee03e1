//! `cowctl plugin`: what knows a kind of data.

use cow_api::v1::{
    InstallPlugin, Job, JobLevel, JobLog, Plugin, PluginLanguage, PluginSchema, Plugins, SetUpPlugins, path,
};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{NO_HEADER, Session, absolute_directory};
use crate::failure::Failure;
use crate::follow::follow;
use crate::output::one_line;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "plugin",
    about: "Install, list, look at, upgrade or remove plugins, and fetch what they need",
    operands: "list | install|upgrade PATH | show|remove NAME | schema NAME KIND | setup [LANGUAGE]",
    count: 1..=3,
    flags: &[
        Flag {
            short: None,
            long: "wheels",
            value: Some("DIR"),
            about: "Fetch nothing from a registry: all wheels are in DIR (setup)",
        },
        Flag {
            short: None,
            long: "detach",
            value: None,
            about: "Do not wait until it has looked on all environments (install, upgrade)",
        },
        NO_HEADER,
    ],
    more: "PATH is a plugin's source folder, or the artifact.json of 'dvp build', on cowd's host. setup fetches the SDK of\n\
           PYTHON311 (the default), PYTHON38 or PYTHON27, for the interpreters that cowd's configuration names. schema\n\
           prints a template to fill in; KIND is linked_source, virtual_source, snapshot_parameters,\n\
           virtual_to_physical, source_config, repository or snapshot.\n\
           What is installed or upgraded looks on all environments for what it can find. That is a job, for which cowctl\n\
           waits; what it failed at is told, and the plugin is installed all the same.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    let client = &session.client;
    let from = |path: &str| Ok::<_, Failure>(InstallPlugin { path: absolute_directory(path)? });
    let (plugin, did): (Plugin, &str) = match words[..] {
        ["list"] => return list(session, given),
        ["setup"] => return set_up(session, given, "PYTHON311"),
        ["setup", language] => return set_up(session, given, language),
        ["schema", name, kind] => return schema(session, name, kind),
        ["show", name] => {
            let plugin: Plugin = client.get(&path::plugin(name))?;
            return session.output.result("plugin", &plugin, || show(session, &plugin));
        }
        ["install", path] => (client.post(path::PLUGINS, &from(path)?)?, "Installed"),
        ["upgrade", path] => (client.post(&path::plugin("upgrade"), &from(path)?)?, "Upgraded"),
        ["remove", name] => (client.delete(&path::plugin(name))?, "Removed"),
        _ => {
            let detail = format!("plugin: '{}' makes no sense", words.join(" "));
            return Err(Failure::usage(detail, "'cowctl help plugin' lists what there is"));
        }
    };
    if let Some(id) = plugin.discovery.filter(|_| !given.has("detach")) {
        discovered(session, id)?;
    }
    session.output.result("plugin", &plugin, || {
        session.output.line(&format!("{did} plugin {}, build {}", plugin.name, plugin.build_number))
    })
}

/// Waits until a plugin has looked at all environments, and tells what it failed at: it is installed all the same.
fn discovered(session: &Session<'_>, id: u64) -> Result<(), Failure> {
    let job: Job = session.client.get(&path::job(id))?;
    let job = follow(session, job)?;
    let log: JobLog = session.client.get(&path::job_log(job.id))?;
    for line in log.lines.iter().filter(|line| line.level == JobLevel::Error) {
        session.output.note(&format!("cowctl: {}", one_line(&line.text)));
    }
    Ok(())
}

fn set_up(session: &Session<'_>, given: &Given, language: &str) -> Result<(), Failure> {
    let wheels = given.value("wheels").map(absolute_directory).transpose()?;
    let wanted = SetUpPlugins { language: language.to_owned(), wheels };
    let done: PluginLanguage = session.client.post(&path::plugin("setup"), &wanted)?;
    session
        .output
        .result("plugin_language", &done, || session.output.line(&format!("Plugins in {} can be run", done.language)))
}

fn schema(session: &Session<'_>, name: &str, kind: &str) -> Result<(), Failure> {
    let found: PluginSchema = session.client.get(&path::plugin_schema(name, kind))?;
    session
        .output
        .result("plugin_schema", &found, || found.template.lines().try_for_each(|line| session.output.line(line)))
}

fn list(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let found: Plugins = session.client.get(path::PLUGINS)?;
    session.output.result("plugins", &found, || {
        let headings = ["name", "build", "type", "language", "used by"].map(str::to_owned).to_vec();
        let table = Table { headings, rows: found.plugins.iter().map(row).collect() };
        let style = Style { for_scripts: given.has("no-header"), exact: false };
        if table.rows.is_empty() && !style.for_scripts {
            return Ok(());
        }
        let lines = table.lines(style, |tone, text| session.output.paint(tone, text));
        lines.iter().try_for_each(|line| session.output.line(line))
    })
}

fn row(plugin: &Plugin) -> Vec<Cell> {
    let used_by = if plugin.used_by.is_empty() { "-".to_owned() } else { plugin.used_by.join(", ") };
    vec![
        Cell::text(&plugin.name),
        Cell::text(&plugin.build_number),
        Cell::text(&plugin.plugin_type),
        Cell::text(&plugin.language),
        Cell::Text(used_by),
    ]
}

fn show(session: &Session<'_>, plugin: &Plugin) -> Result<(), Failure> {
    let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let or_none = |texts: &[String]| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let facts = [
        ("name", plugin.name.clone()),
        ("id", plugin.id.clone()),
        ("build", plugin.build_number.clone()),
        ("version", plugin.external_version.clone().unwrap_or_else(|| "-".to_owned())),
        ("type", plugin.plugin_type.clone()),
        ("language", plugin.language.clone()),
        ("hosts", plugin.host_types.join(", ")),
        ("root squash", yes(plugin.root_squash)),
        ("extended hooks", yes(plugin.extended_start_stop_hooks)),
        ("manual discovery", yes(plugin.manual_discovery)),
        ("block size", plugin.block_size.to_string()),
        ("installed", plugin.installed.to_string()),
        ("used by", or_none(&plugin.used_by)),
        ("migrations", or_none(&plugin.migration_ids)),
        ("operations", or_none(&plugin.operations)),
    ];
    facts.iter().try_for_each(|(name, value)| session.output.line(&format!("{name:<17} {value}")))
}
