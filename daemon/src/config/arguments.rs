//! The command line.

use std::fmt::Write;
use std::path::PathBuf;

use crate::config::keys::{Key, SECTIONS};
use crate::config::nearest::nearest;
use crate::config::value::Value;
use crate::config::{Config, ConfigError, DEFAULT_PATH, one_line};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Command {
    /// Serve.
    #[default]
    Serve,
    /// Check the configuration.
    CheckConfig,
    /// Print the commented default.
    DefaultConfig,
    /// Bring a lost superblock back.
    RecoverSuperblock,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// The command line, read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Arguments {
    /// What to do.
    pub command: Command,
    /// The file to read.
    pub config: Option<PathBuf>,
    /// Flags and their values.
    settings: Vec<(&'static str, String)>,
}

/// Why the command line makes no sense, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", one_line(.0))]
pub struct UsageError(String);

const COMMANDS: [(&str, Command, &str); 5] = [
    ("serve", Command::Serve, "Serve (the default)"),
    ("check-config", Command::CheckConfig, "Check the configuration file and the flags"),
    ("default-config", Command::DefaultConfig, "Print a configuration file with every key explained"),
    ("recover-superblock", Command::RecoverSuperblock, "Find the roots of a pool again whose superblock is damaged"),
    ("help", Command::Help, "Print this help"),
];

/// All flags that set a key.
fn flags() -> impl Iterator<Item = (&'static str, &'static str, &'static Key)> {
    SECTIONS.iter().flat_map(|section| section.keys).filter_map(|key| key.flag.map(|(flag, value)| (flag, value, key)))
}

impl Arguments {
    /// Reads the command line, without the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut parsed = Self::default();
        let mut arguments = arguments.into_iter();
        let mut command_given = false;
        while let Some(argument) = arguments.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            match name {
                "-h" | "--help" => parsed.command = Command::Help,
                "-V" | "--version" => parsed.command = Command::Version,
                _ if name.starts_with('-') => {
                    let flag = find_flag(name)?;
                    let value = inline.or_else(|| arguments.next());
                    let value = value.ok_or_else(|| UsageError(format!("the flag {name} needs a value")))?;
                    match flag {
                        None => parsed.config = Some(value.into()),
                        Some(flag) => parsed.settings.push((flag, value)),
                    }
                }
                _ if command_given => return Err(UsageError(format!("'{name}' is one command too many"))),
                _ => (parsed.command, command_given) = (find_command(name)?, true),
            }
        }
        Ok(parsed)
    }

    /// The configuration: defaults, then the file, then the flags.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref())?;
        for (flag, value) in &self.settings {
            if let Some((_, _, key)) = flags().find(|(known, _, _)| known == flag) {
                let set = (key.set)(&mut config, &Value::Text(value.clone()));
                set.map_err(|problem| ConfigError::Together(format!("{flag}: {problem}")))?;
            }
        }
        config.checked()
    }
}

/// The flag of a key, or `None` for `--config`.
fn find_flag(name: &str) -> Result<Option<&'static str>, UsageError> {
    if name == "--config" {
        return Ok(None);
    }
    flags().find(|(flag, _, _)| *flag == name).map(|(flag, _, _)| Some(flag)).ok_or_else(|| {
        let known = flags().map(|(flag, _, _)| flag).chain(["--config", "--help", "--version"]);
        UsageError(format!("there is no flag {name}{}", meant(name, known)))
    })
}

fn find_command(name: &str) -> Result<Command, UsageError> {
    COMMANDS.iter().find(|(known, _, _)| *known == name).map(|(_, command, _)| *command).ok_or_else(|| {
        let known = COMMANDS.iter().map(|(known, _, _)| *known);
        UsageError(format!("there is no command '{name}'{}", meant(name, known)))
    })
}

fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("; did you mean {near}?"),
        None => "; 'cowd --help' lists what there is".to_owned(),
    }
}

/// The help.
pub fn help() -> String {
    let mut text = "Stores datasets, snapshots and clones, and serves them by NFS\n\n".to_owned();
    text += "Usage: cowd [COMMAND] [FLAGS]\n\nCommands:\n";
    for (name, _, about) in COMMANDS {
        let _ = writeln!(text, "  {name:<24} {about}");
    }
    text += "\nFlags, which count more than the file:\n";
    let config = format!("Read this file instead of {DEFAULT_PATH}");
    let _ = writeln!(text, "  {:<24} {config}", "--config FILE");
    for (flag, value, key) in flags() {
        let first = key.about.split_once(". ").map_or(key.about, |(first, _)| first);
        let _ = writeln!(text, "  {:<24} {}", format!("{flag} {value}"), first.trim_end_matches('.'));
    }
    text + "  -h, --help               Print this help\n  -V, --version            Print the version\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_count_more_than_the_file() {
        let line = "--config /dev/null --pool /p --nfs=127.0.0.1:0 --control /c --log-level debug";
        let config = parse(line).unwrap().config().unwrap();
        assert_eq!((config.pool, config.control), ("/p".into(), "/c".into()));
        assert_eq!(config.nfs, "127.0.0.1:0".parse().unwrap());
        assert_eq!(parse("check-config").unwrap().command, Command::CheckConfig);
        assert_eq!(parse("--config x default-config").unwrap().command, Command::DefaultConfig);
        assert_eq!(parse("-V").unwrap().command, Command::Version);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_what_was_meant() {
        for (line, expected) in [
            ("--pol /p", "there is no flag --pol; did you mean --pool?"),
            ("--pool", "the flag --pool needs a value"),
            ("chek-config", "there is no command 'chek-config'; did you mean check-config?"),
            ("serve serve", "'serve' is one command too many"),
            ("frobnicate", "there is no command 'frobnicate'; 'cowd --help' lists what there is"),
        ] {
            assert_eq!(parse(line).unwrap_err(), expected);
        }
        let wrong = |line: &str| parse(line).unwrap().config().unwrap_err().to_string();
        assert!(wrong("--config /dev/null --nfs here").starts_with("--nfs: 'here' is not an address"));
        assert!(wrong("--config /dev/null --http :0").starts_with("control.http needs control.token_file"));
        assert_eq!(wrong("--config /nonexistent"), "cannot read /nonexistent");
    }

    #[test]
    fn the_help_names_every_flag_and_command() {
        let text = help();
        assert!(flags().all(|(flag, _, _)| text.contains(flag)));
        assert!(COMMANDS.iter().all(|(command, _, _)| text.contains(command)));
    }
}
