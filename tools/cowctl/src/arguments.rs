//! The command line: which command, and what it was given, by the tables of [`commands`].

use std::ffi::OsString;
use std::ops::RangeInclusive;

use lexopt::Arg;

use crate::commands::{COMMANDS, Session};
use crate::failure::Failure;
use crate::help;

/// A flag that a command takes.
#[derive(Debug)]
pub struct Flag {
    pub short: Option<char>,
    pub long: &'static str,
    /// What its value is called in the help, if it takes one.
    pub value: Option<&'static str>,
    /// What it does, in the imperative.
    pub about: &'static str,
}

/// A command.
pub struct Command {
    pub name: &'static str,
    /// What it does, in the imperative.
    pub about: &'static str,
    /// Its operands, as the help names them.
    pub operands: &'static str,
    /// How many of them there may be.
    pub count: RangeInclusive<usize>,
    pub flags: &'static [Flag],
    /// What else there is to say.
    pub more: &'static str,
    pub run: fn(&Session<'_>, &Given) -> Result<(), Failure>,
}

/// Flags of every command.
pub const GLOBAL: &[Flag] = &[
    Flag { short: None, long: "socket", value: Some("PATH"), about: "Ask the daemon at this unix socket" },
    Flag { short: None, long: "url", value: Some("URL"), about: "Ask the daemon at http://HOST:PORT" },
    Flag { short: None, long: "token-file", value: Some("FILE"), about: "Read the bearer token for --url from FILE" },
    Flag { short: None, long: "json", value: None, about: "Print the result as JSON" },
    Flag { short: Some('h'), long: "help", value: None, about: "Print help" },
];

/// What a command was given.
#[derive(Debug, Default)]
pub struct Given {
    pub operands: Vec<String>,
    flags: Vec<(&'static str, String)>,
}

impl Given {
    /// Whether a flag was given.
    pub fn has(&self, long: &str) -> bool {
        self.flags.iter().any(|(name, _)| *name == long)
    }

    /// The last value of a flag.
    pub fn value(&self, long: &str) -> Option<&str> {
        self.values(long).last()
    }

    /// All values of a flag.
    pub fn values(&self, long: &str) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(move |(name, _)| *name == long).map(|(_, value)| value.as_str())
    }
}

/// What the command line asks for.
pub enum Invocation {
    /// To print this text.
    Help(String),
    /// To run a command.
    Run { command: &'static Command, globals: Given, given: Given },
}

/// Whether errors are wanted as JSON too, as far as that can be told from a line that may make no sense.
pub fn asks_for_json(line: impl Iterator<Item = OsString>) -> bool {
    line.take_while(|word| word != "--").any(|word| word == "--json")
}

/// Reads the command line, without the program's name.
pub fn parse(line: impl Iterator<Item = OsString>) -> Result<Invocation, Failure> {
    let mut parser = lexopt::Parser::from_args(line);
    let mut command: Option<&'static Command> = None;
    let (mut globals, mut given) = (Given::default(), Given::default());
    while let Some(argument) = parser.next().map_err(|error| misused(error.to_string(), command))? {
        match argument {
            Arg::Value(word) => {
                let word = text(word, command)?;
                match command {
                    None if word == "help" => return help_about(&mut parser),
                    None => command = Some(find(&word)?),
                    Some(_) => given.operands.push(word),
                }
            }
            Arg::Long("version") if command.is_none() => {
                return Ok(Invocation::Help(format!("cowctl {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Short(_) | Arg::Long(_) => {
                let (flag, is_global) = find_flag(&argument, command)?;
                let value = match flag.value {
                    Some(_) => text(parser.value().map_err(|error| misused(error.to_string(), command))?, command)?,
                    None => String::new(),
                };
                let into = if is_global { &mut globals } else { &mut given };
                into.flags.push((flag.long, value));
            }
        }
    }
    let wants_help = globals.has("help");
    match command {
        None if wants_help => Ok(Invocation::Help(help::overview())),
        None => Err(Failure::usage("no command is given", "'cowctl help' lists them")),
        Some(command) if wants_help => Ok(Invocation::Help(help::of(command))),
        Some(command) => check(command, globals, given),
    }
}

fn check(command: &'static Command, globals: Given, given: Given) -> Result<Invocation, Failure> {
    let count = given.operands.len();
    if command.count.contains(&count) {
        return Ok(Invocation::Run { command, globals, given });
    }
    let problem = if count < *command.count.start() { "too little is given" } else { "too much is given" };
    Err(Failure::usage(format!("{}: {problem}", command.name), format!("usage: {}", help::usage(command))))
}

fn help_about(parser: &mut lexopt::Parser) -> Result<Invocation, Failure> {
    match parser.next() {
        Ok(Some(Arg::Value(word))) => find(&text(word, None)?).map(|command| Invocation::Help(help::of(command))),
        _ => Ok(Invocation::Help(help::overview())),
    }
}

fn text(word: OsString, command: Option<&Command>) -> Result<String, Failure> {
    word.into_string().map_err(|word| misused(format!("'{}' is not UTF-8", word.display()), command))
}

fn find(name: &str) -> Result<&'static Command, Failure> {
    COMMANDS.iter().find(|command| command.name == name).ok_or_else(|| {
        let near = nearest(name, COMMANDS.iter().map(|command| command.name));
        let hint = near.map_or_else(|| "'cowctl help' lists them".to_owned(), |near| format!("did you mean '{near}'?"));
        Failure::usage(format!("there is no command '{name}'"), hint)
    })
}

/// The flag, and whether it is one of every command.
fn find_flag(argument: &Arg<'_>, command: Option<&Command>) -> Result<(&'static Flag, bool), Failure> {
    let is_it = |flag: &&Flag| match argument {
        Arg::Short(short) => flag.short == Some(*short),
        Arg::Long(long) => flag.long == *long,
        Arg::Value(_) => false,
    };
    let own = command.map_or(&[][..], |command| command.flags);
    if let Some(flag) = own.iter().find(is_it) {
        return Ok((flag, false));
    }
    if let Some(flag) = GLOBAL.iter().find(is_it) {
        return Ok((flag, true));
    }
    let (shown, near) = match argument {
        Arg::Long(long) => (format!("--{long}"), nearest(long, own.iter().chain(GLOBAL).map(|flag| flag.long))),
        Arg::Short(short) => (format!("-{short}"), None),
        Arg::Value(_) => (String::new(), None),
    };
    let detail = format!("there is no flag '{shown}'");
    Err(near.map_or_else(
        || misused(detail.clone(), command),
        |near| Failure::usage(detail.clone(), format!("did you mean '--{near}'?")),
    ))
}

fn misused(detail: String, command: Option<&Command>) -> Failure {
    let help = command.map_or_else(|| "cowctl help".to_owned(), |command| format!("cowctl help {}", command.name));
    Failure::usage(detail, format!("see '{help}'"))
}

/// The known word that `word` was most likely meant to be.
fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let (distance, near) = known.map(|known| (edits(word, known), known)).min()?;
    (distance <= 2 && distance < word.len()).then_some(near)
}

/// Letters to insert, remove or replace to get from one word to the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (number, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = number + 1;
        for (at, other) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Invocation, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_may_stand_anywhere() {
        for line in [
            "--json --socket=/s list -rHo name a/b",
            "list a/b --socket /s --json -r -H -o name",
            "--json list --socket /s -H -r --columns=name -- a/b",
        ] {
            let Ok(Invocation::Run { command, globals, given }) = read(line) else { panic!("{line}") };
            assert_eq!((command.name, given.operands.as_slice()), ("list", &["a/b".to_owned()][..]));
            assert!(globals.has("json") && given.has("recursive") && given.has("no-header"));
            assert_eq!((globals.value("socket"), given.value("columns")), (Some("/s"), Some("name")));
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_with_a_hint() {
        for (line, detail, hint) in [
            ("", "no command is given", "'cowctl help' lists them"),
            ("lsit", "there is no command 'lsit'", "did you mean 'list'?"),
            ("frobnicate", "there is no command 'frobnicate'", "'cowctl help' lists them"),
            ("list --recursiv", "there is no flag '--recursiv'", "did you mean '--recursive'?"),
            ("list -x", "there is no flag '-x'", "see 'cowctl help list'"),
            ("list --socket", "missing argument for option '--socket'", "see 'cowctl help list'"),
            ("clone a@b", "clone: too little is given", "usage: cowctl clone"),
            ("status a", "status: too much is given", "usage: cowctl status"),
            ("list --json=yes", "unexpected argument for option '--json': \"yes\"", "see 'cowctl help list'"),
        ] {
            let Err(Failure::Problem(problem)) = read(line) else { panic!("{line}") };
            assert_eq!((problem.detail.as_str(), problem.code.exit_code()), (detail, 2));
            assert!(problem.hint.as_ref().unwrap().starts_with(hint), "{:?}", problem.hint);
        }
    }

    #[test]
    fn the_tables_are_consistent() {
        for command in COMMANDS {
            let flags: Vec<_> = command.flags.iter().chain(GLOBAL).collect();
            for (at, flag) in flags.iter().enumerate() {
                let same =
                    |other: &&&Flag| other.long == flag.long || flag.short.is_some_and(|s| other.short == Some(s));
                assert_eq!(flags.iter().filter(same).count(), 1, "{} --{} ({at})", command.name, flag.long);
                assert!(!flag.about.ends_with('.'));
            }
            assert!(!command.about.ends_with('.') && command.about.starts_with(char::is_uppercase));
        }
    }
}
