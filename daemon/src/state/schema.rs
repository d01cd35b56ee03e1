//! The tables, version by version.
//!
//! Invariant: a migration that was released is never edited; a new one is added at the end.

use cow_api::v1::{Code, Problem};
use rusqlite::{Connection, TransactionBehavior};

use crate::state::failure::failed;

/// One for each version; a file of version `n` has had the first `n`.
const MIGRATIONS: &[&[Step]] = &[&[
    Step::Records("environment"),
    Step::Records("plugin"),
    Step::Records("repository"),
    Step::Records("source_config"),
    Step::Records("source"),
    Step::Records("timeflow"),
    Step::Records("snapshot"),
    Step::Records("bookmark"),
    Step::Records("hook"),
    Step::Records("policy"),
    Step::Records("job"),
    Step::Records("job_event"),
    Step::Records("undo"),
    Step::Records("action"),
    Step::Records("fault"),
]];

/// A step of a migration.
enum Step {
    /// A table of [`Record`](crate::state::Record)s: documents of JSON by number, and by their owner's number and a key.
    Records(&'static str),
}

impl Step {
    fn sql(&self) -> String {
        match self {
            // AUTOINCREMENT: a number is never given twice, so that what once meant a host never means another one.
            Self::Records(table) => format!(
                "CREATE TABLE {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, key TEXT NOT NULL,
                 document TEXT NOT NULL, UNIQUE (owner, key)) STRICT;"
            ),
        }
    }
}

/// Brings a file up to this version.
pub fn migrate(connection: &mut Connection) -> Result<(), Problem> {
    const ACT: &str = "cannot bring cowd's state up to this version";
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| failed(ACT, error))?;
    let version: i64 =
        transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| failed(ACT, error))?;
    let done = usize::try_from(version).ok().filter(|done| *done <= MIGRATIONS.len());
    let Some(done) = done else {
        let detail = format!("cowd's state has version {version}; this cowd knows up to {}", MIGRATIONS.len());
        return Err(Problem::new(Code::Unsupported, detail).with_hint("nothing was changed; use a newer cowd"));
    };
    for step in MIGRATIONS[done..].iter().copied().flatten() {
        transaction.execute_batch(&step.sql()).map_err(|error| failed(ACT, error))?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(|error| failed(ACT, error))?;
    transaction.commit().map_err(|error| failed(ACT, error))
}
