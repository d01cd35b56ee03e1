//! What a plugin was told in confidence, taken out of what it tells: its log, what it prints, and its errors.
//!
//! Invariant: a secret that a plugin was given stands neither in a job's log nor in a problem, whatever the plugin does
//! with it; but for those of less than [`LEN_MIN`] bytes, which too much else would contain.

use parking_lot::Mutex;
use serde_json::Value;

use cow_api::v1::Problem;

use crate::plugins::passwords::passwords;
use crate::plugins::{Credentials, Package, SchemaKind, Secret};

/// Fewest bytes of a secret that is looked for.
const LEN_MIN: usize = 4;
/// What is shown in its place.
const SHOWN: &str = "[hidden]";

/// Secrets that a plugin knows.
#[derive(Default)]
pub struct Hidden(Mutex<Vec<String>>);

impl Hidden {
    /// Adds those in a value, by its schema.
    pub fn add(&self, package: &Package, kind: SchemaKind, value: &Value) {
        let Some(schema) = package.schemas.get(kind) else { return };
        for place in passwords(schema, value) {
            value.pointer(&place).into_iter().for_each(|secret| self.add_value(secret));
        }
    }

    /// All that a value says, of whatever kind it is. What is only true or false tells nothing.
    fn add_value(&self, secret: &Value) {
        match secret {
            Value::String(text) => self.add_text(text),
            Value::Number(number) => self.add_text(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.add_value(field)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Adds what a plugin fetched.
    pub fn add_credentials(&self, credentials: &Credentials) {
        match &credentials.secret {
            Secret::Password(password) => self.add_text(password),
            Secret::KeyPair { private_key, .. } => self.add_text(private_key),
        }
    }

    /// A secret of several lines is one, and so is each line.
    fn add_text(&self, secret: &str) {
        let mut known = self.0.lock();
        for text in [secret].into_iter().chain(secret.lines().map(str::trim)) {
            if text.len() >= LEN_MIN && !known.iter().any(|secret| secret == text) {
                known.push(text.to_owned());
            }
        }
        // What contains another one is to be found first.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// A text without them.
    pub fn mask(&self, text: &str) -> String {
        self.0.lock().iter().fold(text.to_owned(), |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), SHOWN) } else { text }
        })
    }

    /// A problem without them.
    pub fn mask_problem(&self, problem: Problem) -> Problem {
        let hint = problem.hint.as_ref().map(|hint| self.mask(hint));
        let output = problem.output.as_ref().map(|output| self.mask(output));
        let masked = Problem { detail: self.mask(&problem.detail), hint: None, output: None, ..problem };
        let masked = hint.into_iter().fold(masked, Problem::with_hint);
        output.into_iter().fold(masked, Problem::with_output)
    }
}
