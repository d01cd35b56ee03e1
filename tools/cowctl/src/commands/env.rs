//! `cowctl env`: the hosts that data is taken from and mounted on, and who works there.

use std::io::Read;

use cow_api::v1::{Environment, Environments, Hidden, NewCredential, NewEnvironment, NewEnvironmentUser, path};

use crate::arguments::{Command, Flag, Given};
use crate::commands::{NO_HEADER, Session};
use crate::failure::Failure;
use crate::output::one_line;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "env",
    about: "Make known, list, look at or forget hosts, and who works there",
    operands: "list | add|show|refresh|accept-key|remove NAME | user list|add|remove NAME [USER]",
    count: 1..=4,
    flags: &[
        value("host", "HOST", "Come in at this name or address (add)"),
        value("port", "PORT", "Come in at this port (add; 22)"),
        value("user", "USER", "Work as this user (add)"),
        value("key", "FILE", "Come in by the private key in FILE, which has no passphrase; - is the input"),
        value("password-file", "FILE", "Come in by the password in FILE; - is the input"),
        value("toolkit", "DIR", "Bring programs to this directory of the host (add; cow-toolkit in the user's home)"),
        value("host-key", "KEY", "Pin this key of the host, as 'ssh-ed25519 AAAA..' (add; the one that it shows)"),
        NO_HEADER,
    ],
    more: "add comes in by ssh, pins the host's key, looks around and brings the toolkit; what the host lacks is listed,\n\
           and docs/environments.md tells more. refresh does the same again. accept-key pins the key that a host shows\n\
           now, after it was set up anew. user add also lets a known user come in otherwise than before. As in:\n\
           cowctl env add staging --host db2.example --user delphix --key ~/.ssh/id_ed25519",
    run,
};

const fn value(long: &'static str, value: &'static str, about: &'static str) -> Flag {
    Flag { short: None, long, value: Some(value), about }
}

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let words: Vec<&str> = given.operands.iter().map(String::as_str).collect();
    let client = &session.client;
    let (environment, did): (Environment, &str) = match words[..] {
        ["list"] => return list(session, given),
        ["user", "list", name] => return users(session, given, name),
        ["show", name] => {
            let environment: Environment = client.get(&path::environment(name))?;
            return session.output.result("environment", &environment, || show(session, &environment));
        }
        ["add", name] => (client.post(path::ENVIRONMENTS, &new(given, name)?)?, "Added"),
        ["refresh", name] => (client.post(&path::environment_verb(name, "refresh"), &())?, "Refreshed"),
        ["accept-key", name] => (client.post(&path::environment_verb(name, "accept-key"), &())?, "Pinned the key of"),
        ["remove", name] => (client.delete(&path::environment(name))?, "Removed"),
        ["user", "add", name, user] => {
            let new = NewEnvironmentUser { user: user.to_owned(), credential: credential(given)? };
            (client.post(&path::environment_verb(name, "users"), &new)?, "Changed the users of")
        }
        ["user", "remove", name, user] => (client.delete(&path::environment_user(name, user))?, "Changed the users of"),
        _ => {
            let detail = format!("env: '{}' makes no sense", words.join(" "));
            return Err(Failure::usage(detail, "'cowctl help env' lists what there is"));
        }
    };
    session.output.result("environment", &environment, || {
        session.output.line(&format!("{did} {}: {}", environment.name, line(&environment)))?;
        match did {
            "Removed" => Ok(()),
            _ => environment.missing.iter().try_for_each(|lack| session.output.line(&format!("  missing: {lack}"))),
        }
    })
}

fn new(given: &Given, name: &str) -> Result<NewEnvironment, Failure> {
    let needed = |flag: &str| {
        let missing = || Failure::usage(format!("env: --{flag} is missing"), "'cowctl help env' has an example");
        given.value(flag).map(str::to_owned).ok_or_else(missing)
    };
    let port = given.value("port").map_or(Ok(22), |text| {
        text.parse().map_err(|_| Failure::usage(format!("'{text}' is no port"), "give a number below 65536"))
    })?;
    Ok(NewEnvironment {
        name: name.to_owned(),
        address: needed("host")?,
        port,
        user: needed("user")?,
        credential: credential(given)?,
        toolkit: given.value("toolkit").map(str::to_owned),
        host_key: given.value("host-key").map(str::to_owned),
    })
}

/// What proves to be a user, from a file: on a command line others could read it.
fn credential(given: &Given) -> Result<NewCredential, Failure> {
    match (given.value("key"), given.value("password-file")) {
        (Some(file), None) => Ok(NewCredential::Key { private_key: Hidden(read(file)?) }),
        (None, Some(file)) => {
            let password = read(file)?;
            let password = Hidden(password.strip_suffix('\n').unwrap_or(&password).to_owned());
            Ok(NewCredential::Password { password })
        }
        _ => Err(Failure::usage("env: one of --key and --password-file is needed", "'cowctl help env' has an example")),
    }
}

fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop),
        file => std::fs::read_to_string(file).map(|read| text = read),
    };
    match read {
        Ok(()) if text.trim().is_empty() => Err(Failure::usage(format!("'{file}' is empty"), "give another file")),
        Ok(()) => Ok(text),
        Err(error) => Err(Failure::usage(format!("cannot read '{file}': {error}"), "give a file that you can read")),
    }
}

/// Where it is and what it is.
fn line(environment: &Environment) -> String {
    let Environment { address, port, users, facts, .. } = environment;
    let user = users.first().map_or("", |user| user.name.as_str());
    one_line(&format!("{user}@{address}:{port}, {}", facts.system))
}

fn list(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let environments: Environments = session.client.get(path::ENVIRONMENTS)?;
    session.output.result("environments", &environments, || {
        let row = |environment: &Environment| {
            let users: Vec<&str> = environment.users.iter().map(|user| user.name.as_str()).collect();
            vec![
                Cell::text(&environment.name),
                Cell::Text(format!("{}:{}", environment.address, environment.port)),
                Cell::Text(users.join(",")),
                Cell::text(one_line(&environment.facts.system)),
                Cell::Number(environment.missing.len() as u64),
                Cell::Moment(environment.checked),
            ]
        };
        let rows = environments.environments.iter().map(row).collect();
        table(session, given, &["name", "host", "users", "system", "missing", "checked"], rows)
    })
}

fn users(session: &Session<'_>, given: &Given, name: &str) -> Result<(), Failure> {
    let environment: Environment = session.client.get(&path::environment(name))?;
    session.output.result("users", &environment.users, || {
        let users = environment.users.iter();
        let rows = users.map(|user| vec![Cell::text(&user.name), Cell::text(user.credential.as_str())]).collect();
        table(session, given, &["user", "credential"], rows)
    })
}

fn table(session: &Session<'_>, given: &Given, headings: &[&str], rows: Vec<Vec<Cell>>) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let style = Style { for_scripts: given.has("no-header"), exact: false };
    let paint = |tone, text: &str| session.output.paint(tone, text);
    Table { headings, rows }.lines(style, paint).iter().try_for_each(|line| session.output.line(line))
}

fn show(session: &Session<'_>, environment: &Environment) -> Result<(), Failure> {
    let users: Vec<String> =
        environment.users.iter().map(|user| format!("{} ({})", user.name, user.credential.as_str())).collect();
    let facts = &environment.facts;
    let mut lines = vec![
        ("name", environment.name.clone()),
        ("host", format!("{}:{}", environment.address, environment.port)),
        ("users", users.join(", ")),
        ("host key", environment.host_key.clone()),
        ("toolkit", environment.toolkit.clone()),
        ("reference", environment.reference.clone()),
        ("system", facts.system.clone()),
        ("kernel", facts.kernel.clone()),
        ("hostname", facts.hostname.clone()),
        ("NFS client", if facts.has_nfs { "yes" } else { "no" }.to_owned()),
    ];
    for (program, version) in &facts.programs {
        lines.push((program, if version.is_empty() { "-".to_owned() } else { version.clone() }));
    }
    lines.push(("checked", environment.checked.to_string()));
    lines.extend(environment.missing.iter().map(|lack| ("missing", lack.clone())));
    let print = |(name, text): &(&str, String)| session.output.line(&format!("{name:<11} {}", one_line(text)));
    lines.iter().try_for_each(print)
}
