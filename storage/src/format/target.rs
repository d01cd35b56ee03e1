//! A decoder as fuzzers see it.

use crate::format::Checksum;

/// A structure's decoder. All functions take any bytes whatever.
#[derive(Clone, Copy)]
pub struct Target {
    /// The structure's name, which is also that of its folder in the corpus.
    pub name: &'static str,
    /// Decodes the bytes, and encodes what they are again; `None` where they are refused.
    pub again: fn(&[u8]) -> Option<Vec<u8>>,
    /// Makes right what guards the bytes, so that what is behind the checksum is reached.
    pub seal: fn(&mut [u8]),
    /// What the bytes consist of, as far as others decode it.
    pub parts: fn(&[u8]) -> Vec<Vec<u8>>,
    /// Bytes of memory that decoding may take beside a few times those that it is given.
    pub memory: usize,
    /// The checksum that whoever refers to these bytes has of them.
    pub named: fn(&[u8]) -> Option<Checksum>,
}

impl Target {
    /// A structure that guards nothing, has no parts, and is not referred to.
    pub const fn new(name: &'static str, again: fn(&[u8]) -> Option<Vec<u8>>) -> Self {
        Self { name, again, seal: |_| {}, parts: |_| Vec::new(), memory: 64 << 10, named: |_| None }
    }

    /// The same with checksums of its own.
    #[must_use]
    pub const fn sealed(self, seal: fn(&mut [u8])) -> Self {
        Self { seal, ..self }
    }

    /// The same, consisting of other structures.
    #[must_use]
    pub const fn with_parts(self, parts: fn(&[u8]) -> Vec<Vec<u8>>) -> Self {
        Self { parts, ..self }
    }

    /// The same, which may take so many bytes of memory.
    #[must_use]
    pub const fn within(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// The same, referred to by a checksum.
    #[must_use]
    pub const fn named_by(self, named: fn(&[u8]) -> Option<Checksum>) -> Self {
        Self { named, ..self }
    }

    /// Whether the bytes are decoded. Panics where what they are is stored as other bytes.
    pub fn accepts(&self, bytes: &[u8]) -> bool {
        match (self.again)(bytes) {
            None => false,
            Some(again) => {
                assert!(again == bytes, "{} was decoded that no writer stores", self.name);
                true
            }
        }
    }
}

/// Puts the checksum of `bytes[covered]` at `at`, as much of it as there is room for up to `length` bytes.
pub fn put_checksum(bytes: &mut [u8], covered: std::ops::Range<usize>, at: usize, length: usize) {
    let Some(checksum) = bytes.get(covered).map(Checksum::of) else { return };
    if let Some(place) = bytes.get_mut(at..at + length) {
        place.copy_from_slice(&checksum.0[..length]);
    }
}
