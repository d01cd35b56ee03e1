//! What one thread needs to seal or open extents, lent out and taken back.

use crate::error::Result;
use crate::extent::Compressor;
use crate::sync::Mutex;

/// Contexts, and memory that was touched before.
pub(in crate::store) struct Bench {
    /// Seals and opens extents.
    pub compressor: Compressor,
    /// Room for an extent as stored.
    pub stored: Vec<u8>,
}

/// Benches that nobody uses now. There are as many as were ever used at once.
#[derive(Default)]
pub(in crate::store) struct Benches {
    idle: Mutex<Vec<Bench>>,
}

impl Benches {
    /// Drops those that nobody uses now.
    pub fn clear(&self) {
        *self.idle.lock() = Vec::new();
    }

    /// Calls `act` with a bench of its own.
    pub fn with<T>(&self, act: impl FnOnce(&mut Bench) -> Result<T>) -> Result<T> {
        let idle = self.idle.lock().pop();
        let mut bench = match idle {
            Some(bench) => bench,
            None => Bench { compressor: Compressor::new()?, stored: Vec::new() },
        };
        let outcome = act(&mut bench);
        self.idle.lock().push(bench);
        outcome
    }
}
