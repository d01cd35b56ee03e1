//! All that a simulated disk holds, in 32 bytes: two runs that are the same leave the same.
//!
//! Invariant: it covers what is durable, what is seen, what is pending and in which order, and all names; no fault, count or
//! handle.

use std::collections::BTreeMap;

use crate::media::Simulator;
use crate::media::sim::content::Content;
use crate::media::sim::state::{Change, FileId, NameChange, State};

impl Simulator {
    /// A hash of all that the disk holds, durable and pending.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = Hasher(blake3::Hasher::new());
        hasher.state(&self.state.lock());
        *hasher.0.finalize().as_bytes()
    }
}

struct Hasher(blake3::Hasher);

impl Hasher {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn state(&mut self, state: &State) {
        self.names(&state.names);
        self.names(&state.durable_names);
        self.number(state.pending_names.len() as u64);
        state.pending_names.iter().for_each(|change| self.name_change(change));
        self.number(state.files.len() as u64);
        for (id, file) in &state.files {
            self.number(id.0);
            self.content(&file.durable);
            self.content(&file.live);
            self.number(u64::from(file.lied));
            self.number(file.pending.len() as u64);
            file.pending.iter().for_each(|change| self.change(change));
        }
    }

    fn names(&mut self, names: &BTreeMap<String, FileId>) {
        self.number(names.len() as u64);
        for (name, file) in names {
            self.bytes(name.as_bytes());
            self.number(file.0);
        }
    }

    fn name_change(&mut self, change: &NameChange) {
        let (kind, from, to, file) = match change {
            NameChange::Create { name, file } => (0, name.as_str(), "", file),
            NameChange::Rename { from, to, file } => (1, from.as_str(), to.as_str(), file),
            NameChange::Unlink { name, file } => (2, name.as_str(), "", file),
        };
        self.number(kind);
        self.bytes(from.as_bytes());
        self.bytes(to.as_bytes());
        self.number(file.0);
    }

    fn change(&mut self, change: &Change) {
        self.number(change.kind() as u64);
        let range = change.range();
        self.number(range.start);
        self.number(range.end);
        if let Change::Write { bytes, .. } = change {
            self.bytes(bytes);
        }
    }

    fn content(&mut self, content: &Content) {
        self.number(content.length());
        self.number(content.allocated());
        for (page, bytes) in content.written() {
            self.number(page);
            self.bytes(bytes);
        }
    }
}
