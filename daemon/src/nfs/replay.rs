//! Replies kept for calls that must not run twice.
//!
//! A client that got no reply sends its call again, perhaps on a new connection, perhaps while the
//! first is still being run. A call is the same one if client, number, procedure, length and checksum are;
//! and if it comes from the same port, or the connection that brought the first has ended: two
//! connections that live side by side belong to different callers who may draw the same numbers.
//!
//! Invariant: between [`Replay::begin`] saying `Run` and the end of that [`Running`], no other call that
//! is the same is told to run. Kept replies are bounded by count and bytes, the oldest going first.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::nfs::rpc::Call;

const SHARDS: usize = 16;
/// Bytes of a record that its checksum covers: all of a call without data, and the front of a WRITE.
const CHECKED_LEN: usize = 512;
/// How long a reply is kept.
const AGE_MAX: Duration = Duration::from_secs(120);
/// Bytes that an entry takes besides its reply.
const ENTRY_LEN: usize = 160;

/// What makes a call the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: IpAddr,
    xid: u32,
    program: u32,
    procedure: u32,
    length: usize,
    checksum: u64,
}

struct Entry {
    number: u64,
    port: u16,
    /// Set when the connection that brought the call has ended.
    ended: Arc<AtomicBool>,
    began: Instant,
    /// None while it is run.
    reply: Option<Box<[u8]>>,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Key, Entry>,
    /// Finished entries, oldest first, by key and number.
    finished: VecDeque<(Key, u64)>,
    bytes: usize,
    next_number: u64,
}

/// The replies kept.
pub struct Replay {
    shards: [Mutex<Shard>; SHARDS],
    entries_max: usize,
    bytes_max: usize,
}

/// What to do with a call.
pub enum Verdict<'a> {
    /// Run it, and tell the outcome.
    Run(Running<'a>),
    /// Send this again.
    Replay(Box<[u8]>),
    /// Nothing: the same call is being run, and its reply will go out.
    Drop,
}

/// A call that is being run. Dropping it without a reply forgets it, so that it can run again.
pub struct Running<'a> {
    shard: &'a Mutex<Shard>,
    key: Key,
    number: u64,
    limits: (usize, usize),
    is_finished: bool,
}

impl Replay {
    /// Keeps at most `entries_max` replies and `bytes_max` bytes of them.
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self { shards: Default::default(), entries_max: entries_max / SHARDS, bytes_max: bytes_max / SHARDS }
    }

    /// Looks a call up, and notes that it runs unless it did or does.
    pub fn begin(&self, peer: SocketAddr, call: &Call, record: &[u8], ended: &Arc<AtomicBool>) -> Verdict<'_> {
        let key = key(peer, call, record);
        let shard = &self.shards[key.checksum as usize % SHARDS];
        let mut locked = shard.lock();
        let number = locked.next_number;
        locked.next_number += 1;
        let entry = Entry { number, port: peer.port(), ended: ended.clone(), began: Instant::now(), reply: None };
        if let Some(found) = locked.entries.get(&key)
            && (found.port == entry.port || found.ended.load(Ordering::Acquire))
            && found.began.elapsed() < AGE_MAX
        {
            return found.reply.clone().map_or(Verdict::Drop, Verdict::Replay);
        }
        locked.forget(&key);
        locked.entries.insert(key, entry);
        locked.bytes += ENTRY_LEN;
        let limits = (self.entries_max, self.bytes_max);
        Verdict::Run(Running { shard, key, number, limits, is_finished: false })
    }
}

impl Running<'_> {
    /// Keeps the reply.
    pub fn finish(mut self, reply: &[u8]) {
        self.is_finished = true;
        let mut shard = self.shard.lock();
        if let Some(entry) = shard.entries.get_mut(&self.key).filter(|entry| entry.number == self.number) {
            entry.reply = Some(reply.into());
            shard.bytes += reply.len();
            shard.finished.push_back((self.key, self.number));
        }
        let (entries_max, bytes_max) = self.limits;
        while shard.finished.len() > entries_max || (shard.bytes > bytes_max && !shard.finished.is_empty()) {
            shard.forget_oldest();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let mut shard = self.shard.lock();
            if shard.entries.get(&self.key).is_some_and(|entry| entry.number == self.number) {
                shard.forget(&self.key);
            }
        }
    }
}

impl Shard {
    fn forget_oldest(&mut self) {
        if let Some((key, number)) = self.finished.pop_front()
            && self.entries.get(&key).is_some_and(|entry| entry.number == number)
        {
            self.forget(&key);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= ENTRY_LEN + entry.reply.map_or(0, |reply| reply.len());
        }
    }
}

fn key(peer: SocketAddr, call: &Call, record: &[u8]) -> Key {
    let mut hasher = DefaultHasher::new();
    record[..record.len().min(CHECKED_LEN)].hash(&mut hasher);
    Key {
        client: peer.ip().to_canonical(),
        xid: call.xid,
        program: call.program,
        procedure: call.procedure,
        length: record.len(),
        checksum: hasher.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::ClientIdentity;

    fn call(xid: u32) -> Call {
        Call { xid, program: 1, version: 3, procedure: 8, identity: ClientIdentity::Anonymous }
    }

    fn peer(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn run(verdict: Verdict<'_>) -> Running<'_> {
        match verdict {
            Verdict::Run(running) => running,
            _ => panic!("the call does not run"),
        }
    }

    #[test]
    fn a_call_runs_once_and_is_answered_again() {
        let (replay, alive) = (Replay::new(1 << 10, 1 << 20), Arc::default());
        let running = run(replay.begin(peer(1), &call(1), b"x", &alive));
        assert!(matches!(replay.begin(peer(1), &call(1), b"x", &alive), Verdict::Drop));
        running.finish(b"done");
        let again = replay.begin(peer(1), &call(1), b"x", &alive);
        assert!(matches!(again, Verdict::Replay(reply) if *reply == *b"done"));
        run(replay.begin(peer(1), &call(2), b"x", &alive));
        run(replay.begin(peer(1), &call(1), b"y", &alive));
        // Those were dropped without a reply, so they may run again.
        run(replay.begin(peer(1), &call(2), b"x", &alive)).finish(b"two");
    }

    #[test]
    fn another_connection_is_another_caller_until_the_first_has_ended() {
        let (replay, first) = (Replay::new(1 << 10, 1 << 20), Arc::new(AtomicBool::new(false)));
        run(replay.begin(peer(1), &call(1), b"x", &first)).finish(b"one");
        first.store(true, Ordering::Release);
        let alive = Arc::default();
        assert!(matches!(replay.begin(peer(2), &call(1), b"x", &alive), Verdict::Replay(_)));
        let running = run(replay.begin(peer(2), &call(7), b"x", &alive));
        run(replay.begin(peer(3), &call(7), b"x", &alive)).finish(b"three");
        running.finish(b"two");
        let again = replay.begin(peer(3), &call(7), b"x", &alive);
        assert!(matches!(again, Verdict::Replay(reply) if *reply == *b"three"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (replay, alive) = (Replay::new(SHARDS * 4, SHARDS * 4 * (ENTRY_LEN + 100)), Arc::default());
        for xid in 0..10_000u32 {
            let running = run(replay.begin(peer(1), &call(xid), &xid.to_be_bytes(), &alive));
            running.finish(&vec![0; xid as usize % 300]);
        }
        for shard in &replay.shards {
            let shard = shard.lock();
            let replies = shard.entries.values().map(|entry| entry.reply.as_ref().unwrap().len() + ENTRY_LEN);
            assert_eq!(shard.bytes, replies.sum::<usize>());
            assert!(shard.entries.len() <= 4 && shard.finished.len() <= 4);
        }
    }
}
