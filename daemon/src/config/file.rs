//! The file: read key by key with the line of each mistake, and printed with every key explained.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::{fs, io};

use toml::de::{DeTable, DeValue};

use crate::config::keys::{Key, SECTIONS, Section};
use crate::config::nearest::nearest;
use crate::config::value::Value;
use crate::config::{Config, DEFAULT_PATH, one_line};

/// Columns of the commented default.
const WIDTH: usize = 100;

/// Why there is no configuration. A message is one line and says what to do where that is not plain.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", one_line(path))]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML, or a key or value of it is wrong.
    #[error("{}:{line}: {}", one_line(path), one_line(problem))]
    Wrong {
        /// The file.
        path: String,
        /// The line of the mistake, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Keys do not go together.
    #[error("{}", one_line(.0))]
    Together(String),
}

impl Config {
    /// Takes over what a file says. `path` is for messages.
    pub fn apply_file(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let wrong = |at: Range<usize>, problem: String| {
            let line = text.as_bytes()[..at.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
            ConfigError::Wrong { path: path.to_owned(), line, problem }
        };
        let table = DeTable::parse(text)
            .map_err(|error| wrong(error.span().unwrap_or(0..0), error.message().replace('\n', ", ")))?;
        for (name, content) in table.get_ref() {
            let section = find_section(name.get_ref()).map_err(|problem| wrong(name.span(), problem))?;
            let DeValue::Table(keys) = content.get_ref() else {
                let problem = format!("'{}' is a section: write [{0}] and its keys below", section.name);
                return Err(wrong(name.span(), problem));
            };
            for (name, value) in keys {
                let key = find_key(section, name.get_ref()).map_err(|problem| wrong(name.span(), problem))?;
                let set = to_value(value.get_ref()).and_then(|value| (key.set)(self, &value));
                set.map_err(|problem| wrong(value.span(), format!("{}.{}: {problem}", section.name, key.name)))?;
            }
        }
        Ok(())
    }

    /// The configuration of a file; of the default one, if it is there, where `path` is `None`.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let named = path.unwrap_or(Path::new(DEFAULT_PATH));
        match fs::read_to_string(named) {
            Ok(text) => config.apply_file(&named.to_string_lossy(), &text)?,
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Unreadable { path: named.display().to_string(), source }),
        }
        Ok(config)
    }

    /// Checks what only the whole shows.
    pub fn checked(self) -> Result<Self, ConfigError> {
        self.check().map_err(ConfigError::Together)?;
        Ok(self)
    }
}

fn find_section(name: &str) -> Result<&'static Section, String> {
    SECTIONS.iter().find(|section| section.name == name).ok_or_else(|| {
        // Keys outside any section are the likeliest slip.
        let key = SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == name));
        let hint = match (key, nearest(name, SECTIONS.iter().map(|section| section.name))) {
            (Some(section), _) => format!("; the key '{name}' belongs in [{}]", section.name),
            (None, Some(near)) => format!("; did you mean [{near}]?"),
            (None, None) => "; 'cowd default-config' prints all of them".to_owned(),
        };
        format!("there is no section '{name}'{hint}")
    })
}

fn find_key(section: &'static Section, name: &str) -> Result<&'static Key, String> {
    section.keys.iter().find(|key| key.name == name).ok_or_else(|| {
        let elsewhere = SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == name));
        let hint = match (nearest(name, section.keys.iter().map(|key| key.name)), elsewhere) {
            (Some(near), _) => format!("; did you mean '{near}'?"),
            (None, Some(section)) => format!("; it belongs in [{}]", section.name),
            (None, None) => "; 'cowd default-config' prints all keys".to_owned(),
        };
        format!("there is no key '{name}' in [{}]{hint}", section.name)
    })
}

fn to_value(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Boolean(on) => Value::Switch(*on),
        DeValue::Integer(number) => {
            let parsed = u64::from_str_radix(number.as_str(), number.radix());
            Value::Number(parsed.map_err(|_| format!("{number} is not a number of 0 or more"))?)
        }
        DeValue::Array(list) => {
            let text = |value: &DeValue<'_>| match value {
                DeValue::String(text) => Ok(text.clone().into_owned()),
                _ => Err("the list must have texts in quotes".to_owned()),
            };
            Value::List(list.iter().map(|value| text(value.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            return Err("no key takes such a value".to_owned());
        }
    })
}

/// A file with every key at its default, explained and commented out.
pub fn default_file() -> String {
    let mut text = format!("# The configuration of cowd, at {DEFAULT_PATH}. Every key shows its default.\n");
    for section in &SECTIONS {
        let _ = write!(text, "\n{}[{}]\n", comment(section.about), section.name);
        for key in section.keys {
            let value = if key.default.is_empty() { "\"\"" } else { key.default };
            let unset = if key.default.is_empty() { " Not set by default." } else { "" };
            let _ = write!(text, "\n{}#{} = {value}\n", comment(&format!("{}{unset}", key.about)), key.name);
        }
    }
    text
}

/// Comment lines of whole words.
fn comment(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + 1 + word.len() > WIDTH) {
            lines.push("#".to_owned());
        }
        if let Some(line) = lines.last_mut() {
            *line += " ";
            *line += word;
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let mut config = Config::default();
        config.apply_file("f", text).map_err(|error| error.to_string())?;
        config.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_file_says_what_the_defaults_are() {
        assert_eq!(read(&default_file()).unwrap(), Config::default());
        // Without the comment signs it says the same; keys without a default are left out.
        let uncommented: Vec<&str> = default_file()
            .lines()
            .map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')).unwrap_or(line))
            .filter(|line| !line.ends_with("= \"\""))
            .map(|line| line.to_owned().leak() as &str)
            .collect();
        assert_eq!(read(&uncommented.join("\n")).unwrap(), Config::default());
        assert!(default_file().lines().all(|line| line.len() <= WIDTH));
    }

    #[test]
    fn every_key_changes_something() {
        let other = |key: &Key| match key.default {
            "" | "\":2049\"" if key.about.starts_with("Where") => "\"127.0.0.1:7\"",
            "\"info\"" => "\"debug\"",
            "\"auto\"" => "\"json\"",
            "false" => "true",
            "\"0660\"" => "\"0600\"",
            list if list.starts_with('[') => "[\"10.0.0.0/8 rw\"]",
            number if number.parse::<u64>().is_ok() => "77",
            size if size.contains("iB") => "\"33 MiB\"",
            time if ["s\"", "m\"", "h\"", "d\""].iter().any(|unit| time.contains(unit)) => "\"77s\"",
            _ => "\"/elsewhere\"",
        };
        for section in &SECTIONS {
            for key in section.keys {
                let text = format!("[{}]\n{} = {}\n", section.name, key.name, other(key));
                let mut config = Config::default();
                config.apply_file("f", &text).unwrap();
                assert_ne!(config, Config::default(), "{text}");
            }
        }
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        let cases = [
            ("\n[pool]\npth = 1\n", "f:3: there is no key 'pth' in [pool]; did you mean 'path'?"),
            ("[pool]\nsocket = 1\n", "f:2: there is no key 'socket' in [pool]; it belongs in [control]"),
            ("[poool]\n", "f:1: there is no section 'poool'; did you mean [pool]?"),
            (
                "undelete_window = 1\n",
                "there is no section 'undelete_window'; the key 'undelete_window' belongs in [mai",
            ),
            ("pool = 1\n", "f:1: 'pool' is a section: write [pool] and its keys below"),
            ("[pool]\npath = 1\n", "f:2: pool.path: must be text in quotes"),
            ("[pool]\nsegment_size = \"65M\"\n", "pool.segment_size must be 1 MiB to 64 MiB, in whole MiB"),
            ("[nfs]\nlisten = \"x\"\n", "f:2: nfs.listen: 'x' is not an address and a port"),
            ("[nfs]\nconnections_max = 0\n", "f:2: nfs.connections_max: must be a whole number of at least 1"),
            ("[exports]\nrules = [\"::1 rx\"]\n", "f:2: exports.rules: 'rx' in the rule '::1 rx' is none of rw,"),
            ("[exports]\nrules = [1]\n", "f:2: exports.rules: the list must have texts in quotes"),
            ("[exports]\nanonymous_uid = -1\n", "f:2: exports.anonymous_uid: -1 is not a number of 0 or more"),
            ("[control]\nhttp = \"127.0.0.1:1\"\n", "control.http needs control.token_file"),
            ("[log]\nformat = \"xml\"\n", "f:2: log.format: 'xml' is no log format"),
            ("[memory]\ndirty = 1.5\n", "f:2: memory.dirty: no key takes such a value"),
            ("[memory]\ndirty = \"1K\"\n", "f:2: memory.dirty: must be at least 1 MiB"),
            ("[memory\n", "f:1: "),
            ("[memory]\n[memory]\n", "f:2: duplicate key"),
        ];
        for (text, expected) in cases {
            let found = read(text).unwrap_err();
            assert!(found.contains(expected) && !found.contains('\n'), "{text:?} gave {found:?}");
        }
    }
}
