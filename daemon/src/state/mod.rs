//! What cowd itself remembers: hosts, plugins, sources, jobs. One SQLite file beside the pool.
//!
//! Invariant: a [`State::write`] happens as a whole and is durable when it returns, or has not happened; and a file of
//! a later version is refused, never changed.

mod failure;
mod records;
mod schema;

use std::fs::DirBuilder;
use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use cow_api::v1::{Code, Problem};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::state::failure::failed;
pub use crate::state::records::{Record, Row};

/// The file's name in the directory of state.
const NAME: &str = "state.db";

/// What cowd itself remembers.
pub struct State {
    directory: PathBuf,
    connection: Mutex<Connection>,
}

/// The state as it is during one [`State::read`] or [`State::write`].
pub struct View<'c> {
    connection: &'c Connection,
}

/// The state during one [`State::write`], to be changed.
pub struct Edit<'c> {
    view: View<'c>,
}

impl<'c> Deref for Edit<'c> {
    type Target = View<'c>;

    fn deref(&self) -> &View<'c> {
        &self.view
    }
}

impl State {
    /// Opens the state in `directory`, which is made, for cowd alone, where there is none.
    pub fn open(directory: &Path) -> Result<Self, Problem> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).map_err(|error| {
            let detail = format!("cannot make {} for cowd's state: {error}", directory.display());
            Problem::new(Code::Io, detail).with_hint("the pool's directory must be cowd's own")
        })?;
        let path = directory.join(NAME);
        let act = format!("cannot open cowd's state in {}", path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(|error| failed(&act, error))?;
        // Each commit is durable by itself: the pool refers to what is recorded here, and the other way round.
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
            .map_err(|error| failed(&act, error))?;
        schema::migrate(&mut connection)?;
        Ok(Self { directory: directory.to_owned(), connection: Mutex::new(connection) })
    }

    /// Where the state is; other files of cowd's own may stand beside it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads, as of one moment.
    pub fn read<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        let connection = self.connection.lock();
        work(&View { connection: &connection })
    }

    /// Changes the state: all that `work` does or, when it fails, nothing. Durable on return.
    pub fn write<T>(&self, work: impl FnOnce(&Edit<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        change(&mut self.connection.lock(), work)
    }

    /// The same without waiting for the disk: it outlives the end of cowd, but the last of it may be lost with power. For
    /// what is only told.
    pub fn note<T>(&self, work: impl FnOnce(&Edit<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut connection = self.connection.lock();
        let set = |connection: &Connection, how: &str| {
            connection.pragma_update(None, "synchronous", how).map_err(|error| failed(ACT, error))
        };
        set(&connection, "NORMAL")?;
        let outcome = change(&mut connection, work);
        set(&connection, "FULL")?;
        outcome
    }
}

const ACT: &str = "cannot write cowd's state";

fn change<T>(connection: &mut Connection, work: impl FnOnce(&Edit<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| failed(ACT, error))?;
    let answer = work(&Edit { view: View { connection: &transaction } })?;
    transaction.commit().map_err(|error| failed(ACT, error))?;
    Ok(answer)
}

#[cfg(test)]
mod tests;
