use crate::extent::{BLOCKS_MAX, Compressor, Extent, HASH_LEN, HEADER_LEN, Header, Origin, PlainBlock, Sealed};
use crate::format::{BlockHash, Checksum, DatasetId, InodeNumber, SlotId, example};
use crate::media::Choices;

const ORIGIN: Origin = Origin { dataset: DatasetId(3), inode: InodeNumber(77), first_block: 1_000 };
const ID: SlotId = SlotId(0x0123_4567_89ab_cdef);

/// Bytes that compress (`kind` 0), do not (1), or partly (2).
fn plain(kind: u64, length: usize, choices: &mut Choices) -> Vec<u8> {
    let limit = [4, 256, 200][kind as usize];
    (0..length).map(|_| choices.below(limit) as u8).collect()
}

fn sealed(plain: &[u8], block_len: usize, level: Option<i8>, with: &mut Compressor) -> Sealed {
    let mut sealed = Sealed::seal(plain, block_len, level, ORIGIN, with);
    sealed.stamp(ID);
    sealed
}

/// The same of blocks that lie apart.
fn in_pieces(plain: &[u8], block_len: usize, level: Option<i8>, with: &mut Compressor) -> Sealed {
    let hashes = plain.chunks(block_len).map(Checksum::of).collect();
    let blocks = plain.chunks(block_len).map(PlainBlock::from).collect();
    let mut sealed = Sealed::seal_blocks(blocks, hashes, level, ORIGIN, with);
    sealed.stamp(ID);
    sealed
}

#[test]
fn what_is_sealed_opens_and_can_be_thinned() {
    let mut choices = Choices::new(1);
    let with = &mut Compressor::new().unwrap();
    for (kind, level) in [(0, None), (0, Some(1)), (1, Some(1)), (2, Some(-3)), (2, Some(9)), (0, Some(19))] {
        for (block_len, count) in [(4096, 1), (4096, 32), (16384, 4), (65536, 2), (65536, 1), (8192, 3)] {
            let plain = plain(kind, block_len * count, &mut choices);
            let sealed = sealed(&plain, block_len, level, with);
            let full = HEADER_LEN + count * HASH_LEN + plain.len();
            assert!(kind == 2 || (sealed.stored_len() < full) == (kind == 0 && level.is_some()));
            let stored = sealed.to_bytes();
            assert_eq!(stored, in_pieces(&plain, block_len, level, with).to_bytes());
            let extent = Extent::open(&stored, ID, with).unwrap();
            assert_eq!(extent.header().origin, ORIGIN);
            assert_eq!(extent.damaged(), 0);
            let keep = 1 | choices.below(1 << count) as u32;
            let thin = Sealed::reseal(&extent, keep, level, with).unwrap().to_bytes();
            let thin = Extent::open(&thin, ID, with).unwrap();
            for (index, block) in plain.chunks(block_len).enumerate() {
                let hash = BlockHash::of(block);
                assert_eq!(extent.block(index, &hash).unwrap(), block);
                assert_eq!(thin.block(index, &hash).is_ok(), keep >> index & 1 == 1);
                assert!(extent.block(index, &BlockHash([0; 16])).is_err());
            }
            assert!(extent.block(count, &BlockHash([0; 16])).is_err());
            assert!(extent.block(usize::MAX, &BlockHash([0; 16])).is_err());
        }
    }
}

/// Whatever bit turns over, a reader gets the block that it expects or an error.
#[test]
fn no_flipped_bit_passes() {
    let with = &mut Compressor::new().unwrap();
    let mut choices = Choices::new(2);
    for kind in [0, 1] {
        let plain = plain(kind, 2 * 4096, &mut choices);
        let sealed = sealed(&plain, 4096, Some(1), with);
        let hashes: Vec<_> = sealed.hashes.iter().map(|hash| hash.block_hash()).collect();
        let (sealed, mut caught) = (sealed.to_bytes(), 0);
        for bit in (0..sealed.len() * 8).step_by(if kind == 0 { 1 } else { 13 }) {
            let mut bytes = sealed.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            match Extent::open(&bytes, ID, with) {
                Err(_) => caught += 1,
                Ok(extent) => (0..2).for_each(|index| match extent.block(index, &hashes[index]) {
                    Ok(block) => assert_eq!(block, &plain[index * 4096..][..4096]),
                    Err(_) => caught += 1,
                }),
            }
        }
        assert!(caught > 0);
    }
}

#[test]
fn arbitrary_bytes_are_errors() {
    let with = &mut Compressor::new().unwrap();
    let mut choices = Choices::new(3);
    let good = sealed(&plain(0, 4096 * 4, &mut choices), 4096, Some(1), with).to_bytes();
    assert!(Extent::open(&good, SlotId(1), with).is_err());
    for length in 0..good.len() {
        assert!(Extent::open(&good[..length], ID, with).is_err());
    }
    for _ in 0..2_000 {
        let mut bytes = good.clone();
        for _ in 0..choices.below(6) + 1 {
            // Repaired checksums let the damage through to the fields behind.
            let at = choices.below(HEADER_LEN as u64 + 20) as usize;
            bytes[at] = choices.below(256) as u8;
        }
        crate::extent::codec::stamp(&mut bytes[..HEADER_LEN + 4 * HASH_LEN], ID);
        let _ = Extent::open(&bytes, ID, with).map(|extent| extent.damaged());
        let noise: Vec<u8> = (0..choices.below(300)).map(|_| choices.below(256) as u8).collect();
        assert!(Header::decode(&noise).is_err());
    }
    assert_eq!(BLOCKS_MAX, 32);
}

#[test]
fn the_documented_example_is_what_is_stored() {
    let with = &mut Compressor::new().unwrap();
    let origin = Origin { dataset: DatasetId(3), inode: InodeNumber(7), first_block: 5 };
    let mut sealed = Sealed::seal(&[b'c'; 2 * 4096], 4096, None, origin, with);
    sealed.stamp(ID);
    let sealed = sealed.to_bytes();
    let front = &sealed[..HEADER_LEN + 2 * HASH_LEN];
    assert_eq!(front, example::documented("Extent", front.len()), "\n{}", example::render(front));
    assert_eq!(Extent::open(&sealed, ID, with).unwrap().damaged(), 0);
}
