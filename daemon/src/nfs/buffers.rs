//! Reusable buffers in a few sizes, under one budget, of which no client has more than its portion.
//!
//! Invariant: large buffers in use never exceed the budget together, nor those of one client its portion
//! (unless a single one does); whoever asks for more waits, and meanwhile does not read from its client. Buffers
//! of the smallest size are not counted, so calls without much data never wait.
//!
//! A client that holds what it has taken, by sending half of what it announced or taking no replies, so holds up itself
//! and not others.
//!
//! Memory is initialized once and reused, since fresh pages cost several times what filling them does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Bytes in a buffer of each size: whole reads and writes of the usual powers of two, and their headers.
const SIZES: [usize; 4] = [SMALL_LEN, (64 << 10) + HEADERS_LEN, (256 << 10) + HEADERS_LEN, LARGEST_LEN];
/// A page of a database, and headers.
const SMALL_LEN: usize = 9 << 10;
const HEADERS_LEN: usize = 4 << 10;

/// Bytes in the largest buffer.
pub const LARGEST_LEN: usize = (1 << 20) + HEADERS_LEN;

/// Free buffers kept of each size.
const KEPT_MAX: [usize; 4] = [256, 64, 32, 16];

/// How many clients can use up the budget.
const PORTIONS: usize = 4;

/// Where buffers come from and go back to.
pub struct Buffers {
    budget: usize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    free: [Vec<Box<[u8]>>; 4],
    in_use: usize,
    portions: HashMap<Option<IpAddr>, usize>,
}

/// What a client takes buffers from. All that no share admits have one together.
#[derive(Clone)]
pub struct Portion {
    buffers: Arc<Buffers>,
    client: Option<IpAddr>,
}

/// Bytes, of which the front is filled. Goes back when dropped.
pub struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
    size: usize,
    portion: Portion,
}

impl Buffers {
    /// No buffers yet; `budget` bytes of large ones at once.
    pub fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self { budget, state: Mutex::default(), returned: Condvar::new() })
    }

    /// The portion of a client, or the one of all strangers.
    pub fn portion(self: &Arc<Self>, client: Option<IpAddr>) -> Portion {
        Portion { buffers: self.clone(), client }
    }

    /// Gives the memory of all free buffers back.
    pub fn release(&self) {
        let free = std::mem::take(&mut self.state.lock().free);
        drop(free);
    }

    /// Bytes of large buffers in use.
    pub fn in_use(&self) -> usize {
        self.state.lock().in_use
    }
}

impl State {
    fn count(&mut self, client: Option<IpAddr>, length: usize) {
        self.in_use += length;
        *self.portions.entry(client).or_default() += length;
    }

    fn uncount(&mut self, client: Option<IpAddr>, length: usize) {
        self.in_use -= length;
        let portion = self.portions.get_mut(&client).expect("what is taken is counted");
        *portion -= length;
        if *portion == 0 {
            self.portions.remove(&client);
        }
    }

    /// Whether a client has to wait for so many bytes.
    fn is_full(&self, budget: usize, client: Option<IpAddr>, length: usize) -> bool {
        let exceeds = |used: usize, budget: usize| used > 0 && used + length > budget;
        let portion = self.portions.get(&client).copied().unwrap_or(0);
        exceeds(self.in_use, budget) || exceeds(portion, budget / PORTIONS)
    }
}

impl Portion {
    /// An empty buffer with room for `length` bytes, as soon as budget and portion allow.
    pub fn take(&self, length: usize) -> Buffer {
        let size = SIZES.iter().position(|&size| size >= length).expect("no request or reply is longer");
        let Buffers { budget, state, returned } = &*self.buffers;
        let mut state = state.lock();
        if size > 0 {
            returned.wait_while(&mut state, |state| state.is_full(*budget, self.client, SIZES[size]));
            state.count(self.client, SIZES[size]);
        }
        let free = state.free[size].pop();
        drop(state);
        let bytes = free.unwrap_or_else(|| vec![0; SIZES[size]].into_boxed_slice());
        Buffer { bytes, filled: 0, size, portion: self.clone() }
    }
}

impl Buffer {
    /// The filled front.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// The filled front, to change it.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.filled]
    }

    /// Whether it is a part of the budget.
    pub fn is_counted(&self) -> bool {
        self.size > 0
    }

    /// Forgets what is filled beyond `length`.
    pub fn truncate(&mut self, length: usize) {
        self.filled = self.filled.min(length);
    }

    /// Adds bytes, moving to a larger buffer where they do not fit.
    pub fn append(&mut self, bytes: &[u8]) {
        self.extend(bytes.len()).copy_from_slice(bytes);
    }

    /// Makes sure that `length` more bytes fit, moving to a larger buffer where they do not.
    pub fn reserve(&mut self, length: usize) {
        if self.filled + length > self.bytes.len() {
            // The budget must not be waited for by somebody who holds a part of it.
            assert!(self.size == 0, "whoever needs a large buffer takes it at once");
            let mut larger = self.portion.take(self.filled + length);
            larger.append(self.filled());
            *self = larger;
        }
    }

    /// Adds `length` bytes of any content, moving to a larger buffer where they do not fit.
    pub fn extend(&mut self, length: usize) -> &mut [u8] {
        self.reserve(length);
        let start = self.filled;
        self.filled = start + length;
        &mut self.bytes[start..start + length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let Buffers { state, returned, .. } = &*self.portion.buffers;
        let mut state = state.lock();
        if state.free[self.size].len() < KEPT_MAX[self.size] {
            state.free[self.size].push(bytes);
        }
        if self.size > 0 {
            state.uncount(self.portion.client, SIZES[self.size]);
            drop(state);
            returned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_budget_makes_wait() {
        let buffers = Buffers::new(LARGEST_LEN);
        let portion = buffers.portion(None);
        let first = portion.take(LARGEST_LEN);
        let small: Vec<Buffer> = (0..100).map(|_| portion.take(SMALL_LEN)).collect();
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn({
            let other = buffers.portion(Some([127, 0, 0, 1].into()));
            move || {
                let second = other.take(SMALL_LEN + 1);
                sender.send(second.bytes.len()).unwrap();
            }
        });
        assert!(receiver.recv_timeout(std::time::Duration::from_millis(20)).is_err());
        drop(first);
        assert_eq!(receiver.recv().unwrap(), SIZES[1]);
        waiting.join().unwrap();
        drop(small);
        assert_eq!(buffers.in_use(), 0);
    }

    #[test]
    fn what_is_free_goes_and_what_is_used_stays() {
        let buffers = Buffers::new(LARGEST_LEN);
        let mut used = buffers.portion(None).take(LARGEST_LEN);
        used.append(b"kept");
        drop(buffers.portion(None).take(0));
        buffers.release();
        assert!(buffers.state.lock().free.iter().all(Vec::is_empty));
        assert_eq!((used.filled(), buffers.in_use()), (&b"kept"[..], LARGEST_LEN));
        drop(used);
        assert_eq!(buffers.state.lock().free[3].len(), 1);
    }

    #[test]
    fn buffers_grow_and_keep_their_front() {
        let buffers = Buffers::new(1);
        let mut buffer = buffers.portion(None).take(0);
        buffer.append(&[1; SMALL_LEN]);
        assert_eq!(buffers.in_use(), 0);
        buffer.append(&[2]);
        assert_eq!((&buffer.filled()[..SMALL_LEN], buffer.filled()[SMALL_LEN]), (&[1; SMALL_LEN][..], 2));
        assert_eq!(buffers.in_use(), SIZES[1]);
    }

    #[test]
    fn a_full_portion_makes_only_its_client_wait() {
        let buffers = Buffers::new(PORTIONS * LARGEST_LEN);
        let greedy = buffers.portion(Some([10, 0, 0, 1].into()));
        let first = greedy.take(LARGEST_LEN);
        let (sender, receiver) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || sender.send(greedy.take(LARGEST_LEN).bytes.len()).unwrap());
        assert!(receiver.recv_timeout(std::time::Duration::from_millis(20)).is_err());
        let others = (2..5).map(|host| buffers.portion(Some([10, 0, 0, host].into())).take(LARGEST_LEN));
        drop(others.collect::<Vec<_>>());
        drop(first);
        assert_eq!(receiver.recv().unwrap(), LARGEST_LEN);
        waiting.join().unwrap();
        let state = buffers.state.lock();
        assert_eq!((state.in_use, state.portions.len()), (0, 0));
    }
}
