//! What a head should be: a map of items, and for each file a few windows of plain bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::content::overlay::ENTRY_LEN;
use crate::content::{DATA_END, Items, Layers, Overlay};
use crate::format::InodeNumber;
use crate::media::Choices;
use crate::tree::Key;

/// Blocks in a window. Files have bytes nowhere else.
pub const WINDOW: u64 = 12;

/// Written, and not logged: by whether a commit is writing it back.
pub const OPEN: u8 = 1;
pub const FROZEN: u8 = 2;

/// Bytes of a file from a block on.
#[derive(Clone)]
pub struct Window {
    pub start: u64,
    pub bytes: Vec<u8>,
    pub unlogged: Vec<u8>,
}

#[derive(Clone)]
pub struct Model {
    pub block_len: u64,
    pub items: BTreeMap<Key, Vec<u8>>,
    pub files: BTreeMap<InodeNumber, Vec<Window>>,
}

impl Model {
    pub fn new(block_len: u64, inodes: Range<u64>) -> Self {
        let length = WINDOW * block_len;
        let window = |start| Window { start, bytes: vec![0; length as usize], unlogged: vec![0; length as usize] };
        let starts = [0, 1 << 40, (1 << 62) - 3 * block_len, DATA_END - length];
        let files = inodes.map(|inode| (InodeNumber(inode), starts.map(window).into())).collect();
        Self { block_len, items: BTreeMap::new(), files }
    }

    /// A range of bytes of a window, cut at its ends.
    pub fn any_range(&self, choices: &mut Choices) -> Range<u64> {
        let windows = self.files.values().next().unwrap();
        let window = &windows[choices.below(windows.len() as u64) as usize];
        let length = window.bytes.len() as u64;
        let mut at = || match choices.below(3) {
            0 => choices.below(length + 1),
            1 => choices.below(WINDOW + 1) * self.block_len,
            _ => (choices.below(WINDOW + 1) * self.block_len + choices.below(3)).saturating_sub(1).min(length),
        };
        let (left, right) = (at(), at());
        window.start + left.min(right)..window.start + left.max(right)
    }

    /// Calls `change` with the bytes, and whether they are logged, of what lies in `range`.
    pub fn change(&mut self, inode: InodeNumber, range: Range<u64>, mut change: impl FnMut(u64, &mut u8, &mut u8)) {
        for window in self.files.get_mut(&inode).unwrap() {
            let end = window.start + window.bytes.len() as u64;
            for at in range.start.max(window.start)..range.end.min(end) {
                let place = (at - window.start) as usize;
                change(at, &mut window.bytes[place], &mut window.unlogged[place]);
            }
        }
    }

    /// What becomes of what is not logged, in a freeze or a commit.
    pub fn map_unlogged(&mut self, map: impl Fn(u8) -> u8) {
        for byte in self.files.values_mut().flatten().flat_map(|window| &mut window.unlogged) {
            *byte = map(*byte);
        }
    }

    pub fn blocks(&self, inode: InodeNumber) -> BTreeSet<u64> {
        let windows = self.files[&inode].iter();
        let there = windows.flat_map(|window| {
            let blocks = (window.start / self.block_len..).zip(window.bytes.chunks(self.block_len as usize));
            blocks.filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0)).map(|(number, _)| number)
        });
        there.collect()
    }

    pub fn allocated(&self) -> u64 {
        self.files.keys().map(|inode| self.blocks(*inode).len() as u64 * self.block_len).sum()
    }

    pub fn unlogged(&self, inode: InodeNumber) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for window in &self.files[&inode] {
            for (at, _) in (window.start..).zip(&window.unlogged).filter(|(_, unlogged)| **unlogged != 0) {
                match ranges.last_mut() {
                    Some(last) if last.end == at => last.end += 1,
                    _ => ranges.push(at..at + 1),
                }
            }
        }
        ranges
    }

    fn seek(&self, blocks: &BTreeSet<u64>, offset: u64, end: u64, data: bool) -> Option<u64> {
        let first = offset / self.block_len;
        let found = match data {
            true => blocks.range(first..).next().copied(),
            false => (first..).find(|number| !blocks.contains(number)),
        };
        found.map(|number| (number * self.block_len).max(offset)).filter(|at| *at < end)
    }

    /// Compares everything that can be asked.
    pub fn check(&self, state: &dyn Items, choices: &mut Choices) {
        for inode in self.files.keys() {
            let blocks = self.blocks(*inode);
            assert_eq!(state.allocated(*inode).unwrap(), blocks.len() as u64 * self.block_len, "{inode:?}");
            for window in &self.files[inode] {
                self.check_window(state, *inode, window, &blocks, choices);
            }
        }
        assert_eq!(scan(state, Key::MIN, Key::MAX, usize::MAX), self.scan(Key::MIN, Key::MAX, usize::MAX));
        for _ in 0..8 {
            let (left, right) = (any_key(choices), any_key(choices));
            assert_eq!(state.get(left).unwrap(), self.items.get(&left).cloned());
            let count = choices.below(10) as usize;
            assert_eq!(scan(state, left, right, count), self.scan(left, right, count));
        }
    }

    fn check_window(
        &self,
        state: &dyn Items,
        inode: InodeNumber,
        window: &Window,
        blocks: &BTreeSet<u64>,
        choices: &mut Choices,
    ) {
        let length = window.bytes.len() as u64;
        // Also what lies around it, and crosses its ends.
        let before = window.start.min(choices.below(self.block_len * 2));
        let from = window.start - before;
        let mut buffer = vec![1; (before + length + choices.below(self.block_len * 2)) as usize];
        state.read(inode, from, &mut buffer).unwrap();
        let (head, rest) = buffer.split_at(before as usize);
        let (body, tail) = rest.split_at(length as usize);
        assert!(body == window.bytes && head.iter().chain(tail).all(|byte| *byte == 0), "{inode:?}");
        let part = self.any_range(choices);
        let mut buffer = vec![1; (part.end - part.start) as usize];
        state.read(inode, part.start, &mut buffer).unwrap();
        let mut expected = Vec::new();
        self.clone_window(inode, part.start).change(inode, part, |_, byte, _| expected.push(*byte));
        assert_eq!(buffer, expected);
        for _ in 0..4 {
            let (offset, data) = (from + choices.below(length + 2 * self.block_len), choices.below(2) == 0);
            let end = [u64::MAX, DATA_END, offset, offset + 1 + choices.below(length)][choices.below(4) as usize];
            let found = state.seek(inode, offset, end, data).unwrap();
            assert_eq!(found, self.seek(blocks, offset, end, data), "{offset} to {end}, {data}");
        }
    }

    /// A model of only the window around `at`.
    fn clone_window(&self, inode: InodeNumber, at: u64) -> Self {
        let near = |window: &&Window| (window.start..=window.start + window.bytes.len() as u64).contains(&at);
        let windows = self.files[&inode].iter().filter(near).cloned().collect();
        Self { block_len: self.block_len, items: BTreeMap::new(), files: [(inode, windows)].into() }
    }

    fn scan(&self, first: Key, last: Key, count: usize) -> Vec<(Key, Vec<u8>)> {
        let items = (first <= last).then(|| self.items.range(first..=last));
        items.into_iter().flatten().map(|(key, value)| (*key, value.clone())).take(count.max(1)).collect()
    }

    /// Compares what a head knows beyond its content.
    pub fn check_head(&self, layers: &Layers, committed: u64) {
        let inodes: Vec<InodeNumber> = self.files.keys().copied().collect();
        let unlogged = |inode: &InodeNumber| self.unlogged(*inode);
        inodes.iter().for_each(|inode| assert_eq!(layers.unlogged(*inode), unlogged(inode)));
        let some: Vec<_> = inodes.into_iter().filter(|inode| !unlogged(inode).is_empty()).collect();
        assert_eq!(layers.unlogged_inodes(), some);
        assert_eq!(committed.checked_add_signed(layers.allocated_change()), Some(self.allocated()));
        layers.overlays().for_each(|overlay| self.check_overlay(&overlay.read()));
        assert!(layers.is_dirty() || layers.dirty_bytes() == 0);
    }

    /// What an overlay keeps true, and that its counts are those of what is in it.
    fn check_overlay(&self, overlay: &Overlay) {
        let (mut bytes, mut allocated_change) = (0, 0);
        for (_, value) in overlay.items(Key::MIN, Key::MAX) {
            bytes += ENTRY_LEN + value.map_or(0, <[u8]>::len) as u64;
        }
        for (_, file) in overlay.files() {
            let (blocks, holes) = (file.blocks.len() as u64, file.holes.len() as u64);
            bytes += 2 * ENTRY_LEN + blocks * (self.block_len + ENTRY_LEN) + holes * ENTRY_LEN;
            allocated_change += file.allocated_change;
            for (number, block) in &file.blocks {
                assert!(!file.holes.contains(*number) && block.len() as u64 == self.block_len);
                assert!(block.iter().any(|byte| *byte != 0), "a block of zeros is a hole");
            }
        }
        assert_eq!((overlay.bytes(), overlay.allocated_change()), (bytes, allocated_change));
    }
}

/// Collects items until there are `count`, but at least one.
fn scan(state: &dyn Items, first: Key, last: Key, count: usize) -> Vec<(Key, Vec<u8>)> {
    let mut found = Vec::new();
    state
        .scan(first, last, &mut |key, value| {
            found.push((key, value.to_vec()));
            found.len() < count
        })
        .unwrap();
    found
}

pub fn any_key(choices: &mut Choices) -> Key {
    let kind = [1, 2, 5, 255][choices.below(4) as usize];
    let object = [1, 2, 3, u64::MAX][choices.below(4) as usize];
    let position = [0, u64::MAX, choices.below(400)][choices.below(9).min(2) as usize];
    Key::new(object, kind, position)
}
