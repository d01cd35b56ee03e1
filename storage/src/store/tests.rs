use std::sync::Arc;

use crate::account::{Account, AccountOptions};
use crate::error::{ErrorKind, Result};
use crate::executor::Inline;
use crate::extent::{Origin, PlainBlock, Sealed};
use crate::format::{Birth, BlockHash, DatasetId, InodeNumber, SlotId};
use crate::media::{Choices, Media, MediaFile, MediaSpace, Simulator};
use crate::segment::SegmentOptions;
use crate::store::{CommitWriter, Store};
use crate::sync::Mutex;
use crate::tree::{self, BlockPointer, Edit, ItemRef, Key, Node, NodePointer, NodeStore, Reader, Root};

const BLOCK_LEN: u32 = 4096;
const ORIGIN: Origin = Origin { dataset: DatasetId(1), inode: InodeNumber(2), first_block: 3 };
/// Enough that nothing is evicted.
const AMPLE: u64 = 8 << 20;

fn store_on(media: Arc<dyn Media>, nodes: u64, blocks: u64) -> Arc<Store> {
    let segments = SegmentOptions { segment_len: 1 << 20, reserve_count: 1 };
    let options = AccountOptions::new(segments, 256 << 10);
    Arc::new(Store::new(Account::create(media, options).unwrap(), Arc::new(Inline), nodes, blocks))
}

fn block(number: u64) -> Vec<u8> {
    let mut choices = Choices::new(number);
    (0..BLOCK_LEN).map(|_| choices.below(1 << (number % 9)) as u8).collect()
}

/// Appends an extent of these blocks; returns the pointers to them.
fn append(store: &Store, numbers: std::ops::Range<u64>) -> Vec<BlockPointer> {
    let blocks: Vec<Vec<u8>> = numbers.map(block).collect();
    let sealed =
        store.with_compressor(|with| Ok(Sealed::seal(&blocks.concat(), BLOCK_LEN as usize, Some(1), ORIGIN, with)));
    let id = store.account().append_extent(Birth(1), false, &mut sealed.unwrap()).unwrap();
    let pointer =
        |(index, block): (u8, &Vec<u8>)| BlockPointer { id, index, birth: Birth(1), hash: BlockHash::of(block) };
    (0..).zip(&blocks).map(pointer).collect()
}

fn read(store: &Arc<Store>, pointers: &[BlockPointer]) -> Result<Vec<PlainBlock>> {
    let mut found = vec![None; pointers.len()];
    store.read_blocks(pointers, BLOCK_LEN, &mut |which, bytes| {
        assert!(found[which].replace(bytes.clone()).is_none(), "told twice");
    })?;
    Ok(found.into_iter().map(|bytes| bytes.expect("every block is told")).collect())
}

#[test]
fn blocks_come_back_in_any_order_and_number() {
    for budget in [0, 40_000, AMPLE] {
        let store = store_on(Arc::new(Simulator::new()), AMPLE, budget);
        let pointers: Vec<_> =
            [0..8, 8..9, 9..41, 41..44].into_iter().flat_map(|range| append(&store, range)).collect();
        let mut choices = Choices::new(budget);
        for _ in 0..60 {
            let wanted: Vec<_> = (0..choices.below(30)).map(|_| choices.below(44)).collect();
            let some: Vec<_> = wanted.iter().map(|number| pointers[*number as usize]).collect();
            let found = read(&store, &some).unwrap();
            wanted.iter().zip(found).for_each(|(number, bytes)| assert_eq!(*bytes, block(*number)));
            assert!(store.block_cache().used <= budget);
            if choices.below(8) == 0 {
                store.shrink(4);
                assert!(store.block_cache().used <= budget / 4);
            }
        }
        let counts = store.block_cache();
        assert_eq!(counts.hits > 0, budget > 0, "{counts:?}");
        read(&store, &pointers).unwrap();
        read(&store, &pointers).unwrap();
        assert!(budget < AMPLE || store.block_cache().misses <= counts.misses + 44, "{counts:?}");
    }
}

/// Whether an act reads from the disk.
fn reads(disk: &Simulator, act: impl FnOnce() -> Result<()>) -> bool {
    disk.fail_read(0);
    let failed = act().is_err();
    disk.fail_read(u64::MAX);
    failed
}

#[test]
fn each_extent_is_read_once_and_what_follows_comes_along() {
    let disk = Arc::new(Simulator::new());
    let store = store_on(Arc::clone(&disk) as Arc<dyn Media>, AMPLE, AMPLE);
    let pointers = append(&store, 0..8);
    store.account().segments().flush().unwrap();
    // The second read from the disk would fail.
    disk.fail_read(1);
    let elsewhere = append(&store, 8..9)[0];
    read(&store, &[pointers[5], elsewhere, pointers[2], pointers[5]]).unwrap();
    assert!(reads(&disk, || read(&store, &pointers[6..]).map(drop)), "a reader at random wants no neighbours");
    disk.fail_read(1);
    read(&store, &pointers[..2]).unwrap();
    disk.fail_read(u64::MAX);
    assert!(!reads(&disk, || read(&store, &pointers).map(drop)));
    store.clear_caches();
    assert!(reads(&disk, || read(&store, &pointers).map(drop)));
    store.keep_block(pointers[1].id, 1, pointers[1].hash, PlainBlock::from(block(1)));
    assert!(!reads(&disk, || read(&store, &pointers[1..2]).map(drop)));
}

#[test]
fn a_pointer_is_answered_with_its_own_block_only() {
    let store = store_on(Arc::new(Simulator::new()), AMPLE, AMPLE);
    let pointers = append(&store, 0..4);
    for cached in [false, true] {
        let wrong = [
            BlockPointer { hash: pointers[1].hash, ..pointers[0] },
            BlockPointer { index: 9, ..pointers[0] },
            BlockPointer { index: 255, ..pointers[0] },
            BlockPointer { id: SlotId(pointers[0].id.0 + 1), ..pointers[0] },
        ];
        for pointer in wrong {
            assert_eq!(read(&store, &[pointer]).unwrap_err().kind(), ErrorKind::Corrupt, "{pointer:?} {cached}");
        }
        let longer = store.read_blocks(&pointers, 2 * BLOCK_LEN, &mut |_, _| panic!("a block of another length"));
        assert_eq!(longer.unwrap_err().kind(), ErrorKind::Corrupt);
        read(&store, &pointers).unwrap();
    }
}

#[test]
fn damage_is_found_however_much_is_cached() {
    let disk = Arc::new(Simulator::new());
    let store = store_on(Arc::clone(&disk) as Arc<dyn Media>, AMPLE, AMPLE);
    let pointers: Vec<_> = [0..4, 4..5, 5..9].into_iter().flat_map(|range| append(&store, range)).collect();
    let root = tree_of(&store, 50);
    store.account().segments().flush().unwrap();
    let files = disk.list().unwrap();
    let mut found = (0, 0);
    for (file, offset) in files.iter().flat_map(|file| (0..16_000).step_by(61).map(move |offset| (file, offset))) {
        if disk.corrupt(file, offset, 4).is_err() {
            continue;
        }
        store.clear_caches();
        // What is read ahead is not an error yet.
        if offset % 2 == 0 {
            store.fetch_ahead(&pointers, BLOCK_LEN);
        }
        match read(&store, &pointers) {
            Ok(blocks) => (0..).zip(blocks).for_each(|(number, bytes)| assert_eq!(*bytes, block(number))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                found.0 += 1;
                let extents = [&pointers[..4], &pointers[4..5], &pointers[5..]];
                let whole = extents.iter().filter(|extent| read(&store, extent).is_ok()).count();
                assert_eq!(whole, 2, "the damage is in one of them");
            }
        }
        let mut items = 0;
        let scanned = Reader::new(&*store, root).scan(Key::MIN, Key::MAX, &mut |_, item| {
            items += u32::from(matches!(item, ItemRef::Bytes(value) if value.len() == 900));
            true
        });
        match scanned {
            Ok(()) => assert_eq!(items, 50),
            Err(error) => found.1 += usize::from(error.kind() == ErrorKind::Corrupt),
        }
        disk.corrupt(file, offset, 4).unwrap();
    }
    assert!(found.0 > 50 && found.1 > 50, "{found:?}");
}

/// A tree of this many items, born in commit 1.
fn tree_of(store: &Store, items: u64) -> Root {
    let edits = (0..items).map(|number| Edit::Put(Key::new(1, 1, number), vec![number as u8; 900])).collect();
    tree::apply(&CommitWriter::new(store, Birth(1)), &Root::EMPTY, edits, Birth(1), &mut Vec::new()).unwrap().root
}

#[test]
fn a_written_tree_is_read_from_the_cache_and_from_the_disk() {
    for budget in [0, 20_000, AMPLE] {
        let disk = Arc::new(Simulator::new());
        let store = store_on(Arc::clone(&disk) as Arc<dyn Media>, budget, AMPLE);
        let root = tree_of(&store, 300);
        store.account().segments().flush().unwrap();
        for clear in [false, true] {
            if clear {
                store.clear_caches();
            }
            let reader = Reader::new(&*store, root);
            let last = || reader.get(Key::new(1, 1, 299)).map(|value| assert_eq!(value, Some(vec![43; 900])));
            assert_eq!(reads(&disk, last), clear || budget == 0);
            last().unwrap();
            assert_eq!(reads(&disk, last), budget == 0);
            assert!(store.node_cache().used <= budget);
        }
        let counts = store.node_cache();
        assert_eq!(counts.hits > 0, budget > 0, "{counts:?}");
        let other = NodePointer { id: SlotId(root.pointer.unwrap().id.0 + (1 << 24)), ..root.pointer.unwrap() };
        assert_eq!(store.read(&other).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.read_stored_node(&root.pointer.unwrap()).unwrap().level() + 1, root.height);
    }
}

/// What happens at the next read from the disk, which then returns noise.
type Interruption = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A disk on which something happens between looking a place up and reading there.
struct Interrupted(Arc<Simulator>, Interruption);
struct InterruptedFile(Arc<dyn MediaFile>, Interruption);

impl Media for Interrupted {
    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }
    fn create(&self, name: &str, length: u64) -> Result<Arc<dyn MediaFile>> {
        Ok(Arc::new(InterruptedFile(self.0.create(name, length)?, Arc::clone(&self.1))))
    }
    fn open(&self, name: &str) -> Result<Arc<dyn MediaFile>> {
        Ok(Arc::new(InterruptedFile(self.0.open(name)?, Arc::clone(&self.1))))
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }
    fn unlink(&self, name: &str) -> Result<()> {
        self.0.unlink(name)
    }
    fn sync_directory(&self) -> Result<()> {
        self.0.sync_directory()
    }
    fn space(&self) -> Result<MediaSpace> {
        self.0.space()
    }
}

impl MediaFile for InterruptedFile {
    fn length(&self) -> Result<u64> {
        self.0.length()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let interruption = self.1.lock().take();
        self.0.read_at(buffer, offset)?;
        if let Some(interrupt) = interruption {
            interrupt();
            buffer.fill(0xaa);
        }
        Ok(())
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn flush(&self) -> Result<()> {
        self.0.flush()
    }
    fn punch(&self, offset: u64, length: u64) -> Result<()> {
        self.0.punch(offset, length)
    }
    fn truncate(&self, length: u64) -> Result<()> {
        self.0.truncate(length)
    }
}

/// Cleaning may move an extent or a node after a reader has looked it up, and its old place be used again.
#[test]
fn what_was_moved_meanwhile_is_looked_up_once_more() {
    let interruption = Interruption::default();
    let disk = Interrupted(Arc::new(Simulator::new()), Arc::clone(&interruption));
    let store = store_on(Arc::new(disk), AMPLE, AMPLE);
    let pointers = append(&store, 0..4);
    let root = tree_of(&store, 3);
    store.account().commit(Birth(1), Birth(0), None).unwrap();
    store.account().segments().flush().unwrap();
    let top = root.pointer.unwrap();
    let node = move |store: &Store| store.account().read_node(top.id).unwrap().to_vec();
    let extent = move |store: &Store, id| {
        let mut bytes = Vec::new();
        store.account().read_extent(id, &mut bytes).map(|()| bytes).unwrap()
    };
    for id in [pointers[0].id, top.id] {
        let bytes = if id == top.id { node(&store) } else { extent(&store, id) };
        let mover = Arc::clone(&store);
        *interruption.lock() = Some(Box::new(move || {
            let place = mover.account().lookup(id).unwrap().unwrap().place;
            assert!(mover.account().relocate(id, place, &bytes).unwrap());
        }));
        store.clear_caches();
        read(&store, &pointers).unwrap();
        assert!(matches!(&*store.read(&top).unwrap(), Node::Leaf(leaf) if leaf.len() == 3));
        assert!(interruption.lock().is_none(), "nothing was read");
    }
}
