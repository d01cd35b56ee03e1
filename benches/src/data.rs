//! Data of known kinds, the same for the same seed.
//!
//! The kinds compress about as the real ones do (zstd level 1): database pages 4 to 6 times, source text about
//! twice, random bytes not at all.

use cow_tests::random::Random;

/// Bytes that nothing compresses.
pub fn random(seed: u64, length: usize) -> Vec<u8> {
    Random::new(seed).bytes(length)
}

/// Pages of 8 KiB, each with a half that nothing compresses and a half of one byte.
pub fn half(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = random(seed, length);
    for page in bytes.chunks_mut(8192) {
        let half = page.len() / 2;
        page[half..].fill(seed as u8);
    }
    bytes
}

/// Pages of 8 KiB as a database's heap has them: a header, an array of line pointers that grows up, and rows that
/// grow down, made of counters, small numbers, random keys and text.
pub fn database(seed: u64, length: usize) -> Vec<u8> {
    const PAGE: usize = 8192;
    const ROW: usize = 128;
    let mut random = Random::new(seed);
    let mut bytes = vec![0; length.next_multiple_of(PAGE)];
    for (number, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
        page[..8].copy_from_slice(&((seed << 32) + number as u64 * 211).to_le_bytes());
        page[8..10].copy_from_slice(&(random.number() as u16).to_le_bytes());
        for row in 0..54 {
            let at = PAGE - (row + 1) * ROW;
            page[24 + row * 4..28 + row * 4].copy_from_slice(&((at as u32) << 16 | ROW as u32).to_le_bytes());
            let row_number = (number * 54 + row) as u64;
            page[at..at + 8].copy_from_slice(&(1000 + random.below(3)).to_le_bytes());
            page[at + 24..at + 32].copy_from_slice(&row_number.to_le_bytes());
            page[at + 32..at + 40].copy_from_slice(&random.below(100_000).to_le_bytes());
            page[at + 40..at + 48].copy_from_slice(&random.number().to_le_bytes());
            page[at + 48..at + 52].copy_from_slice(&(random.number() as u32).to_le_bytes());
            page[at + 56..at + ROW].fill(b' ');
            page[at + 56..at + 64].copy_from_slice(format!("{:08}", random.below(100_000_000)).as_bytes());
        }
    }
    bytes.truncate(length);
    bytes
}

/// Text of a few thousand words, the common ones far more often.
pub fn source(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        let rank = random.below(64) * random.below(64);
        let mut word = Random::new(rank);
        for _ in 0..2 + word.below(9) {
            bytes.push(b'a' + (word.below(26) * word.below(26) / 26) as u8);
        }
        let end = [" ", " ", " ", "_", "(", ", ", ";\n    ", ".", " = "][random.below(9) as usize];
        bytes.extend_from_slice(end.as_bytes());
        if random.below(4) == 0 {
            bytes.extend_from_slice(format!("{:x}", random.below(1 << 16)).as_bytes());
        }
    }
    bytes.truncate(length);
    bytes
}
