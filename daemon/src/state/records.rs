//! Records: one document of JSON each, found by its number, or by its owner's number and its key.
//!
//! Invariant: numbers are never given twice in a table, and no two records of one owner have the same key.

use cow_api::v1::{Code, Problem};
use rusqlite::{Error, ErrorCode, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::failure::failed;
use crate::state::{Edit, View};

/// What one table keeps. New fields take `#[serde(default)]`, so that older documents can be read.
pub trait Record: Serialize + DeserializeOwned {
    /// Its table, as in `schema`.
    const TABLE: &'static str;
    /// What users call it, as in "there is no environment 'x'".
    const NOUN: &'static str;

    /// What tells it from others of its owner: its name, where it has one.
    fn key(&self) -> String;

    /// The number of what it belongs to, where it belongs to something.
    fn owner(&self) -> u64 {
        0
    }
}

/// A record with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<T> {
    /// The number.
    pub id: u64,
    /// The record.
    pub record: T,
}

impl View<'_> {
    /// The record with this number. `NotFound` where there is none.
    pub fn get<T: Record>(&self, id: u64) -> Result<Row<T>, Problem> {
        self.one("id = ?1", params![id as i64])?.ok_or_else(|| missing::<T>(&format!("number {id}")))
    }

    /// The record with this owner and key, if there is one.
    pub fn find<T: Record>(&self, owner: u64, key: &str) -> Result<Option<Row<T>>, Problem> {
        self.one("owner = ?1 AND key = ?2", params![owner as i64, key])
    }

    /// The record of that name, of those that belong to nothing. `NotFound` where there is none.
    pub fn named<T: Record>(&self, name: &str) -> Result<Row<T>, Problem> {
        self.find(0, name)?.ok_or_else(|| missing::<T>(&format!("'{name}'")))
    }

    /// All records of the table, by number.
    pub fn all<T: Record>(&self) -> Result<Vec<Row<T>>, Problem> {
        self.many("1 = 1", params![])
    }

    /// The record with the lowest number.
    pub fn first<T: Record>(&self) -> Result<Option<Row<T>>, Problem> {
        self.one("1 = 1 ORDER BY id LIMIT 1", params![])
    }

    /// All records of an owner, by number.
    pub fn owned<T: Record>(&self, owner: u64) -> Result<Vec<Row<T>>, Problem> {
        self.many("owner = ?1", params![owner as i64])
    }

    fn one<T: Record>(&self, condition: &str, values: impl rusqlite::Params) -> Result<Option<Row<T>>, Problem> {
        let sql = format!("SELECT id, document FROM {} WHERE {condition}", T::TABLE);
        let found = self.connection.prepare(&sql).and_then(|mut statement| {
            statement.query_row(values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).optional()
        });
        found.map_err(unreadable::<T>)?.map(|(id, text)| decoded(id, &text)).transpose()
    }

    fn many<T: Record>(&self, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Row<T>>, Problem> {
        let sql = format!("SELECT id, document FROM {} WHERE {condition} ORDER BY id", T::TABLE);
        let found = self.connection.prepare(&sql).and_then(|mut statement| {
            let rows = statement.query_map(values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<Result<Vec<_>, Error>>()
        });
        found.map_err(unreadable::<T>)?.iter().map(|(id, text)| decoded(*id, text)).collect()
    }
}

impl Edit<'_> {
    /// Adds a record, which gets a number. `Exists` where its owner has one of that key.
    pub fn insert<T: Record>(&self, record: &T) -> Result<u64, Problem> {
        let sql = format!("INSERT INTO {} (owner, key, document) VALUES (?1, ?2, ?3)", T::TABLE);
        let values = params![record.owner() as i64, record.key(), encoded(record)?];
        self.connection.execute(&sql, values).map_err(|error| unwritten(record, error))?;
        Ok(self.connection.last_insert_rowid() as u64)
    }

    /// Puts a record in the place of the one with this number. `NotFound` where there is none, `Exists` where its new
    /// key is another's.
    pub fn update<T: Record>(&self, id: u64, record: &T) -> Result<(), Problem> {
        let sql = format!("UPDATE {} SET owner = ?2, key = ?3, document = ?4 WHERE id = ?1", T::TABLE);
        let values = params![id as i64, record.owner() as i64, record.key(), encoded(record)?];
        match self.connection.execute(&sql, values).map_err(|error| unwritten(record, error))? {
            0 => Err(missing::<T>(&format!("number {id}"))),
            _ => Ok(()),
        }
    }

    /// Removes the record with this number, if it is there.
    pub fn remove<T: Record>(&self, id: u64) -> Result<(), Problem> {
        let sql = format!("DELETE FROM {} WHERE id = ?1", T::TABLE);
        self.connection.execute(&sql, params![id as i64]).map(|_| ()).map_err(unreadable::<T>)
    }

    /// Removes the records whose numbers are not above this one.
    pub fn remove_up_to<T: Record>(&self, id: u64) -> Result<(), Problem> {
        let sql = format!("DELETE FROM {} WHERE id <= ?1", T::TABLE);
        self.connection.execute(&sql, params![id as i64]).map(|_| ()).map_err(unreadable::<T>)
    }

    /// Removes all records of an owner.
    pub fn remove_owned<T: Record>(&self, owner: u64) -> Result<(), Problem> {
        let sql = format!("DELETE FROM {} WHERE owner = ?1", T::TABLE);
        self.connection.execute(&sql, params![owner as i64]).map(|_| ()).map_err(unreadable::<T>)
    }
}

fn missing<T: Record>(what: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no {} {what}", T::NOUN))
}

fn unreadable<T: Record>(error: Error) -> Problem {
    failed(&format!("cannot read of each {} in cowd's state", T::NOUN), error)
}

fn unwritten<T: Record>(record: &T, error: Error) -> Problem {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => {
            Problem::new(Code::Exists, format!("there is a {} '{}' already", T::NOUN, record.key()))
        }
        _ => failed(&format!("cannot write a {} to cowd's state", T::NOUN), error),
    }
}

fn encoded<T: Record>(record: &T) -> Result<String, Problem> {
    serde_json::to_string(record)
        .map_err(|error| Problem::new(Code::Internal, format!("cannot write a {} as JSON: {error}", T::NOUN)))
}

fn decoded<T: Record>(id: i64, text: &str) -> Result<Row<T>, Problem> {
    let record = serde_json::from_str(text).map_err(|error| {
        let detail = format!("cannot read {} {id} in cowd's state: {error}", T::NOUN);
        Problem::new(Code::Corrupt, detail).with_hint("a newer cowd may have written it")
    })?;
    Ok(Row { id: id as u64, record })
}
