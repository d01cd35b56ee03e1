//! The key of an item.
//!
//! Invariant: encoded keys compare as bytes the way keys compare, so nodes can drop a common prefix.

/// Orders items: by object, then kind, then position.
///
/// A run's key is that of its first block; its other blocks follow at the next positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose item it is: an inode number, or a dataset's, or 0.
    pub object: u64,
    /// What kind of item; the owner of the tree gives these numbers their meaning.
    pub kind: u8,
    /// Which one of its kind.
    pub position: u64,
}

impl Key {
    /// The smallest key.
    pub const MIN: Self = Self::new(0, 0, 0);
    /// The largest key.
    pub const MAX: Self = Self::new(u64::MAX, u8::MAX, u64::MAX);
    /// Bytes of an encoded key.
    pub const LENGTH: usize = 17;

    /// A key.
    pub const fn new(object: u64, kind: u8, position: u64) -> Self {
        Self { object, kind, position }
    }

    /// The key `positions` further, of the same object and kind. The position must not overflow.
    #[must_use]
    pub fn plus(self, positions: u64) -> Self {
        Self { position: self.position.checked_add(positions).expect("positions end at u64::MAX"), ..self }
    }

    /// The bytes of the key, in an order that compares like keys.
    pub fn encode(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.object.to_be_bytes());
        bytes[8] = self.kind;
        bytes[9..].copy_from_slice(&self.position.to_be_bytes());
        bytes
    }

    /// The key of `bytes`; all values are keys.
    pub fn decode(bytes: [u8; Self::LENGTH]) -> Self {
        let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight of seventeen bytes"));
        Self::new(number(0), bytes[8], number(9))
    }

    /// How many leading bytes the two encodings share.
    pub fn common_prefix(self, other: Self) -> usize {
        let alike = |a: u64, b: u64| (a ^ b).leading_zeros() as usize / 8;
        if self.object != other.object {
            alike(self.object, other.object)
        } else if self.kind != other.kind {
            8
        } else {
            9 + alike(self.position, other.position)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_order_and_share_prefixes_like_keys() {
        let numbers = [0, 1, 0xff, 0x100, 1 << 40, u64::MAX];
        let keys: Vec<Key> = numbers
            .iter()
            .flat_map(|&object| numbers.iter().map(move |&position| (object, position)))
            .flat_map(|(object, position)| [0, 1, 255].map(|kind| Key::new(object, kind, position)))
            .collect();
        for &a in &keys {
            assert_eq!(Key::decode(a.encode()), a);
            for &b in &keys {
                assert_eq!(a.cmp(&b), a.encode().cmp(&b.encode()));
                let shared = a.encode().iter().zip(b.encode()).take_while(|(x, y)| **x == *y).count();
                assert_eq!(a.common_prefix(b), shared);
            }
        }
    }
}
