//! What was written and not committed: a server that dies may lose it, and is told it again.
//!
//! Invariant: a write is here from before it is sent until a COMMIT has answered under the verifier of its own answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::nfs_client::{Call, Client, Failure, Handle, Outcome, Reader, Stable, User, decode_written};

/// A write that is not durable yet.
struct Written {
    number: u64,
    user: User,
    offset: u64,
    data: Vec<u8>,
    /// Of the server's answer, once that has come.
    verifier: Option<u64>,
}

#[derive(Default)]
struct State {
    next: u64,
    files: HashMap<Handle, Vec<Written>>,
}

/// All such writes, by file, in their order.
#[derive(Default)]
pub struct Unstable(Mutex<State>);

impl Unstable {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a write that is about to be sent, and returns its number.
    pub fn begin(&self, file: &Handle, user: &User, offset: u64, data: &[u8]) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        let written = Written { number, user: user.clone(), offset, data: data.to_vec(), verifier: None };
        state.files.entry(file.clone()).or_default().push(written);
        number
    }

    /// Notes the answer: a verifier, or none if the write failed, or wrote so that nothing can be lost.
    pub fn end(&self, file: &Handle, number: u64, verifier: Option<u64>) {
        let mut state = self.state();
        let Some(writes) = state.files.get_mut(file) else { return };
        match verifier {
            Some(_) => writes.iter_mut().filter(|written| written.number == number).for_each(|w| w.verifier = verifier),
            None => writes.retain(|written| written.number != number),
        }
        if writes.is_empty() {
            state.files.remove(file);
        }
    }

    /// Bytes of a file that are not durable.
    pub fn bytes(&self, file: &Handle) -> usize {
        self.state().files.get(file).map_or(0, |writes| writes.iter().map(|written| written.data.len()).sum())
    }

    /// Files of which something is not durable.
    pub fn files(&self) -> Vec<Handle> {
        self.state().files.keys().cloned().collect()
    }

    /// The user and number of the last answered write, for a COMMIT that is about to be sent.
    pub fn last(&self, file: &Handle) -> Option<(User, u64)> {
        let state = self.state();
        let last = state.files.get(file)?.iter().rfind(|written| written.verifier.is_some())?;
        Some((last.user.clone(), last.number))
    }

    /// Takes off what a COMMIT made durable: answered writes up to `last` of this verifier. Returns whether others remain,
    /// which were lost.
    pub fn committed(&self, file: &Handle, last: u64, verifier: u64) -> bool {
        let mut state = self.state();
        let Some(writes) = state.files.get_mut(file) else { return false };
        writes.retain(|written| written.number > last || written.verifier != Some(verifier));
        let lost = writes.iter().any(|written| written.number <= last && written.verifier.is_some());
        if writes.is_empty() {
            state.files.remove(file);
        }
        lost
    }

    /// Forgets a file that is gone.
    pub fn forget(&self, file: &Handle) {
        self.state().files.remove(file);
    }

    /// Writes again what a server may have lost that has been started since. Those that were not answered are not its
    /// matter: whoever waits for the answer sends them again.
    pub fn write_again(&self, client: &mut Client) -> Outcome<()> {
        for file in self.files() {
            let answered: Vec<(u64, User, u64, Vec<u8>)> = {
                let state = self.state();
                let writes = state.files.get(&file).into_iter().flatten();
                let writes = writes.filter(|written| written.verifier.is_some());
                writes.map(|w| (w.number, w.user.clone(), w.offset, w.data.clone())).collect()
            };
            for (number, user, offset, data) in answered {
                client.user = user;
                match put(client, &file, offset, &data) {
                    Ok(verifier) => self.end(&file, number, Some(verifier)),
                    Err(Failure::Io(error)) => return Err(error.into()),
                    // The file is gone, or the right to write it: nobody is left who could be told.
                    Err(_) => self.end(&file, number, None),
                }
            }
        }
        Ok(())
    }
}

/// Writes all of `data`, and returns the last answer's verifier.
fn put(client: &mut Client, file: &Handle, offset: u64, data: &[u8]) -> Outcome<u64> {
    let mut done = 0;
    loop {
        let results = client.call(&Call::write(file, offset + done as u64, &data[done..], Stable::No))?;
        let mut reader = Reader(&results);
        reader.status()?;
        let (count, _, verifier) = decode_written(&mut reader)?;
        done += count as usize;
        if done >= data.len() {
            return Ok(verifier);
        }
    }
}
