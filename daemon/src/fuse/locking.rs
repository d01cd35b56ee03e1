//! Locks of this host's programs, in the table that NFS clients' locks are in.
//!
//! Invariant: an owner's locks of a file end when it closes it, and all of a mount's when that ends. Who has got a lock
//! sees what was written under it before. A program that waits for a lock can be interrupted: the kernel does not say so
//! in a way that is heard, so it is looked after.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use cow_storage::format::InodeNumber;
use fuser::{Errno, ReplyEmpty};
use parking_lot::Mutex;

use crate::fuse::failure::Outcome;
use crate::locks::{Claim, Client, End, File, Kind, Locks, Outcome as Locked, Owner, Range, Wait, Waiter};
use crate::shares::View;

/// How often those that wait are looked after.
const PAUSE: Duration = Duration::from_millis(25);

/// Kinds of locks in `struct flock`.
const READ: i32 = 0;
const WRITE: i32 = 1;
/// The kind of no lock.
pub const NONE: i32 = 2;
/// The last byte of a lock that has no end.
const END: u64 = i64::MAX as u64;

/// A lock as a program asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The file.
    pub inode: InodeNumber,
    /// Tells the program, or its opening of the file, from others.
    pub owner: u64,
    /// The first byte and the last.
    pub bytes: (u64, u64),
    /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
    pub kind: i32,
    /// The process.
    pub process: u32,
}

/// Answers that a file is locked, once the kernel has nothing of it that is older.
pub type Refresh = Box<dyn Fn(InodeNumber, ReplyEmpty) + Send + Sync>;

/// What stands against a lock: bytes, kind, process.
pub type Obstacle = ((u64, u64), i32, u32);

/// The locks of one mount.
pub struct Locking {
    locks: Arc<Locks>,
    client: Arc<Client>,
    of: File,
    number: AtomicU64,
    watch: Arc<Mutex<Watch>>,
    refresh: Arc<OnceLock<Refresh>>,
}

/// Those that wait, and whether somebody looks after them.
#[derive(Default)]
struct Watch {
    waiting: Vec<Arc<Waiting>>,
    is_on: bool,
}

/// A program that waits for a lock.
struct Waiting {
    locks: Arc<Locks>,
    claim: Claim,
    number: u64,
    /// Whether it wants to, and not only until NFS clients have taken back what they had.
    is_patient: bool,
    /// Whether the table has it, which tells how the wait ended.
    is_queued: AtomicBool,
    thread: u32,
    reply: Mutex<Option<ReplyEmpty>>,
    refresh: Arc<OnceLock<Refresh>>,
}

impl Locking {
    /// The locks that programs take through a mount of `view` at `path`.
    pub fn new(locks: Arc<Locks>, view: &View, path: &str) -> Self {
        let of = File { dataset: view.share.dataset, snapshot: view.snapshot, inode: InodeNumber::ROOT };
        let client = Arc::new(Client { address: None, name: path.to_owned() });
        Self { locks, client, of, number: AtomicU64::new(0), watch: Arc::default(), refresh: Arc::default() }
    }

    /// How locks are answered from now on. Before, no pages are known to be old.
    pub fn set_refresh(&self, refresh: Refresh) {
        // A mount serves once.
        let _ = self.refresh.set(refresh);
    }

    /// What stands against a lock, if anything does.
    pub fn test(&self, wanted: Wanted) -> Outcome<Option<Obstacle>> {
        match self.locks.test(&self.claim(wanted)?) {
            Locked::Denied(found) => {
                // A process of another host is none here.
                let is_here = found.owner.client.address.is_none();
                let process = if is_here { u32::try_from(found.process).unwrap_or(0) } else { 0 };
                let kind = if found.kind == Kind::Shared { READ } else { WRITE };
                Ok(Some(((found.range.first(), found.range.last().min(END)), kind, process)))
            }
            _ => Ok(None),
        }
    }

    /// Takes a lock, or gives one back. `thread` waits for the reply, and for the lock if `waits` says so.
    pub fn set(&self, wanted: Wanted, waits: bool, thread: u32, reply: ReplyEmpty) {
        let claim = match self.claim(wanted) {
            Ok(claim) => claim,
            Err(failure) => return reply.error(failure.0),
        };
        if wanted.kind == NONE {
            return match self.locks.unlock(claim.file, &claim.owner, claim.range) {
                Locked::Full => reply.error(Errno::ENOLCK),
                _ => reply.ok(),
            };
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (locks, reply) = (self.locks.clone(), Mutex::new(Some(reply)));
        let is_queued = AtomicBool::new(false);
        let refresh = self.refresh.clone();
        let waiting = Arc::new(Waiting { locks, claim, number, is_patient: waits, is_queued, thread, reply, refresh });
        if !waiting.clone().ask() {
            self.look_after(waiting);
        }
    }

    /// An owner closes a file.
    pub fn release(&self, inode: InodeNumber, owner: u64) {
        self.locks.unlock(File { inode, ..self.of }, &self.owner(owner), Range::ALL);
    }

    /// The mount has ended.
    pub fn release_all(&self) {
        self.locks.release_client(&self.client);
    }

    fn owner(&self, number: u64) -> Owner {
        Owner { client: self.client.clone(), number }
    }

    fn claim(&self, wanted: Wanted) -> Outcome<Claim> {
        let kind = if wanted.kind == READ { Kind::Shared } else { Kind::Exclusive };
        let range = Range::from_first_to_last(wanted.bytes.0, wanted.bytes.1).ok_or(Errno::EINVAL)?;
        let (file, owner) = (File { inode: wanted.inode, ..self.of }, self.owner(wanted.owner));
        let process = i32::try_from(wanted.process).unwrap_or(0);
        Ok(Claim { file, owner, range, kind, process, handle: Arc::default() })
    }

    fn look_after(&self, waiting: Arc<Waiting>) {
        let mut watch = self.watch.lock();
        watch.waiting.push(waiting);
        if !watch.is_on {
            let shared = self.watch.clone();
            let looking = thread::Builder::new().name("mount-locks".to_owned()).spawn(move || look(&shared));
            watch.is_on = looking.is_ok();
        }
    }
}

/// Looks after those that wait until there are none.
fn look(watch: &Mutex<Watch>) {
    loop {
        thread::sleep(PAUSE);
        let waiting = {
            let mut watch = watch.lock();
            watch.waiting.retain(|waiting| waiting.reply.lock().is_some());
            if watch.waiting.is_empty() {
                watch.is_on = false;
                return;
            }
            watch.waiting.clone()
        };
        for one in waiting {
            one.look();
        }
    }
}

impl Waiting {
    /// Asks for the lock. Returns whether that was answered.
    fn ask(self: Arc<Self>) -> bool {
        let wait = match self.is_patient {
            true => Wait::Until { number: self.number, waiter: self.clone() },
            false => Wait::No,
        };
        let answer = match self.locks.lock(self.claim.clone(), wait) {
            Locked::Granted => Ok(()),
            Locked::Denied(_) => Err(Errno::EAGAIN),
            Locked::Deadlock => Err(Errno::EDEADLK),
            Locked::Full => Err(Errno::ENOLCK),
            Locked::Waiting => {
                self.is_queued.store(true, Ordering::Relaxed);
                return false;
            }
            Locked::Grace => return false,
        };
        self.answer(answer);
        true
    }

    fn answer(&self, answer: Result<(), Errno>) {
        match (self.reply.lock().take(), answer) {
            (Some(reply), Ok(())) => match self.refresh.get() {
                Some(refresh) => refresh(self.claim.file.inode, reply),
                None => reply.ok(),
            },
            (Some(reply), Err(errno)) => reply.error(errno),
            (None, _) => {}
        }
    }

    fn look(self: Arc<Self>) {
        let is_queued = self.is_queued.load(Ordering::Relaxed);
        if is_signalled(self.thread) {
            // Granted meanwhile, it is answered by whoever granted it.
            if !is_queued || self.locks.cancel(&self.claim, self.number) {
                self.answer(Err(Errno::EINTR));
            }
        } else if !is_queued {
            self.ask();
        }
    }
}

impl Waiter for Waiting {
    fn ended(&self, _: &Claim, end: End) {
        self.answer(match end {
            End::Granted => Ok(()),
            End::Dropped => Err(Errno::ENOLCK),
        });
    }
}

/// Whether a signal waits for a thread that would end its wait.
fn is_signalled(thread: u32) -> bool {
    thread != 0 && fs::read_to_string(format!("/proc/{thread}/status")).is_ok_and(|status| has_signal(&status))
}

fn has_signal(status: &str) -> bool {
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    (mask("SigPnd:") | mask("ShdPnd:")) & !mask("SigBlk:") & !mask("SigIgn:") != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_are_neither_blocked_nor_ignored_end_a_wait() {
        let status = |pending: &str, shared: &str, blocked: &str, ignored: &str| {
            format!("Name:\tx\nSigPnd:\t{pending}\nShdPnd:\t{shared}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\n")
        };
        let (none, hup, int) = ("0000000000000000", "0000000000000001", "0000000000000002");
        assert!(!has_signal(&status(none, none, none, none)) && !has_signal(""));
        assert!(has_signal(&status(hup, none, int, int)) && has_signal(&status(none, int, hup, none)));
        assert!(!has_signal(&status(hup, none, hup, none)) && !has_signal(&status(none, int, none, int)));
    }
}
