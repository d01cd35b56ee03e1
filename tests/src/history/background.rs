//! Steps that change nothing that can be seen: what a pool does in the background, and questions about all of it.

use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind, Result};

use crate::history::Journal;
use crate::history::deed::Deed;
use crate::history::run::History;
use crate::model::Model;

impl History {
    pub fn background_step(&mut self) {
        match self.draw.below(6) {
            3 if self.armed.is_none() && self.draw.one_in(4) => self.settle(),
            4 => self.scrub(),
            5 => self.compare_two(),
            0 if self.armed.is_none() && !self.cramped && !self.draw.one_in(3) => self.interrupted_commit(),
            0 => self.background("commit", |history| history.pool.commit(history.now).map(|()| true)),
            1 => {
                let budget = 1 + self.draw.below(300);
                self.background("reclaim", |history| Ok(history.pool.reclaim_step(budget, history.now)?.idle));
            }
            _ => {
                let budget = 1 + self.draw.below(2 << 20);
                self.background("clean", |history| Ok(history.pool.clean_step(budget, history.now)?.idle));
            }
        }
    }

    /// Reads some of what is stored, which is as it was written.
    fn scrub(&mut self) {
        let budget = 1 + self.draw.below(1 << 20);
        self.background("scrub", |history| {
            let progress = history.pool.scrub_step(budget, history.now)?;
            // A disk that fails to read is damage too.
            let is_expected = history.armed.is_some() || progress.damage.is_empty();
            assert!(is_expected, "scrubbing finds {:#?}", progress.damage);
            Ok(progress.idle)
        });
    }

    /// Compares a snapshot with another or with a head: nothing differs between those whose models are one.
    fn compare_two(&mut self) {
        let mut named: Vec<(String, Arc<Model>)> =
            self.world.live_datasets().map(|(_, dataset)| (dataset.name.clone(), Arc::clone(&dataset.files))).collect();
        named.extend(self.world.live_snapshots().map(|(id, it)| (self.world.full_name(id), Arc::clone(&it.files))));
        if named.is_empty() {
            return;
        }
        let ((older, before), (newer, after)) = (self.draw.pick(&named).clone(), self.draw.pick(&named).clone());
        self.background(&format!("diff {older} {newer}"), |history| {
            let mut different = 0;
            let compared = history.pool.diff(&older, &newer, &mut |_| {
                different += 1;
                true
            });
            match compared {
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                compared => compared?,
            }
            assert!(different == 0 || !Arc::ptr_eq(&before, &after), "{different} paths differ in what is the same");
            Ok(true)
        });
    }

    /// Ends what counts for quotas and has no name.
    pub fn reap(&mut self) {
        for _ in 0..1000 {
            let mut idle = false;
            self.background("reap", |history| {
                idle = history.pool.reclaim_step(1000, history.now)?.idle;
                Ok(idle)
            });
            if idle {
                return self.unreaped.clear();
            }
            if self.unreaped.is_empty() {
                return;
            }
        }
        panic!("reclaiming does not end");
    }

    fn background(&mut self, what: &str, act: impl FnOnce(&mut Self) -> Result<bool>) {
        self.tell(what.to_owned());
        let done = act(self);
        if let Err(error) = &done {
            if self.is_failure(error) {
                return self.fail(error.kind(), Deed::Background);
            }
            assert!(self.is_without_room(&done), "{what}: {error:?}");
        }
        self.note_nothing();
    }

    /// Lets the background come to an end; then the pool's figures are the model's.
    fn settle(&mut self) {
        self.tell("settle".to_owned());
        // What a clone has without a name is erased once it is used.
        for (_, dataset) in self.world.live_datasets() {
            self.pool.file_system(&dataset.name).unwrap_or_else(|error| panic!("open {}: {error:?}", dataset.name));
        }
        for round in 0.. {
            assert!(round < 10_000, "reclaiming does not end");
            if self.pool.reclaim_step(1000, self.now).unwrap_or_else(|error| panic!("reclaim: {error:?}")).idle {
                break;
            }
        }
        self.pool.commit(self.now).unwrap_or_else(|error| panic!("commit: {error:?}"));
        self.unreaped.clear();
        self.note_nothing();
        self.journal = Journal::new(self.world.clone());
        for (_, dataset) in self.world.live_datasets().filter(|(_, dataset)| !dataset.properties.readonly) {
            let (name, files) = (&dataset.name, &dataset.files);
            let read = || Ok((self.pool.dataset(name)?.referenced, self.pool.file_system(name)?.usage()?.inodes));
            let (referenced, inodes) = read().unwrap_or_else(|error: Error| panic!("{name}: {error:?}"));
            let expected = (files.allocated(), files.inodes().len() as u64);
            assert_eq!((referenced, inodes), expected, "bytes and inodes of {name}");
        }
    }
}
