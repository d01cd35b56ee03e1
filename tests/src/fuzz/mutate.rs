//! Mutations: bits, bytes, numbers that may be lengths, cuts, copies and splices, sealed again or not.

use cow_storage::fuzz::Target;

use crate::random::Random;

/// Most bytes of an input.
const LENGTH_MAX: usize = 256 << 10;
/// Numbers that bounds are near.
const EDGES: [u64; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX / 2, u64::MAX];

/// Makes inputs of kept ones.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
}

impl Mutator {
    /// The mutations of this seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// One of the inputs, changed in a few places; mostly with its checksums made right again.
    pub fn input(&mut self, target: &Target, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = if inputs.is_empty() { Vec::new() } else { self.random.pick(inputs).clone() };
        for _ in 0..=self.random.below(1 + self.random.clone().below(6)) {
            self.change(&mut bytes, inputs, true);
        }
        if self.random.below(8) > 0 {
            (target.seal)(&mut bytes);
        }
        bytes
    }

    /// Changes bytes in one place. Their number stays, unless `may_resize`.
    pub fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>], may_resize: bool) {
        let kinds = if may_resize { 9 } else { 5 };
        if bytes.is_empty() {
            let length = self.random.below(64) as usize;
            *bytes = self.random.bytes(length);
            return;
        }
        // The front of a structure has its lengths and counts.
        let near = if self.random.below(2) == 0 { bytes.len().min(64) } else { bytes.len() };
        let at = self.random.below(near as u64) as usize;
        match self.random.below(kinds) {
            0 => bytes[at] ^= 1 << self.random.below(8),
            1 => bytes[at] = self.random.number() as u8,
            2 | 3 => self.put_number(bytes, at),
            4 => {
                let end = self.end(bytes, at);
                let fill = *self.random.pick(&[0, 0xff, self.random.clone().number() as u8]);
                bytes[at..end].fill(fill);
            }
            5 => bytes.truncate(at),
            6 => {
                let (end, to) = (self.end(bytes, at), self.random.below(bytes.len() as u64) as usize);
                let piece = bytes[at..end].to_vec();
                bytes.splice(to..to, piece);
            }
            7 => {
                let end = self.end(bytes, at);
                bytes.drain(at..end);
            }
            _ => self.splice(bytes, at, inputs),
        }
        bytes.truncate(LENGTH_MAX);
    }

    /// Puts a number of 1 to 8 bytes that is near an edge, near what was there, or a length of the input itself.
    fn put_number(&mut self, bytes: &mut [u8], at: usize) {
        let width = (*self.random.pick(&[1, 2, 4, 6, 8])).min(bytes.len() - at);
        let mut number = [0; 8];
        number[..width].copy_from_slice(&bytes[at..at + width]);
        let big_endian = self.random.below(4) == 0;
        if big_endian {
            number[..width].reverse();
        }
        let before = u64::from_le_bytes(number);
        let (near, rest) = (self.random.below(9).wrapping_sub(4), (bytes.len() - at) as u64);
        let after = match self.random.below(4) {
            0 => before.wrapping_add(near),
            1 => self.random.pick(&EDGES).wrapping_add(near),
            2 => 1_u64.wrapping_shl(self.random.below(64) as u32).wrapping_sub(self.random.below(2)),
            _ => self.random.pick(&[rest, bytes.len() as u64]).wrapping_add(near),
        };
        let mut number = after.to_le_bytes();
        if big_endian {
            number[..width].reverse();
        }
        bytes[at..at + width].copy_from_slice(&number[..width]);
    }

    /// Goes on as another input does.
    fn splice(&mut self, bytes: &mut Vec<u8>, at: usize, inputs: &[Vec<u8>]) {
        if inputs.is_empty() {
            return;
        }
        let other = self.random.pick(inputs).clone();
        let from = if self.random.below(2) == 0 {
            at.min(other.len())
        } else {
            self.random.below(1 + other.len() as u64) as usize
        };
        bytes.truncate(at);
        bytes.extend_from_slice(&other[from..]);
    }

    fn end(&mut self, bytes: &[u8], at: usize) -> usize {
        let limit = (bytes.len() - at).min(1 << self.random.below(12));
        at + 1 + self.random.below(limit as u64) as usize
    }
}
