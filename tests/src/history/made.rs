//! What the log keeps of a call that was made.

use cow_storage::error::ErrorKind;
use cow_storage::format::{DatasetId, InodeNumber};
use cow_storage::fs::{Context, FileSystem, Stability};

use crate::history::{Answer, Call, Dataset, Effect, Event, Journal, World};

/// A call and what the model answered.
pub(super) struct Made<'a> {
    pub id: DatasetId,
    pub call: &'a Call,
    pub who: &'a Context,
    /// The number that a new inode got, or would have got.
    pub next_inode: u64,
    pub answer: &'a Result<Answer, ErrorKind>,
}

impl Made<'_> {
    /// What is logged, and whether the call returns only when that and all before it are durable.
    pub fn logged(&self, before: &World, journal: &Journal) -> (Vec<Event>, bool) {
        if !before.waits_for_sync(self.id) {
            return (Vec::new(), false);
        }
        let synced = self.synced(before);
        let is_synced = synced.is_some();
        let mut events: Vec<Event> = Vec::new();
        if let Some(inode) = synced.filter(|inode| journal.unsynced.contains(&(self.id, *inode))) {
            let saved = before.datasets[&self.id].files.save(inode);
            events.extend(saved.map(|saved| Event { dataset: self.id, effect: Effect::Synced(inode, saved) }));
        }
        let is_logged = match self.call {
            Call::Write(.., stability) => *stability != Stability::Unstable,
            call => call.is_change(),
        };
        if is_logged && self.has_effect() {
            let (call, who) = (Box::new(self.call.clone()), self.who.clone());
            events.push(Event { dataset: self.id, effect: Effect::Call { call, who, next_inode: self.next_inode } });
        }
        (events, is_synced || self.is_durable())
    }

    /// The file that is durable afterwards as it was before.
    fn synced(&self, before: &World) -> Option<InodeNumber> {
        let Dataset { files, properties, .. } = &before.datasets[&self.id];
        match self.call {
            Call::Sync(inode) if self.answer.is_ok() => Some(*inode),
            // What takes another's name is durable first, even if the rename is refused then.
            Call::Rename(from, to) if self.who.durable && !properties.readonly => {
                files.lookup(self.who, to.0, &to.1).ok()?;
                files.lookup(self.who, from.0, &from.1).ok().map(|found| found.inode)
            }
            _ => None,
        }
    }

    fn is_durable(&self) -> bool {
        let waits = match self.call {
            Call::Write(.., stability) => *stability != Stability::Unstable,
            call => call.is_change() && self.who.durable,
        };
        waits && self.answer.is_ok()
    }

    /// The file that has bytes now which nothing promises.
    pub fn unsynced(&self, before: &World) -> Option<(DatasetId, InodeNumber)> {
        match self.call {
            Call::Write(inode, .., Stability::Unstable) if self.has_effect() && before.waits_for_sync(self.id) => {
                Some((self.id, *inode))
            }
            _ => None,
        }
    }

    fn has_effect(&self) -> bool {
        match self.answer {
            Ok(Answer::Changed(changed)) => changed.before != changed.after,
            Ok(Answer::Created(created)) => created.directory.before != created.directory.after,
            Ok(Answer::Renamed(renamed)) => renamed.from.before != renamed.from.after,
            answer => answer.is_ok(),
        }
    }
}
