use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Host {
    name: String,
    #[serde(default)]
    of: u64,
    #[serde(default)]
    port: u16,
}

impl Record for Host {
    const TABLE: &'static str = "environment";
    const NOUN: &'static str = "environment";

    fn key(&self) -> String {
        self.name.clone()
    }

    fn owner(&self) -> u64 {
        self.of
    }
}

fn host(name: &str, of: u64) -> Host {
    Host { name: name.to_owned(), of, port: 22 }
}

/// A directory that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cow-state-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn records_are_kept_by_number_and_by_key_also_over_a_restart() {
    let scratch = Scratch::new("records");
    let state = State::open(&scratch.0).unwrap();
    let ids = state.write(|edit| Ok([edit.insert(&host("a", 0))?, edit.insert(&host("b", 0))?])).unwrap();
    let code = |outcome: Result<u64, Problem>| outcome.unwrap_err().code;
    assert_eq!(code(state.write(|edit| edit.insert(&host("a", 0)))), Code::Exists);
    state.write(|edit| edit.insert(&host("a", 7))).unwrap();
    state.write(|edit| edit.update(ids[1], &host("c", 0))).unwrap();
    assert_eq!(state.write(|edit| edit.update(ids[1], &host("a", 0))).unwrap_err().code, Code::Exists);
    assert_eq!(state.write(|edit| edit.update(99, &host("z", 0))).unwrap_err().code, Code::NotFound);
    drop(state);
    let state = State::open(&scratch.0).unwrap();
    let names = |rows: Vec<Row<Host>>| rows.into_iter().map(|row| row.record.name).collect::<Vec<_>>();
    assert_eq!(names(state.read(|view| view.all()).unwrap()), ["a", "c", "a"]);
    assert_eq!(names(state.read(|view| view.owned(7)).unwrap()), ["a"]);
    assert_eq!(state.read(|view| view.named::<Host>("c")).unwrap().id, ids[1]);
    assert_eq!(state.read(|view| view.named::<Host>("b")).unwrap_err().detail, "there is no environment 'b'");
    state.write(|edit| edit.remove::<Host>(ids[1])).unwrap();
    state.write(|edit| edit.remove_owned::<Host>(7)).unwrap();
    assert_eq!(names(state.read(|view| view.all()).unwrap()), ["a"]);
    assert_eq!(state.write(|edit| edit.insert(&host("d", 0))).unwrap(), 4, "numbers are never given twice");
}

#[test]
fn what_fails_half_way_has_not_happened() {
    let scratch = Scratch::new("whole");
    let state = State::open(&scratch.0).unwrap();
    let outcome: Result<(), Problem> = state.write(|edit| {
        edit.insert(&host("a", 0))?;
        Err(Problem::new(Code::Cancelled, "enough"))
    });
    assert_eq!(outcome.unwrap_err().detail, "enough");
    assert_eq!(state.read(|view| view.all::<Host>()).unwrap(), []);
}

#[test]
fn what_is_no_state_of_ours_is_refused_and_left_alone() {
    let scratch = Scratch::new("foreign");
    drop(State::open(&scratch.0).unwrap());
    let path = scratch.0.join(NAME);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let code = || State::open(&scratch.0).err().unwrap().code;
    assert_eq!(code(), Code::Unsupported);
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(scratch.0.join(name));
    }
    std::fs::write(&path, [7_u8; 8192]).unwrap();
    assert_eq!(code(), Code::Corrupt);
    assert_eq!(std::fs::read(&path).unwrap(), [7_u8; 8192]);
}

#[test]
fn a_note_is_there_at_once_and_what_comes_after_is_durable_again() {
    let scratch = Scratch::new("note");
    let state = State::open(&scratch.0).unwrap();
    state.note(|edit| edit.insert(&host("a", 0))).unwrap();
    assert!(state.note(|edit| edit.insert(&host("a", 0))).is_err(), "what fails changes nothing");
    assert_eq!(state.read(|view| view.all::<Host>()).unwrap().len(), 1);
    let synchronous = |state: &State| -> i64 {
        state.connection.lock().pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap()
    };
    assert_eq!(synchronous(&state), 2, "FULL");
}
