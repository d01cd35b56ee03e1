//! What is left after a loss of power: the durable state, and any of what was pending.
//!
//! Invariant: what a flush or a sync of the directory promised is always there.

use crate::media::sim::state::{Change, State, StoredFile};

/// A disk writes this many bytes or none of them.
const SECTOR: u64 = 512;

/// A fixed sequence of arbitrary choices, by seed.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next choice: a number below `limit`, or 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // splitmix64: every seed gives a different sequence of full length.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * u128::from(limit)) >> 64) as u64
    }
}

type Choose<'a> = &'a mut dyn FnMut(u64) -> u64;

/// Any subset of what is pending, in any order, each write torn anywhere between sectors.
pub(super) fn crash(state: &mut State, choose: Choose) {
    for file in state.files.values_mut() {
        let mut pending = std::mem::take(&mut file.pending);
        shuffle(&mut pending, choose);
        pending.iter().for_each(|change| survive(change, file, choose));
    }
    // Names are journalled by every host: in order, and each change whole or not at all.
    let survivors: Vec<_> = state.pending_names.drain(..).filter(|_| choose(2) == 1).collect();
    survivors.iter().for_each(|change| change.apply(&mut state.durable_names));
    restart(state);
}

/// Everything pending in order, each write cut at the byte that `cut` names for its length.
pub(super) fn tear(state: &mut State, cut: &mut dyn FnMut(usize) -> usize) {
    for file in state.files.values_mut() {
        for change in std::mem::take(&mut file.pending) {
            match change {
                Change::Write { offset, bytes } => {
                    let kept = cut(bytes.len()).min(bytes.len());
                    file.durable.write(&bytes[..kept], offset);
                }
                whole => whole.apply(&mut file.durable),
            }
        }
    }
    let survivors = std::mem::take(&mut state.pending_names);
    survivors.iter().for_each(|change| change.apply(&mut state.durable_names));
    restart(state);
}

/// Makes the durable state the live one, and forgets all faults and handles.
fn restart(state: &mut State) {
    for file in state.files.values_mut() {
        file.live = file.durable.clone();
        file.lied = false;
    }
    state.names = state.durable_names.clone();
    state.forget_faults();
    state.collect();
}

fn shuffle(changes: &mut [Change], choose: Choose) {
    for last in (1..changes.len()).rev() {
        changes.swap(last, choose(last as u64 + 1) as usize);
    }
}

fn survive(change: &Change, file: &mut StoredFile, choose: Choose) {
    match change {
        Change::Write { offset, bytes } => write_some(*offset, bytes, file, choose),
        whole if choose(2) == 1 => whole.apply(&mut file.durable),
        _ => {}
    }
}

fn write_some(offset: u64, bytes: &[u8], file: &mut StoredFile, choose: Choose) {
    let first = offset / SECTOR;
    let sectors = (offset + bytes.len() as u64).div_ceil(SECTOR) - first;
    let manner = choose(4);
    let boundary = if manner == 2 { choose(sectors + 1) } else { 0 };
    for sector in 0..sectors {
        let kept = match manner {
            0 => false,
            1 => true,
            2 => sector < boundary,
            _ => choose(2) == 1,
        };
        if kept {
            let start = ((first + sector) * SECTOR).max(offset) - offset;
            let end = ((first + sector + 1) * SECTOR - offset).min(bytes.len() as u64);
            file.durable.write(&bytes[start as usize..end as usize], offset + start);
        }
    }
}

impl State {
    pub(super) fn forget_faults(&mut self) {
        self.faults = Default::default();
        self.operations = 0;
        // New tokens: handles of the disk before the crash are not handles of this one.
        self.files.values_mut().for_each(|file| file.open = Default::default());
    }
}
