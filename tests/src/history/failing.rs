//! Ends of processes and of the power, disks that fail, and what is found afterwards.

use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind};
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::Pool;
use cow_storage::superblock::{COPY_LENGTHS, SUPERBLOCK_NAME, Superblock};

use crate::history::deed::Deed;
use crate::history::finds::{check_old_snapshots, check_snapshots, check_sound};
use crate::history::pools::open;
use crate::history::run::History;
use crate::history::{Finds, InFlight, Journal};

/// Bytes from one superblock slot to the other.
const SLOT_DISTANCE: u64 = 64 << 10;

/// What a copy of a superblock begins with.
const COPY_MAGIC: &[u8] = b"cowROOTS";

/// Steps that a disk which is to fail is given for that.
const ARMED_STEPS: u64 = 30;

impl History {
    /// The disk will fail at one of its next operations.
    pub fn arm(&mut self) {
        let soon = self.draw.one_in(2);
        let operations = self.draw.below(if soon { 6 } else { 80 });
        self.armed = Some(self.step + ARMED_STEPS);
        match self.draw.below(5) {
            0 => self.disk.fail_write(operations),
            1 => self.disk.fail_flush(operations / 4),
            2 => self.disk.fail_read(operations / 4),
            _ => self.disk.set_fuse(Some(operations)),
        }
        self.tell(format!("the disk will fail after {operations} operations"));
    }

    /// Whether this is what a failing disk makes of a call.
    pub fn is_failure(&self, error: &Error) -> bool {
        self.armed.is_some() && matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io)
    }

    /// The step failed: either it happened, or it did not.
    pub fn fail(&mut self, kind: ErrorKind, deed: Deed) {
        self.figures.faults += 1;
        if kind == ErrorKind::Poisoned {
            let later = self.pool.commit(self.now).map_err(|error| error.kind());
            assert_eq!(later, Err(ErrorKind::Poisoned), "a poisoned pool goes on");
        }
        let power = self.draw.one_in(2);
        self.tell(format!("it failed as {kind:?}; then the {} ends", if power { "power" } else { "process" }));
        self.reopen(power, Some(deed));
    }

    pub fn lose_power(&mut self) {
        self.tell("the power ends".to_owned());
        self.reopen(true, None);
    }

    pub fn kill(&mut self) {
        self.tell("the process ends".to_owned());
        self.reopen(false, None);
    }

    pub fn reopen_cleanly(&mut self) {
        self.tell("close".to_owned());
        if let Err(error) = self.pool.close(self.now) {
            panic!("close: {error:?}");
        }
        self.journal = Journal::new(self.world.clone());
        self.replace_disk(false);
        self.open_again();
        self.take_stock(None, true);
    }

    pub fn reopen(&mut self, power: bool, deed: Option<Deed>) {
        self.replace_disk(power);
        if self.draw.one_in(3) {
            self.check_other_slot(deed.is_some());
        }
        // A flush that failed lies: what it lost can still be read, until the power goes.
        if (power || deed.is_none()) && self.draw.one_in(3) {
            self.lose_superblock();
        }
        // What a fuse does here, the disk does while the pool recovers.
        let mut fuses = self.draw.below(3);
        loop {
            if fuses > 0 && self.draw.one_in(2) {
                let soon = self.draw.one_in(2);
                self.disk.set_fuse(Some(self.draw.below(if soon { 12 } else { 40 })));
            }
            self.boot += 1;
            match open(&self.disk, &self.cue, &self.budgets, self.boot, self.now) {
                Ok(pool) => break self.pool = pool,
                Err(error) if fuses > 0 && matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned) => {
                    self.figures.cut_recoveries += 1;
                    self.tell(format!("recovery fails: {error:?}"));
                }
                Err(error) => panic!("open: {error:?}"),
            }
            fuses -= 1;
            let power = self.draw.one_in(2);
            self.replace_disk(power);
        }
        self.disk.set_fuse(None);
        self.take_stock(deed, false);
    }

    fn open_again(&mut self) {
        self.boot += 1;
        let opened = open(&self.disk, &self.cue, &self.budgets, self.boot, self.now);
        self.pool = opened.unwrap_or_else(|error| panic!("open: {error:?}"));
    }

    /// The disk as another process finds it, after the end of this one or of the power.
    fn replace_disk(&mut self, power: bool) {
        self.handles.clear();
        self.armed = None;
        self.figures.operations += self.disk.operations();
        match power {
            true => self.figures.power_cuts += 1,
            false => self.figures.kills += 1,
        }
        let draw = &mut self.draw;
        let disk: Simulator = match power {
            true => self.disk.crash(&mut |limit| if limit == 0 { 0 } else { draw.below(limit) }),
            false => self.disk.duplicate(),
        };
        self.disk = Arc::new(disk);
        self.harm_saved_index();
    }

    /// What the pool keeps in a file only to save space may be damaged, cut or gone, and nobody notices.
    fn harm_saved_index(&mut self) {
        let Ok(file) = self.disk.open("dedup") else { return };
        let length = file.length().unwrap_or_else(|error| panic!("measure the saved index: {error:?}"));
        if length == 0 {
            // The power went before anything of it was durable.
            return;
        }
        let (at, bit) = (self.draw.below(length), self.draw.below(8));
        let harmed = match self.draw.below(6) {
            0 => self.disk.corrupt("dedup", at, 1 << bit),
            1 => file.truncate(at),
            2 => self.disk.unlink("dedup"),
            _ => return,
        };
        self.figures.faults += 1;
        harmed.unwrap_or_else(|error| panic!("harm the saved index: {error:?}"));
    }

    /// Damages a slot. The pool opens with the other one as if nothing were, for there is a copy of what the newest had; one that
    /// was being written when all ended may count as well.
    fn check_other_slot(&mut self, ended_midway: bool) {
        let disk = Arc::new(self.disk.duplicate());
        let slots = Superblock::both(&*disk).unwrap_or_else(|error| panic!("read the superblock: {error:?}"));
        let [Some(even), Some(odd)] = slots else { return };
        let newest = u64::from(odd.commit > even.commit);
        let slot = if self.draw.one_in(4) { 1 - newest } else { newest };
        let damaged = disk.corrupt(SUPERBLOCK_NAME, slot * SLOT_DISTANCE + self.draw.below(500), 1);
        damaged.unwrap_or_else(|error| panic!("damage the superblock: {error:?}"));
        if slot == newest && self.draw.one_in(2) {
            lose_copies(&disk).unwrap_or_else(|error| panic!("damage the copies: {error:?}"));
            return self.check_older(&disk, even.commit.min(odd.commit));
        }
        if ended_midway {
            return self.check_older(&disk, even.commit.max(odd.commit));
        }
        let find = |disk: &Arc<Simulator>| {
            let pool = open(disk, &self.cue, &self.budgets, 0, self.now)?;
            Finds::of(&pool)
        };
        let whole = find(&Arc::new(self.disk.duplicate())).unwrap_or_else(|error| panic!("open: {error:?}"));
        let found = find(&disk).unwrap_or_else(|error| panic!("open with one slot: {error:?}"));
        assert_eq!(found.listing, whole.listing, "with one slot the pool has other names");
        assert!(found.trees == whole.trees, "with one slot the pool has other files");
    }

    /// Without the copies as well, the slot before the newest opens: nothing that it needs is gone yet. Only what the log has
    /// for the newest may not fit it, and that is told.
    fn check_older(&self, disk: &Arc<Simulator>, commit: u64) {
        let older = match open(disk, &self.cue, &self.budgets, 0, self.now) {
            Err(error) if is_about_the_log(&error) => return,
            older => older.unwrap_or_else(|error| panic!("open commit {commit}: {error:?}")),
        };
        let checked = check_sound(&older).and_then(|()| check_old_snapshots(&older, &self.world));
        checked.unwrap_or_else(|problem| panic!("commit {commit}: {problem}"));
    }

    /// Both slots go, and come back from the copies among the nodes, also when the power ends meanwhile.
    fn lose_superblock(&mut self) {
        self.figures.faults += 2;
        for slot in [0, SLOT_DISTANCE] {
            let damaged = self.disk.corrupt(SUPERBLOCK_NAME, slot + self.draw.below(4096), 1 << self.draw.below(8));
            damaged.unwrap_or_else(|error| panic!("damage the superblock: {error:?}"));
        }
        let mut fuses = self.draw.below(3);
        while Pool::superblock_is_lost(&self.media()).unwrap_or_else(|error| panic!("look for it: {error:?}")) {
            if fuses > 0 {
                self.disk.set_fuse(Some(self.draw.below(8)));
            }
            match Pool::recover_superblock(&self.media()) {
                Ok(found) => self.tell(format!("the superblock was lost: {found:?}")),
                Err(error) if fuses > 0 && error.kind() == ErrorKind::Io => {}
                Err(error) => panic!("recover the superblock: {error:?}"),
            }
            if fuses > 0 {
                fuses -= 1;
                self.replace_disk(true);
            }
        }
    }

    fn media(&self) -> Arc<dyn Media> {
        Arc::clone(&self.disk) as _
    }

    /// Compares what the pool has with what it promised, and goes on from there.
    fn take_stock(&mut self, deed: Option<Deed>, exact: bool) {
        let finds = Finds::of(&self.pool).unwrap_or_else(|error| panic!("read the pool: {error:?}"));
        let in_flight: Option<InFlight> = deed.map(|deed| deed.done(&self.world, &self.journal, &finds));
        match self.journal.recover(in_flight.as_ref(), &finds, (exact, self.cramped)) {
            Ok(world) => self.world = world,
            Err(differences) => panic!(
                "the pool is in no state that it promised; of {} possible ones:\n{}",
                differences.len(),
                differences.join("\n")
            ),
        }
        self.world.bind();
        finds.teach(&mut self.world);
        self.journal = Journal::new(self.world.clone());
        self.count_commits();
        self.unreaped.extend(self.world.live_datasets().map(|(id, _)| id));
        self.check();
    }

    /// Compares the snapshots, and lets the pool check itself.
    pub fn check(&mut self) {
        self.figures.snapshots_compared += self.world.live_snapshots().count() as u64;
        let checked = check_snapshots(&self.pool, &self.world).and_then(|()| check_sound(&self.pool));
        checked.unwrap_or_else(|problem| panic!("{problem}"));
    }
}

/// Damages all copies of superblocks among the nodes.
fn lose_copies(disk: &Simulator) -> Result<(), Error> {
    for name in disk.list()?.into_iter().filter(|name| name.starts_with("node-")) {
        let file = disk.open(&name)?;
        let mut bytes = vec![0; file.length()? as usize];
        file.read_at(&mut bytes, 0)?;
        let mut places = (0..bytes.len()).step_by(COPY_LENGTHS[0]);
        places.try_for_each(|at| match bytes[at..].starts_with(COPY_MAGIC) {
            true => disk.corrupt(&name, at as u64, 1),
            false => Ok(()),
        })?;
    }
    Ok(())
}

/// Whether the log has a gap, or records that do not fit what an older commit has.
fn is_about_the_log(error: &Error) -> bool {
    let text = format!("{error:?}");
    let gap = text.contains("of the intent log was durable and is damaged");
    let misfit = text.contains("recover what the intent log promised");
    gap || (misfit && !text.contains("segment") && !text.contains("slot"))
}
