//! From an event to its line.

use std::fmt::{Debug, Write};

use cow_storage::format::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::clock;
use crate::logging::Format;

/// The line of an event, with its end.
pub fn line(format: Format, now: Timestamp, event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    write(format, now, *metadata.level(), metadata.target(), fields)
}

fn write(format: Format, now: Timestamp, level: Level, target: &str, fields: Fields) -> String {
    match format {
        Format::Json => json(now, level, target, fields),
        Format::Journal => format!("<{}>{}\n", priority(level), text(fields)),
        Format::Auto | Format::Text => format!("{} {level:<5} {}\n", moment(now), text(fields)),
    }
}

/// Milliseconds are enough to order lines, and leave the message on the screen.
fn moment(now: Timestamp) -> String {
    let seconds = clock::time(Timestamp { nanoseconds: 0, ..now }).to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), now.nanoseconds / 1_000_000)
}

/// syslog's number for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

fn text(fields: Fields) -> String {
    let mut text = on_one_line(&fields.message);
    for (name, value) in fields.others {
        let shown = match value {
            Value::String(value) => quoted(&value),
            other => other.to_string(),
        };
        let _ = write!(text, " {name}={shown}");
    }
    text
}

fn on_one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// As it is where it is one word, else in quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@+%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("{text:?}") }
}

fn json(now: Timestamp, level: Level, target: &str, fields: Fields) -> String {
    let mut object = Map::new();
    object.insert("time".into(), moment(now).into());
    object.insert("level".into(), level.to_string().to_lowercase().into());
    object.insert("target".into(), target.into());
    object.insert("message".into(), fields.message.into());
    object.extend(fields.others.into_iter().map(|(name, value)| (name.to_owned(), value)));
    format!("{}\n", Value::Object(object))
}

/// The message, and all other fields in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let fields = || Fields {
            message: "a client\nsaid".to_owned(),
            others: vec![("path", "/a b\n\"".into()), ("peer", "10.0.0.1:7".into()), ("bytes", 5.into())],
        };
        let now = Timestamp { seconds: 1 << 31, nanoseconds: 5_999_999 };
        let shown = |format| write(format, now, Level::WARN, "cowd::nfs", fields());
        let text = r#"a client\nsaid path="/a b\n\"" peer=10.0.0.1:7 bytes=5"#;
        assert_eq!(shown(Format::Text), format!("2038-01-19T03:14:08.005Z WARN  {text}\n"));
        assert_eq!(shown(Format::Journal), format!("<4>{text}\n"));
        let json: Value = serde_json::from_str(shown(Format::Json).strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(json["message"], "a client\nsaid");
        assert_eq!(json["path"], "/a b\n\"");
        assert_eq!((&json["level"], &json["bytes"]), (&"warn".into(), &5.into()));
    }
}
