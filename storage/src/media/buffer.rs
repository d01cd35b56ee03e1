//! Aligned memory for direct I/O, touched once and used again.
//!
//! Invariant: every buffer starts on a 4 KiB boundary, and the idle ones never add up to more than
//! the pool's cap. Fresh memory costs many times what warm memory does, so buffers are large
//! anonymous maps that go back to their pool when dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use memmap2::{Advice, MmapMut};

use crate::sync::Mutex;
/// What direct I/O wants of offsets, lengths and memory, in bytes.
pub const ALIGNMENT: usize = 4096;

/// Maps of at least this many bytes ask the host for huge pages.
const HUGE_LEN: usize = 2 << 20;

/// Whether a transfer of `bytes` at `offset` can go straight to the disk.
pub fn is_aligned(bytes: &[u8], offset: u64) -> bool {
    bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
        && bytes.len().is_multiple_of(ALIGNMENT)
        && offset.is_multiple_of(ALIGNMENT as u64)
}

/// Lends aligned buffers and keeps the ones that come back, up to a cap.
pub struct BufferPool {
    idle: Mutex<Idle>,
    idle_len_max: usize,
}

#[derive(Default)]
struct Idle {
    /// By size: class `n` holds maps of `ALIGNMENT << n` bytes.
    classes: Vec<Vec<MmapMut>>,
    len: usize,
}

impl BufferPool {
    /// A pool that keeps at most `idle_len_max` bytes which nobody uses.
    pub fn new(idle_len_max: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), idle_len_max })
    }

    /// A buffer of `len` bytes whose content is arbitrary.
    pub fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let class = class_of(len);
        let warm = {
            let mut idle = self.idle.lock();
            let map = idle.classes.get_mut(class).and_then(Vec::pop);
            idle.len -= map.as_ref().map_or(0, |map| map.len());
            map
        };
        let map = warm.unwrap_or_else(|| new_map(ALIGNMENT << class));
        Buffer { map: Some(map), len, pool: Arc::clone(self) }
    }

    /// Gives the memory of all buffers back that nobody uses.
    pub fn release(&self) {
        *self.idle.lock() = Idle::default();
    }

    /// Bytes that nobody uses.
    #[cfg(test)]
    pub(crate) fn idle_len(&self) -> usize {
        self.idle.lock().len
    }

    fn put(&self, map: MmapMut) {
        let mut idle = self.idle.lock();
        if idle.len + map.len() > self.idle_len_max {
            return;
        }
        let class = class_of(map.len());
        if idle.classes.len() <= class {
            idle.classes.resize_with(class + 1, Vec::new);
        }
        idle.len += map.len();
        idle.classes[class].push(map);
    }
}

fn class_of(len: usize) -> usize {
    len.div_ceil(ALIGNMENT).next_power_of_two().trailing_zeros() as usize
}

/// Like any allocation it ends the process when the host has no memory left.
fn new_map(len: usize) -> MmapMut {
    let map = MmapMut::map_anon(len).expect("the host has memory for a buffer");
    if len >= HUGE_LEN {
        // A wish: without huge pages everything works the same, only slower.
        let _ = map.advise(Advice::HugePage);
    }
    map
}

/// Aligned bytes on loan; dropping gives them back to the pool.
pub struct Buffer {
    map: Option<MmapMut>,
    len: usize,
    pool: Arc<BufferPool>,
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.map.as_ref().expect("only drop takes the map")[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map.as_mut().expect("only drop takes the map")[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.put(self.map.take().expect("only drop takes the map"));
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} bytes", self.len)
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferPool with {} idle bytes", self.idle.lock().len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_reused_and_capped() {
        let pool = BufferPool::new(64 << 10);
        for len in [0, 1, 4096, 4097, 60_000] {
            let mut buffer = pool.take(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.as_ptr().addr().is_multiple_of(ALIGNMENT));
            buffer.fill(7);
            let at = buffer.as_ptr().addr();
            drop(buffer);
            assert_eq!(pool.take(len).as_ptr().addr(), at, "{len} was not reused");
        }
        let many: Vec<Buffer> = (0..40).map(|_| pool.take(4096)).collect();
        drop(many);
        assert!(pool.idle.lock().len <= 64 << 10);
        let used = pool.take(4096);
        pool.release();
        assert_eq!(pool.idle.lock().len, 0);
        drop(used);
        assert_eq!(pool.idle.lock().len, 4096);
    }
}
