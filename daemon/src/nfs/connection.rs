//! One connection: a leader reads, and hands the reading on while it runs what others should not wait behind.
//!
//! A thread that has read a call runs it itself. Quick calls are run while it still leads, since
//! waking another thread would cost more than they do; replies wait until all that has been received is run, and go
//! out together. Before a call of a kind that has lately been slow, and before it waits for what calls changed to become
//! durable, it gives the lead to another thread, woken or begun for it; afterwards it waits to lead again.
//!
//! Invariant: at most [`Limits::threads_per_connection`] calls of a connection run at once, and while that
//! many do nothing more is read. Replies go out whole, one after the other, also after the peer has sent
//! its last call. The last thread to leave ends the connection.

use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, MutexGuard};

use crate::nfs::buffers::Buffer;
use crate::nfs::counters::Reason;
use crate::nfs::polling::Habit;
use crate::nfs::promised::Promised;
use crate::nfs::record::{End, RecordReader, is_timeout};
use crate::nfs::server::Shared;
use crate::nfs::service::{Answer, Origin};
use crate::nfs::xdr::Encoder;

/// Replies that are held together, at most.
const HELD_MAX: usize = 16;
/// How long a thread waits to lead before it leaves, if it is not the last.
const FOLLOW_TIME: Duration = Duration::from_secs(10);
/// How long one call to the system waits for a peer.
pub const STALL_TIME: Duration = Duration::from_secs(20);
/// How long a reply may take.
const REPLY_TIME_MAX: Duration = Duration::from_secs(60);

/// A connection, shared by the threads that serve it.
pub struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    /// Ours.
    port: u16,
    origin: Origin,
    reader: Mutex<RecordReader>,
    writer: Mutex<()>,
    threads: AtomicUsize,
    waiting: AtomicUsize,
    habit: Habit,
    /// When it was opened.
    pub since: SystemTime,
}

/// Replies of calls that were run.
#[derive(Default)]
struct Held<'a> {
    /// Those that can be sent.
    ready: Vec<Outgoing>,
    /// Those of which the changes are not durable yet.
    promised: Vec<Promised<'a>>,
}

/// A reply on its way.
enum Outgoing {
    Made(Encoder),
    Kept(Box<[u8]>),
}

/// What a thread does after a record.
enum Next {
    /// Read another one, when it is its turn.
    Lead,
    /// Go: the peer sends no more, and others may still be running its calls.
    Leave,
    /// End the connection for all.
    End,
}

impl Connection {
    /// A connection that nobody reads yet.
    pub fn new(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) -> Arc<Self> {
        let server = stream.local_addr().ok();
        Arc::new(Self {
            shared,
            stream,
            port: server.map_or(0, |server| server.port()),
            origin: Origin::new(peer, server.map(|server| server.ip())),
            reader: Mutex::default(),
            writer: Mutex::new(()),
            threads: AtomicUsize::new(1),
            waiting: AtomicUsize::new(0),
            habit: Habit::default(),
            since: SystemTime::now(),
        })
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.origin.peer
    }

    /// The client's address and our port, which no two connections have in common.
    pub fn ends(&self) -> (SocketAddr, u16) {
        (self.origin.peer, self.port)
    }

    /// Stops reading; calls that run still send their replies.
    pub fn stop_reading(&self) {
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Ends both directions.
    pub fn end(&self) {
        self.origin.ended.store(true, Ordering::Release);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn is_ended(&self) -> bool {
        self.origin.ended.load(Ordering::Acquire)
    }

    /// Serves until the connection ends or others do the work. The caller was counted in `threads`.
    pub fn serve(self: Arc<Self>) {
        while let Some(leader) = self.lead() {
            match self.serve_some(leader) {
                Next::Lead => {}
                Next::Leave => break,
                Next::End => self.end(),
            }
        }
        if self.threads.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.end();
            self.shared.forget(&self);
        } else {
            self.shared.threads.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Waits to be the one who reads. `None` once the connection has ended, or others do.
    fn lead(&self) -> Option<MutexGuard<'_, RecordReader>> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let reader = self.reader.try_lock_for(FOLLOW_TIME);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        reader.filter(|_| !self.is_ended())
    }

    /// Reads and answers records, until others lead.
    fn serve_some(self: &Arc<Self>, mut leader: MutexGuard<'_, RecordReader>) -> Next {
        let service = &self.shared.service;
        let mut held = Held::default();
        loop {
            if !leader.has_whole() || held.is_full() {
                if !self.send(&held.ready) {
                    return Next::End;
                }
                held.ready.clear();
                if !held.promised.is_empty() {
                    drop(leader);
                    self.find_follower();
                    return if self.give_out(held) { Next::Lead } else { Next::End };
                }
            }
            let record = match self.read(&mut leader) {
                Ok(record) => record,
                Err(next) => return next,
            };
            if service.is_slow(record.filled()) {
                drop(leader);
                return self.serve_slow(record.filled(), held);
            }
            match service.answer(&self.origin, record.filled(), true) {
                Answer::Promised(promised) => held.promised.push(*promised),
                Answer::Nothing => {}
                // What is a part of the budget is not held while another part of it may have to be waited for.
                Answer::Reply(reply) if reply.is_counted() => {
                    held.ready.push(Outgoing::Made(reply));
                    if !self.send(&held.ready) {
                        return Next::End;
                    }
                    held.ready.clear();
                }
                Answer::Reply(reply) => held.ready.push(Outgoing::Made(reply)),
                Answer::Kept(reply) => held.ready.push(Outgoing::Kept(reply)),
                Answer::End => {
                    self.give_out(held);
                    return Next::End;
                }
            }
        }
    }

    /// Reads a record.
    fn read(&self, leader: &mut RecordReader) -> Result<Buffer, Next> {
        let shared = &self.shared;
        let began = Instant::now();
        let waits = !leader.has_more();
        if waits {
            shared.polling.wait(&self.stream, &self.habit);
        }
        let mut is_idle = || began.elapsed() > shared.limits.idle_time;
        let record = leader.read(&mut &self.stream, &shared.service.portion(&self.origin), &mut is_idle);
        let record = record.map_err(|end| {
            self.count_end(&end);
            if matches!(end, End::Closed) { Next::Leave } else { Next::End }
        })?;
        if waits {
            self.habit.note(began.elapsed());
        }
        shared.service.counting.received_bytes.add(record.filled().len() as u64);
        Ok(record)
    }

    /// Answers a record while others lead, after what was held before it.
    fn serve_slow(self: &Arc<Self>, record: &[u8], held: Held<'_>) -> Next {
        let service = &self.shared.service;
        self.find_follower();
        let goes_on = self.give_out(held)
            && match service.answer(&self.origin, record, true) {
                Answer::Reply(reply) => self.send(&[Outgoing::Made(reply)]),
                Answer::Kept(reply) => self.send(&[Outgoing::Kept(reply)]),
                Answer::Promised(promised) => self.give_out(Held { promised: vec![*promised], ready: Vec::new() }),
                Answer::Nothing => true,
                Answer::End => false,
            };
        if goes_on { Next::Lead } else { Next::End }
    }

    /// Sends all that is held: what was promised when it is durable. False if the peer does not take it.
    fn give_out(&self, held: Held<'_>) -> bool {
        self.send(&held.ready) && {
            let settled = self.shared.service.settle(held.promised);
            self.send(&settled.into_iter().map(Outgoing::Made).collect::<Vec<_>>())
        }
    }

    fn count_end(&self, end: &End) {
        let counting = &self.shared.service.counting;
        match end {
            End::Closed => {}
            End::Broken => counting.stalled.add(1),
            End::Refused => counting.refuse(Reason::Garbage),
        }
    }

    /// Makes sure that somebody goes on reading, if limits allow.
    fn find_follower(self: &Arc<Self>) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            return;
        }
        let limits = &self.shared.limits;
        let begin = |count: &AtomicUsize, limit: usize| {
            count
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < limit).then_some(count + 1))
                .is_ok()
        };
        if !begin(&self.threads, limits.threads_per_connection) {
            return;
        }
        if !begin(&self.shared.threads, limits.extra_threads) {
            self.threads.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let follower = self.clone();
        if self.shared.spawn("nfs-follow", move || follower.serve()).is_err() {
            self.threads.fetch_sub(1, Ordering::AcqRel);
            self.shared.threads.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Sends whole replies. False if the peer does not take them.
    fn send(&self, replies: &[Outgoing]) -> bool {
        if replies.is_empty() {
            return true;
        }
        let mut slices: Vec<IoSlice<'_>> = replies.iter().map(|reply| IoSlice::new(reply.bytes())).collect();
        let mut slices = &mut slices[..];
        let _writer = self.writer.lock();
        let began = Instant::now();
        self.shared.service.counting.sent_bytes.add(replies.iter().map(|reply| reply.bytes().len() as u64).sum());
        while !slices.is_empty() {
            match (&self.stream).write_vectored(slices) {
                Ok(0) => return false,
                Ok(count) => IoSlice::advance_slices(&mut slices, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if is_timeout(&error) {
                        self.shared.service.counting.stalled.add(1);
                    }
                    return false;
                }
            }
            if began.elapsed() > REPLY_TIME_MAX {
                self.shared.service.counting.stalled.add(1);
                return false;
            }
        }
        true
    }
}

impl Held<'_> {
    fn is_full(&self) -> bool {
        self.ready.len() + self.promised.len() >= HELD_MAX
    }
}

impl Outgoing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Made(reply) => reply.bytes(),
            Self::Kept(reply) => reply,
        }
    }
}
