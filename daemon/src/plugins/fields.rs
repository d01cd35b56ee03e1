//! The fields of a plugin's description, each checked as it is taken.
//!
//! Invariant: every problem names the file and the field.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::str::FromStr;

use cow_api::v1::{Code, Problem};
use serde_json::{Map, Value};

/// A description's fields.
pub struct Fields {
    file: String,
    fields: Map<String, Value>,
    taken: RefCell<BTreeSet<String>>,
}

/// A problem with a plugin's files.
pub fn wrong(file: &str, field: &str, why: &str) -> Problem {
    let place = if field.is_empty() { file.to_owned() } else { format!("{file}: {field}") };
    Problem::new(Code::InvalidRequest, format!("{place}: {why}"))
}

impl Fields {
    /// The fields of an object that stands in a file.
    pub fn new(file: &str, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(fields) => Ok(Self { file: file.to_owned(), fields, taken: RefCell::default() }),
            _ => Err(wrong(file, "", "it must be an object")),
        }
    }

    /// A field; one that is `null` is not there.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.taken.borrow_mut().insert(name.to_owned());
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A problem with a field.
    pub fn wrong(&self, name: &str, why: &str) -> Problem {
        wrong(&self.file, name, why)
    }

    /// A text that may be missing.
    pub fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let text = |value: &Value| match value.as_str().map(str::trim) {
            Some("") => Err(self.wrong(name, "it must not be empty")),
            Some(text) => Ok(text.to_owned()),
            None => Err(self.wrong(name, "it must be text: put it in quotes")),
        };
        self.value(name).map(text).transpose()
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "it is missing"))
    }

    /// A text that means more.
    pub fn parsed<T: FromStr<Err = String>>(&self, name: &str) -> Result<T, Problem> {
        self.required(name)?.parse().map_err(|why: String| self.wrong(name, &why))
    }

    /// `true` or `false`.
    pub fn switch(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.value(name) {
            None => Ok(default),
            Some(Value::Bool(on)) => Ok(*on),
            Some(Value::String(word)) if ["yes", "on"].contains(&word.to_lowercase().as_str()) => Ok(true),
            Some(Value::String(word)) if ["no", "off"].contains(&word.to_lowercase().as_str()) => Ok(false),
            Some(_) => Err(self.wrong(name, "it must be true or false")),
        }
    }

    /// Texts, or one.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        let wrong = || self.wrong(name, "it must be a list of texts");
        let items = self.value(name).ok_or_else(|| self.wrong(name, "it is missing"))?.as_array().ok_or_else(wrong)?;
        items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }

    /// An object in it, whose fields are named with a point.
    pub fn object(&self, name: &str) -> Result<Self, Problem> {
        let value = self.value(name).cloned().ok_or_else(|| self.wrong(name, "it is missing"))?;
        Self::new(&format!("{}: {name}", self.file), value)
    }

    /// Fails if there is a field that nobody took.
    pub fn all_known(&self) -> Result<(), Problem> {
        let taken = self.taken.borrow();
        match self.fields.keys().find(|name| !taken.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, "there is no such field")),
        }
    }
}
