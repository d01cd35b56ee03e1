//! The pool's handle.

use std::sync::Arc;

use crate::catalog::{DatasetInfo, Holder, Properties, PropertyChange, SnapshotInfo};
use crate::error::Result;
use crate::executor::Executor;
use crate::format::{DatasetId, PoolId, SnapshotId, Timestamp};
use crate::fs::{CallId, FileSystem};
use crate::media::Media;
use crate::pool::core::Core;
use crate::pool::files::Files;
use crate::pool::{
    Backlog, Budgets, Counters, DatasetSpace, Difference, Listing, NewPool, Pass, PoolSpace, Progress,
    RecoveredSuperblock, VerifyReport, open, rescue,
};

/// An open pool. Cheap to clone, safe to use from several threads.
///
/// Names: a dataset is `a/b/c`; a snapshot is `a/b/c@name`. Verbs are durable when they return.
#[derive(Clone)]
pub struct Pool {
    pub(in crate::pool) core: Arc<Core>,
}

impl Pool {
    /// Makes a pool on media that holds none; what a creation that was cut off left is cleared away.
    pub fn create(media: &Arc<dyn Media>, new: &NewPool) -> Result<()> {
        open::create(media, new)
    }

    /// Whether media holds a pool.
    pub fn exists(media: &dyn Media) -> Result<bool> {
        open::exists(media)
    }

    /// Whether media holds a pool that does not open because neither slot of its superblock is whole.
    pub fn superblock_is_lost(media: &Arc<dyn Media>) -> Result<bool> {
        rescue::is_lost(media)
    }

    /// Finds the superblock of a pool of which neither slot is whole in the copies among the nodes, and writes it again. What
    /// was acknowledged since is in the intent log, and opening replays it. `Invalid`, and nothing is changed, if a slot is
    /// whole.
    pub fn recover_superblock(media: &Arc<dyn Media>) -> Result<RecoveredSuperblock> {
        rescue::recover(media)
    }

    /// What the intent log of a pool that is not open has been promised since the last commit: its records, as they are stored, in
    /// order. Opening applies them; this changes nothing.
    pub fn promised(media: &dyn Media) -> Result<Vec<Vec<u8>>> {
        open::promised(media)
    }

    /// Opens a pool, recovering what was promised. `boot` is random: the seed of the write verifier.
    pub fn open(
        media: Arc<dyn Media>,
        executor: Arc<dyn Executor>,
        budgets: Budgets,
        boot: u64,
        now: Timestamp,
    ) -> Result<Self> {
        Ok(Self { core: open::open(media, executor, budgets, boot, now)? })
    }

    /// Commits and refuses all further calls.
    pub fn close(&self, now: Timestamp) -> Result<()> {
        let committed = self.core.keep_scrub(now).and_then(|()| self.core.commit(now));
        self.core.shut();
        committed?;
        self.core.save_index();
        Ok(())
    }

    /// The pool's id.
    pub fn id(&self) -> PoolId {
        self.core.id
    }

    /// A key for `purpose`, derived from the pool's secret.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        open::derive_key(&self.core.secret, purpose)
    }

    /// Calls whose changes the log told of when the pool was opened, so that they were done though no reply may have come of them.
    /// They are told once.
    pub fn done_before(&self) -> Vec<CallId> {
        std::mem::take(&mut *self.core.done_before.lock())
    }

    /// Makes a dataset. Parents must exist.
    pub fn create_dataset(&self, name: &str, properties: &Properties, now: Timestamp) -> Result<DatasetInfo> {
        self.core.create_dataset(name, properties, now)
    }

    /// Renames a dataset, and with it those below.
    pub fn rename_dataset(&self, name: &str, to: &str, now: Timestamp) -> Result<DatasetInfo> {
        self.core.rename_dataset(name, to, now)
    }

    /// Changes properties; they hold for what is written from now on.
    pub fn set_properties(&self, name: &str, change: &PropertyChange, now: Timestamp) -> Result<DatasetInfo> {
        self.core.set_properties(name, change, now)
    }

    /// One snapshot each of several datasets, at one instant.
    pub fn snapshot(&self, names: &[(&str, &str)], now: Timestamp) -> Result<Vec<SnapshotInfo>> {
        self.core.snapshot(names, now)
    }

    /// Renames a snapshot; `to` is its new name without the dataset's.
    pub fn rename_snapshot(&self, snapshot: &str, to: &str, now: Timestamp) -> Result<SnapshotInfo> {
        self.core.rename_snapshot(snapshot, to, now)
    }

    /// A writable dataset with a snapshot's content.
    pub fn clone_snapshot(
        &self,
        snapshot: &str,
        name: &str,
        change: &PropertyChange,
        now: Timestamp,
    ) -> Result<DatasetInfo> {
        self.core.clone_snapshot(snapshot, name, change, now)
    }

    /// Sets a head to a snapshot's content: of its own timeline, or its origin's. Returns the automatic
    /// snapshot that holds what the head had before.
    pub fn rewind(&self, name: &str, to: &str, now: Timestamp) -> Result<SnapshotInfo> {
        self.core.rewind(name, to, now)
    }

    /// Destroys a dataset (with its snapshots; with `recursive` also the datasets below it) or one snapshot.
    /// It can be undeleted until it is purged.
    pub fn destroy(&self, name: &str, recursive: bool, now: Timestamp) -> Result<()> {
        self.core.destroy(&[name], recursive, now)?.1
    }

    /// The same for several at once, all durable together, one after the other until one cannot be destroyed. Returns how many
    /// were, and why the next was not.
    ///
    /// # Errors
    /// When nothing was destroyed: a name is not there, or the pool cannot commit.
    pub fn destroy_each(&self, names: &[&str], recursive: bool, now: Timestamp) -> Result<(usize, Result<()>)> {
        self.core.destroy(names, recursive, now)
    }

    /// Ends the wait of what was destroyed before `before`, so that its space comes back.
    pub fn purge(&self, before: Timestamp, now: Timestamp) -> Result<u64> {
        self.core.purge(before, now)
    }

    /// Destroyed datasets and snapshots that can be undeleted.
    pub fn destroyed(&self) -> Result<Listing> {
        let catalog = self.core.catalog.read();
        Ok(Listing { datasets: catalog.destroyed_datasets(), snapshots: catalog.destroyed_snapshots() })
    }

    /// Takes a destroy back. `to` is the new name where the old one is taken.
    pub fn undelete(&self, name: &str, to: Option<&str>, now: Timestamp) -> Result<()> {
        self.core.undelete(name, to, now)
    }

    /// Keeps a snapshot from being destroyed until the hold `tag` is released.
    pub fn hold(&self, snapshot: &str, tag: &str, now: Timestamp) -> Result<()> {
        self.core.hold(snapshot, tag, now)
    }

    /// Ends a hold.
    pub fn release_hold(&self, snapshot: &str, tag: &str, now: Timestamp) -> Result<()> {
        self.core.release_hold(snapshot, tag, now)
    }

    /// What is known of a dataset.
    pub fn dataset(&self, name: &str) -> Result<DatasetInfo> {
        let catalog = self.core.catalog.read();
        catalog.dataset_info(catalog.find_dataset(name)?)
    }

    /// What is known of a dataset and of all below it, each after those above it. Takes the time that these take.
    pub fn dataset_and_below(&self, name: &str) -> Result<Vec<DatasetInfo>> {
        let catalog = self.core.catalog.read();
        let own = catalog.find_dataset(name)?;
        [own].into_iter().chain(catalog.datasets_below(name)).map(|id| catalog.dataset_info(id)).collect()
    }

    /// What is known of a snapshot.
    pub fn snapshot_info(&self, snapshot: &str) -> Result<SnapshotInfo> {
        let catalog = self.core.catalog.read();
        catalog.snapshot_info(catalog.find_snapshot(snapshot)?)
    }

    /// All datasets and snapshots.
    pub fn list(&self) -> Result<Listing> {
        let catalog = self.core.catalog.read();
        Ok(Listing { datasets: catalog.list_datasets(), snapshots: catalog.list_snapshots() })
    }

    /// The snapshots of a dataset by name, oldest first. `Stale` if the dataset is gone.
    pub fn snapshots_of(&self, dataset: DatasetId) -> Result<Vec<(String, SnapshotId)>> {
        self.core.catalog.read().snapshots_of(dataset)
    }

    /// The snapshot of a dataset that has this name.
    pub fn snapshot_named(&self, dataset: DatasetId, name: &str) -> Result<SnapshotId> {
        self.core.catalog.read().snapshot_named(dataset, name)
    }

    /// A snapshot's full name, as in `a/b@s`; once it is destroyed, the one it had.
    pub fn snapshot_name(&self, snapshot: SnapshotId) -> Result<String> {
        self.core.catalog.read().snapshot_name(snapshot)
    }

    /// The dataset whose timeline a snapshot is on.
    pub fn dataset_of_snapshot(&self, snapshot: SnapshotId) -> Result<DatasetId> {
        self.core.catalog.read().dataset_of(Holder::Snapshot(snapshot))
    }

    /// The file system of a dataset's head (`a/b`) or of a snapshot (`a/b@s`, read only). Two calls for the
    /// same one share all state; the handle answers `Stale` once the dataset is destroyed.
    pub fn file_system(&self, name: &str) -> Result<Arc<dyn FileSystem>> {
        let holder = self.core.catalog.read().resolve(name)?;
        self.file_system_at(holder)
    }

    /// The same by id.
    pub fn file_system_at(&self, holder: Holder) -> Result<Arc<dyn FileSystem>> {
        let head = self.core.head(holder)?;
        Ok(Arc::new(Files::new(Arc::clone(&self.core), head)))
    }

    /// What destroying this dataset (with its snapshots) or snapshot, and purging it, would free, in stored bytes, as of the last commit.
    ///
    /// Nodes count 4 KiB. Of an extent that would live on in part, the blocks that go count with their part of what lives of it now,
    /// which comes back when it is cleaned; when all go, this is exact. A block that others refer to as well does not count, nor
    /// does one that is shared only with what is being reclaimed. Reads the nodes of what would go, and stops no commit.
    pub fn would_free(&self, name: &str) -> Result<u64> {
        self.core.would_free(name, u64::MAX).map(|bytes| bytes.unwrap_or(0))
    }

    /// The same, unless it takes more than about `pointers` pointers to tell: neighbouring blocks of an extent have one.
    pub fn would_free_within(&self, name: &str, pointers: u64) -> Result<Option<u64>> {
        self.core.would_free(name, pointers)
    }

    /// What a dataset takes. Reads all nodes of its head, and of what destroying it would free.
    pub fn dataset_space(&self, name: &str) -> Result<DatasetSpace> {
        self.core.dataset_space(name)
    }

    /// Paths that differ between two snapshots or heads, of one dataset or of one and its clones, in order. Calls `found`
    /// until it returns false. Takes the time that the difference takes, not the trees. A head is compared as it is when
    /// this is called. What counts as a difference, [`Difference`] and [`DifferenceKind`] say, and `fs`'s `diff`.
    ///
    /// `Invalid` if the two never had a snapshot in common.
    ///
    /// [`DifferenceKind`]: crate::pool::DifferenceKind
    pub fn diff(&self, older: &str, newer: &str, found: &mut dyn FnMut(Difference) -> bool) -> Result<()> {
        self.core.diff(older, newer, found)
    }

    /// What the pool's files hold.
    pub fn space(&self) -> Result<PoolSpace> {
        self.core.space()
    }

    /// What background steps have yet to do.
    pub fn backlog(&self) -> Backlog {
        self.core.backlog()
    }

    /// Counters since the pool was opened.
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }

    /// Has each cache take a `part`th of its budget at most, for now, and gives buffers back that nobody uses: for times
    /// when little is asked. The index for deduplication stays whole.
    pub fn shrink_caches(&self, part: u64) {
        self.core.store.shrink(part);
        self.core.log.release_memory();
        self.core.media.release_memory();
    }

    /// Reads and checks everything reachable, or what one dataset (its head and live snapshots) or snapshot reaches, as of the last commit
    /// and past all caches. No commit waits for it; but until it ends, what is freed is not given back. `progress` is told
    /// bytes done and bytes in all, and stops it by returning false.
    pub fn verify(&self, of: Option<&str>, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<VerifyReport> {
        self.core.verify(of, progress)
    }

    /// Makes everything so far durable. The daemon calls it every few seconds and when told that it is due.
    pub fn commit(&self, now: Timestamp) -> Result<()> {
        self.core.commit(now)?;
        // Ahead of need, so that nobody waits for the host to allocate. A full host is noticed at the next write.
        self.core.heed(self.core.store.account().segments().prepare().map(drop))
    }

    /// Whether a verb about these datasets would have to wait for a commit that is under way. It may have ended when this
    /// returns; with one thread that is certain.
    pub fn is_busy_with(&self, datasets: &[DatasetId]) -> bool {
        let heads: Vec<_> = datasets.iter().map(|dataset| Holder::Head(*dataset)).collect();
        self.core.is_busy_with(&heads)
    }

    /// Whether dirty memory or the intent log ask for a commit now.
    pub fn commit_due(&self) -> bool {
        self.core.commit_due()
    }

    /// Frees what destroyed datasets, snapshots and orphaned files held, up to `budget` pointers.
    pub fn reclaim_step(&self, budget: u64, now: Timestamp) -> Result<Progress> {
        self.core.heed(self.core.reclaim_step(budget, now))
    }

    /// Begins a pass of scrubbing over all that the last commit left, or goes on with the one that is paused; `anew` begins one also
    /// where one is under way. What the last one found is forgotten. `Conflict` if one runs.
    pub fn scrub_start(&self, anew: bool, now: Timestamp) -> Result<()> {
        self.core.heed(self.core.scrub_start(anew, now))
    }

    /// Has the pass wait where it is, until it is started again. `Conflict` if none runs.
    pub fn scrub_pause(&self, now: Timestamp) -> Result<()> {
        self.core.heed(self.core.scrub_pause(now))
    }

    /// Ends the pass that runs or is paused. `Conflict` if there is none.
    pub fn scrub_cancel(&self, now: Timestamp) -> Result<()> {
        self.core.heed(self.core.scrub_cancel(now))
    }

    /// The pass that is under way, or else the last one; `None` if there never was one.
    pub fn scrub_pass(&self) -> Option<Pass> {
        self.core.scrub_pass()
    }

    /// Goes on with the pass that runs: reads up to about `budget` stored bytes past all caches, and checks them by their checksums
    /// and hashes. Counts bytes read, tells what is damaged and who is hit, and is idle when the pass has come to its end, or none runs.
    /// Only while a step lasts does anything keep what is freed from coming back. Where the pass is, and what it found, is stored
    /// when `now` is some seconds later than when it was stored last, at once where damage was found, and when the pool is closed.
    ///
    /// What is first written after the pass began, the next one reads. References are not recounted, nor pointers compared with
    /// what they lead to: [`Self::verify`] does that.
    pub fn scrub_step(&self, budget: u64, now: Timestamp) -> Result<Progress> {
        self.core.heed(self.core.scrub_step(budget, now))
    }

    /// Moves live extents out of sparse segments, up to `budget` bytes, and gives back long dead stretches of others. Counts
    /// bytes moved and bytes given back.
    pub fn clean_step(&self, budget: u64, _now: Timestamp) -> Result<Progress> {
        let step = self.core.heed(self.core.clean_step(budget))?;
        if step.idle {
            self.core.save_index_when_due();
        }
        Ok(step)
    }
}
