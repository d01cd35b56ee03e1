//! Makes a pool, and opens one.
//!
//! Opening reads the newest superblock, applies what the log promised since, and *commits before it
//! serves*: after a killed process the page cache shows what was never flushed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::account::{Account, AccountOptions, AccountState};
use crate::catalog::{Catalog, Holder};
use crate::error::{Error, ErrorKind, Result};
use crate::executor::{Errands, Executor};
use crate::format::{Birth, DatasetId, PoolId, Timestamp};
use crate::fs::{Names, Record};
use crate::intent::{IntentLog, LogPosition, Logged};
use crate::media::Media;
use crate::pool::ahead::ReadAhead;
use crate::pool::change::Promise;
use crate::pool::core::{Committed, Core, Tally};
use crate::pool::cuts::Cuts;
use crate::pool::epoch::Epoch;
use crate::pool::payload::Payload;
use crate::pool::publish::write_with_copy;
use crate::pool::scrub::Scrubbing;
use crate::pool::view::Latest;
use crate::pool::{Budgets, NewPool, record, rescue};
use crate::scrub::load_pass;
use crate::segment::SegmentOptions;
use crate::store::{CommitWriter, Store};
use crate::superblock::{SUPERBLOCK_NAME, Superblock};
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Mutex, RwLock};
use crate::tree::{Root, apply};

/// Segments kept back, at least: 256 MiB of the usual size.
const RESERVE_COUNT_MIN: u64 = 4;
/// Segments kept back, at most.
const RESERVE_COUNT_MAX: u64 = 16;
/// Bytes in the smallest intent log: the longest record that is not a write, an extended attribute's, takes less than
/// half of it, which is the most that a record may take.
const INTENT_LEN_MIN: u64 = 256 << 10;
/// The number of a pool's first commit.
const FIRST: Birth = Birth(1);

/// A key for `purpose`, derived from a pool's secret.
pub fn derive_key(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    blake3::derive_key(&format!("cow 2026 {purpose}"), secret)
}

/// Whether media holds a pool.
pub fn exists(media: &dyn Media) -> Result<bool> {
    Ok(media.list()?.iter().any(|name| name == SUPERBLOCK_NAME))
}

/// Makes a pool on media that holds none.
pub fn create(media: &Arc<dyn Media>, new: &NewPool) -> Result<()> {
    if exists(&**media)? {
        return Err(Error::new(ErrorKind::Exists, "there is a pool already: open it, or choose an empty directory"));
    }
    if new.intent_size < INTENT_LEN_MIN {
        let message =
            format!("an intent log of {} bytes is too small: it has at least {INTENT_LEN_MIN}", new.intent_size);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if rescue::newest_copy(media).map_err(refused)?.is_some_and(|commit| commit > FIRST.0) {
        let message = "there is a pool whose superblock is gone: recover that from the copies among the nodes";
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let create = || {
        clear_unfinished(&**media)?;
        IntentLog::create(&**media, new.intent_size)?;
        let options = options_of(media, new)?;
        let account = Account::create(Arc::clone(media), AccountOptions::new(options, 1 << 20))?;
        let store = Store::new(account, Arc::new(crate::executor::Inline), 1 << 20, 1 << 20);
        let writer = CommitWriter::new(&store, FIRST);
        let system = apply(&writer, &Root::EMPTY, Catalog::new().take_edits(), FIRST, &mut Vec::new())?.root;
        let superblock = |account: &AccountState| {
            let payload = Payload {
                secret: new.secret,
                segment_len: options.segment_len,
                reserve_count: options.reserve_count,
                committed: Timestamp::default(),
                system,
                log: LogPosition::START,
                account: account.clone(),
                cuts: Cuts::default(),
            };
            payload.superblock(new.id)
        };
        let copy_len = Superblock::copy_len(Payload::len_max(&Cuts::default()));
        let copy = (copy_len, &superblock as &dyn Fn(&AccountState) -> Superblock);
        let first = superblock(&write_with_copy(store.account(), Birth(0), FIRST, copy)?);
        Superblock::create(&**media, &first).map(drop)
    };
    create().map_err(|error: Error| error.during("cannot create the pool"))
}

/// Removes what an interrupted creation left: without a superblock nothing of it was ever promised.
fn clear_unfinished(media: &dyn Media) -> Result<()> {
    let ours = |name: &String| name == crate::intent::INTENT_NAME || crate::segment::is_segment_name(name);
    media.list()?.into_iter().filter(ours).try_for_each(|name| media.unlink(&name))
}

fn options_of(media: &Arc<dyn Media>, new: &NewPool) -> Result<SegmentOptions> {
    let segment_len = new.segment_size;
    if !segment_len.is_multiple_of(1 << 20) || !(1 << 20..=64 << 20).contains(&segment_len) {
        return Err(Error::new(ErrorKind::Invalid, "a segment has 1 to 64 MiB, in whole MiB"));
    }
    // In proportion to the host, and counted as if segments had the usual 64 MiB: tests' small ones stay small.
    let reserve_count = (media.space()?.total / 64 / (64 << 20)).clamp(RESERVE_COUNT_MIN, RESERVE_COUNT_MAX);
    Ok(SegmentOptions { segment_len, reserve_count: reserve_count as u32 })
}

/// Opens a pool.
pub fn open(
    media: Arc<dyn Media>,
    executor: Arc<dyn Executor>,
    budgets: Budgets,
    boot: u64,
    now: Timestamp,
) -> Result<Arc<Core>> {
    let superblock = rescue::current(&media).map_err(refused)?;
    open_from(superblock, media, executor, budgets, boot, now).map_err(|error| match error.kind() {
        // A file or a record that is missed is as bad as one that is damaged.
        ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Stale => {
            let message = "the pool is damaged where opening needs it whole: restore its files from a copy";
            Error::because(ErrorKind::Corrupt, message, error)
        }
        _ => refused(error),
    })
}

/// Says what to do where it is a version that is not known.
pub fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::UnknownVersion => {
            error.during("this pool was written by another version of cow: open it with that one")
        }
        _ => error,
    }
}

fn open_from(
    superblock: Superblock,
    media: Arc<dyn Media>,
    executor: Arc<dyn Executor>,
    budgets: Budgets,
    boot: u64,
    now: Timestamp,
) -> Result<Arc<Core>> {
    let payload = Payload::decode(&superblock.payload)?;
    let (birth, state) = (Birth(superblock.commit), payload.account.clone());
    if payload.account.birth() != birth {
        return Err(Error::new(ErrorKind::Corrupt, "the superblock names another commit's account"));
    }
    let options = SegmentOptions { segment_len: payload.segment_len, reserve_count: payload.reserve_count };
    let account = Account::open(Arc::clone(&media), AccountOptions::new(options, budgets.slots), &payload.account)?;
    let store = Arc::new(Store::new(account, executor, budgets.nodes, budgets.blocks).with_finder(budgets.dedup));
    let catalog = Catalog::load(&*store, &payload.system)?;
    let scrubbing = Scrubbing::new(load_pass(&*store, &payload.system)?);
    let (log, records) = IntentLog::open(&*media, log_id(&payload.secret), payload.log)?;
    let committed = Committed {
        birth,
        system: payload.system,
        log: payload.log,
        cuts: Cuts::default(),
        at: payload.committed,
        idle: 0,
        reserved: None,
    };
    let core = Core {
        id: superblock.pool,
        secret: payload.secret,
        store,
        log,
        superblock: Superblock::open(&*media)?,
        names: Names::new(derive_key(&payload.secret, "names")),
        ahead: ReadAhead::new(budgets.blocks),
        errands: Errands::default(),
        budgets,
        boot,
        catalog: RwLock::new(catalog),
        catalog_birth: AtomicU64::new(birth.0),
        heads: Mutex::new(HashMap::new()),
        dirty_heads: Mutex::new(HashMap::new()),
        dirty_len: AtomicU64::new(0),
        gate: RwLock::new(()),
        jobs: Mutex::new(Vec::new()),
        last_cut: AtomicU64::new(0),
        last_whole: AtomicU64::new(0),
        flight: Mutex::new(()),
        pressed: AtomicBool::new(false),
        settled: AtomicU64::new(0),
        committed: Mutex::new(committed),
        latest: Mutex::new(Latest { birth, system: payload.system, account: payload.account }),
        epoch: Epoch::new(birth),
        moved: AtomicBool::new(false),
        sifter: Mutex::default(),
        cleaning: Mutex::default(),
        scrubbing: Mutex::new(scrubbing),
        scrub_turn: Mutex::default(),
        awaiting: Mutex::default(),
        awaiting_len: AtomicU64::new(0),
        tally: Tally::default(),
        found: Mutex::default(),
        done_before: Mutex::default(),
        mode: AtomicU8::new(0),
        media,
    };
    let recover = || {
        core.replay(&records, &payload.cuts, birth)?;
        *core.done_before.lock() = record::calls(&records).collect();
        // Until here nothing was lost, so a pool that is refused can be opened by whoever knows more of it.
        core.store.account().cut_tails(&state)?;
        core.first_commit(now)
    };
    recover().map_err(|error: Error| error.during("recover what the intent log promised"))?;
    // Only now: recovery looks nothing up in it, so it does not wait for it either.
    core.store.finder().recall_later(&*core.media, core.id);
    Ok(Arc::new(core))
}

/// The records that opening would apply, in order, and that no commit has yet. Changes nothing.
pub fn promised(media: &dyn Media) -> Result<Vec<Vec<u8>>> {
    let newest = Superblock::both(media)?.into_iter().flatten().max_by_key(|found| found.commit);
    let newest = newest.ok_or_else(|| Error::new(ErrorKind::Corrupt, "neither superblock slot is whole"))?;
    let payload = Payload::decode(&newest.payload)?;
    let records = IntentLog::look(media, log_id(&payload.secret), payload.log)?;
    Ok(records.into_iter().map(|record| record.bytes).collect())
}

/// What marks the log's groups: nobody who does not know the secret can make bytes that look like one.
pub fn log_id(secret: &[u8; 32]) -> PoolId {
    let key = derive_key(secret, "intent log");
    PoolId(*key.first_chunk().expect("a key has 32 bytes"))
}

impl Core {
    /// Applies what the log has beyond commit `last`.
    fn replay(&self, records: &[Logged], cuts: &Cuts, last: Birth) -> Result<()> {
        for change in record::changes(records, last) {
            let (logged, dataset, record) = change?;
            if !cuts.has(dataset, logged) {
                self.replay_change(dataset, &record)?;
            }
        }
        Ok(())
    }

    fn replay_change(&self, dataset: DatasetId, record: &Record<'_>) -> Result<()> {
        let head = self.head(Holder::Head(dataset))?;
        let _gate = self.gate.read();
        let mut operations = head.operate_always();
        let (_pin, present) = self.view(&head)?;
        self.apply(&head, &mut operations, &present, record, Promise::Replayed).map(drop)
    }
}
