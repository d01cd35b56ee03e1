//! What the commands of dSources and VDBs have in common.

use std::io::Read;
use std::path::Path;
use std::{fs, io};

use cow_api::v1::{HookPoint, Job, NewHook, Source, SourceKind, SourceOrder, SourceStatus, Sources, path};
use serde_json::{Map, Value};

use crate::arguments::{Command, Flag, Given};
use crate::commands::Session;
use crate::failure::Failure;
use crate::follow::follow;
use crate::render;
use crate::table::{Cell, Style, Table};

pub const PLUGIN: Flag = flag("plugin", "NAME", "Take this plugin, by name or UUID");
pub const ENVIRONMENT: Flag = flag("env", "NAME", "Work on this environment");
pub const USER: Flag = flag("user", "NAME", "As this user of it; its first by default");
pub const STAGING: Flag = flag("staging", "NAME", "Mount the dSource on this environment");
pub const REPOSITORY: Flag = flag("repository", "NAME", "On this repository, where several were discovered");
pub const CONFIG: Flag = flag("config", "NAME", "Of this source config, where several were discovered");
pub const CONFIG_FILE: Flag = flag("config-file", "FILE", "Of a source config by hand, as YAML or JSON");
pub const PARAM: Flag = flag("param", "NAME=VALUE", "Give the plugin a parameter, JSON or text; may be repeated");
pub const PARAM_FILE: Flag = flag("param-file", "FILE", "Give the plugin its parameters, as YAML or JSON");
pub const SNAPSHOT_PARAM: Flag =
    flag("snapshot-param-file", "FILE", "Sync with these snapshot parameters, as YAML or JSON");

pub const HOOK: Flag = flag("hook", "POINT=FILE", "Have bash do there what is in FILE; may be repeated");

const fn flag(long: &'static str, value: &'static str, about: &'static str) -> Flag {
    Flag { short: None, long, value: Some(value), about }
}

/// The usage of a command that was given something else.
pub fn misused(command: &Command) -> Failure {
    let detail = format!("{}: that makes no sense", command.name);
    Failure::usage(detail, format!("usage: cowctl {} {}", command.name, command.operands))
}

/// The value of a flag that must be there.
pub fn required(command: &Command, given: &Given, flag: &str) -> Result<String, Failure> {
    let missing = || Failure::usage(format!("{}: --{flag} is missing", command.name), "'cowctl help' says what it is");
    given.value(flag).map(str::to_owned).ok_or_else(missing)
}

/// What a user wrote in a file, or on stdin: a template that was filled in, or any YAML or JSON.
pub fn file(name: &str) -> Result<Value, Failure> {
    let wrong = |why: String| {
        let hint = "it must be YAML or JSON: 'cowctl plugin schema' prints a template to fill in";
        Failure::usage(format!("cannot read {name}: {why}"), hint)
    };
    let text = text(name).map_err(|error| wrong(error.to_string()))?;
    fields(&text).map_err(wrong)
}

/// What a text says. Of a template in which nothing was filled in, nothing.
fn fields(text: &str) -> Result<Value, String> {
    let is_silent = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(is_silent) {
        return Ok(Value::Object(Map::new()));
    }
    // Without the parser's view of the text, which could show a password.
    serde_json::from_str(text).or_else(|_| {
        // As YAML 1.2 has it: `yes` is a text.
        let options = serde_saphyr::options! { strict_booleans: true };
        serde_saphyr::from_str_with_options(text, options).map_err(|error: serde_saphyr::Error| {
            let place = error.location().map_or_else(String::new, |place| format!(" in line {}", place.line()));
            format!("it is neither YAML nor JSON{place}")
        })
    })
}

/// A file's text, or that on stdin.
fn text(name: &str) -> io::Result<String> {
    let mut text = String::new();
    match name {
        "-" => io::stdin().read_to_string(&mut text).map(|_| text),
        name => fs::read_to_string(name),
    }
}

/// The plugin's parameters: of the file, then each that is given by name.
pub fn parameters(given: &Given) -> Result<Value, Failure> {
    let mut parameters = match given.value("param-file").map(file).transpose()? {
        None => Map::new(),
        Some(Value::Object(parameters)) => parameters,
        Some(_) => {
            return Err(Failure::usage(
                "the parameters are no object",
                "write them as name: value, or as {\"name\": value, ..}",
            ));
        }
    };
    for text in given.values("param") {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!("'{text}' is no parameter"), "write it as NAME=VALUE"));
        };
        // What is no JSON is text: quotes are for texts that would be numbers.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        parameters.insert(name.to_owned(), value);
    }
    Ok(Value::Object(parameters))
}

/// The hooks that are given, each named as its file is.
pub fn hooks(given: &Given) -> Result<Vec<NewHook>, Failure> {
    let hook = |text: &str| {
        let wrong = || {
            Failure::usage(format!("'{text}' is no hook"), "write it as POINT=FILE; 'cowctl help hook' lists points")
        };
        let (at, file) = text.split_once('=').ok_or_else(wrong)?;
        let name = Path::new(file).file_stem().and_then(|stem| stem.to_str()).ok_or_else(wrong)?.to_owned();
        let (at, script) = (HookPoint::parse(at).ok_or_else(wrong)?, script(file)?);
        Ok(NewHook { name, at, script, environment: None, user: None })
    };
    given.values("hook").map(hook).collect()
}

/// A script, of a file or stdin.
pub fn script(file: &str) -> Result<String, Failure> {
    text(file)
        .map_err(|error| Failure::usage(format!("cannot read {file}: {error}"), "it must be a file of text for bash"))
}

/// Gives an order and follows its job.
pub fn give_order(session: &Session<'_>, given: &Given, name: &str, order: &SourceOrder) -> Result<(), Failure> {
    let job: Job = session.client.post(&path::source_part(name, "orders"), order)?;
    let job = if given.has("detach") { job } else { follow(session, job)? };
    render::job(session, &job)
}

/// Prints a table; of nothing, nothing.
pub fn table(session: &Session<'_>, given: &Given, headings: &[&str], rows: Vec<Vec<Cell>>) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let table = Table { headings: headings.iter().map(|&heading| heading.to_owned()).collect(), rows };
    let style = Style { for_scripts: given.has("no-header"), exact: given.has("parsable") };
    let paint = |tone, text: &str| session.output.paint(tone, text);
    table.lines(style, paint).iter().try_for_each(|line| session.output.line(line))
}

/// Lists VDBs, or dSources.
pub fn list(session: &Session<'_>, given: &Given, virtual_ones: bool) -> Result<(), Failure> {
    let mut sources: Sources = session.client.get(path::SOURCES)?;
    sources.sources.retain(|source| (source.kind == SourceKind::Virtual) == virtual_ones);
    session.output.result("sources", &sources, || {
        let headings = ["name", "kind", "plugin", "environment", "state", "snapshots", "newest", "from"];
        table(session, given, &headings, sources.sources.iter().map(row).collect())
    })
}

fn row(source: &Source) -> Vec<Cell> {
    vec![
        Cell::text(&source.name),
        Cell::text(source.kind.as_str()),
        Cell::text(&source.plugin),
        Cell::text(&source.environment),
        Cell::text(state(source)),
        Cell::Number(source.snapshots),
        Cell::of(source.newest, Cell::Moment),
        Cell::of(source.from.as_ref(), Cell::text),
    ]
}

fn state(source: &Source) -> &'static str {
    match (source.is_enabled, source.is_stopped) {
        (true, true) => "stopped",
        (true, false) => "enabled",
        (false, _) => "disabled",
    }
}

/// Shows all of one.
pub fn show(session: &Session<'_>, name: &str) -> Result<(), Failure> {
    let source: Source = session.client.get(&path::source(name))?;
    session.output.result("source", &source, || {
        let facts = [
            ("name", Cell::text(&source.name)),
            ("kind", Cell::text(source.kind.as_str())),
            ("plugin", Cell::text(&source.plugin)),
            ("environment", Cell::text(&source.environment)),
            ("user", Cell::text(&source.user)),
            ("repository", Cell::text(&source.repository)),
            ("config", Cell::of(source.config.as_ref(), Cell::text)),
            ("state", Cell::text(state(&source))),
            ("dataset", Cell::of(source.dataset.as_ref(), Cell::text)),
            ("from", Cell::of(source.from.as_ref(), Cell::text)),
            ("mounts", Cell::Text(source.mounts.join(", "))),
            ("snapshots", Cell::Number(source.snapshots)),
            ("newest", Cell::of(source.newest, Cell::Moment)),
        ];
        facts.iter().try_for_each(|(fact, cell)| session.output.line(&format!("{fact:12}  {}", cell.show(false))))
    })
}

/// Prints what the plugin says.
pub fn status(session: &Session<'_>, name: &str) -> Result<(), Failure> {
    let status: SourceStatus = session.client.get(&path::source_part(name, "status"))?;
    session.output.result("status", &status, || {
        let enabled = if status.is_enabled { "enabled" } else { "disabled" };
        let active = match status.is_active {
            Some(true) => ", active",
            Some(false) => ", inactive",
            None => "",
        };
        let size = status.size.map_or_else(String::new, |size| format!(", {}", Cell::Bytes(size).show(false)));
        session.output.line(&format!("{}: {enabled}{active}{size}", status.name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_yaml_and_json_are_read_and_errors_quote_nothing() {
        for (text, said) in [
            (r#"{"a": 1, "b": ["yes"]}"#, json!({ "a": 1, "b": ["yes"] })),
            (
                "# one\n\"port\": 5432\n#\"mode\": \"fast\"\n\"inner\":\n  # two\n  \"a\": []\n",
                json!({ "port": 5432, "inner": { "a": [] } }),
            ),
            ("a: yes\nb: 10\nc: null\nd: '1'\n", json!({ "a": "yes", "b": 10, "c": null, "d": "1" })),
            ("# nothing\n\n  #\"mode\": 1\n", json!({})),
            ("", json!({})),
            ("{}\n", json!({})),
        ] {
            assert_eq!(fields(text), Ok(said), "{text}");
        }
        for text in
            ["a: 1\nsecret: \"hunter2\n", "{\"secret\": \"hunter2\"", "secret: hunter2\n hunter2: [\n", "- hunter2: }"]
        {
            let told = fields(text).unwrap_err();
            assert!(told.starts_with("it is neither YAML nor JSON") && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
