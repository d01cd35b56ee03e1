//! Which structures of a pool are in use: the rest is what earlier commits left behind.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use cow_storage::fuzz::Target;

use crate::fuzz::{Files, Found};

/// Bytes of a hash by which a structure is looked for: what a leaf has of a block's.
const KEY_LEN: usize = 16;
/// Groups of the log that count as in use: those from the newest one back.
const GROUPS: usize = 12;

/// The structures that the superblock's slots lead to, and the end of the log.
pub fn live(targets: &[Target], files: &Files, found: &[Found]) -> Vec<Found> {
    let bytes = |found: &Found| &files[&found.file][found.range.clone()];
    let mut named: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let names: Vec<(usize, Vec<u8>)> = found
        .iter()
        .enumerate()
        .flat_map(|(index, found)| names(targets, found, bytes(found)).into_iter().map(move |name| (index, name)))
        .collect();
    for (index, name) in &names {
        named.entry(&name[..KEY_LEN]).or_default().push(*index);
    }
    let is_slot = |found: &Found| found.target == "superblock-slot";
    let mut waiting: Vec<usize> = (0..found.len()).filter(|index| is_slot(&found[*index])).collect();
    let mut live: HashSet<usize> = waiting.iter().copied().collect();
    while let Some(index) = waiting.pop() {
        for window in bytes(&found[index]).windows(KEY_LEN) {
            let reached = named.get(window).into_iter().flatten().filter(|reached| !is_group(&found[**reached]));
            waiting.extend(reached.filter(|reached| live.insert(**reached)));
        }
    }
    let mut groups: Vec<usize> = (0..found.len()).filter(|index| is_group(&found[*index])).collect();
    groups.sort_by_key(|index| bytes(&found[*index])[SEQUENCE].iter().rev().copied().collect::<Vec<u8>>());
    live.extend(groups.iter().rev().take(GROUPS));
    let mut live: Vec<usize> = live.into_iter().collect();
    live.sort_unstable();
    live.into_iter().map(|index| found[index].clone()).collect()
}

/// Where a group has its number.
const SEQUENCE: Range<usize> = 40..48;

fn is_group(found: &Found) -> bool {
    found.target == "intent-group"
}

/// What others may refer to it by.
fn names(targets: &[Target], found: &Found, bytes: &[u8]) -> Vec<Vec<u8>> {
    if found.target == "extent" {
        let count = usize::from(bytes[7]);
        return bytes[104..104 + 32 * count].chunks(32).map(<[u8]>::to_vec).collect();
    }
    let target = targets.iter().find(|target| target.name == found.target).expect("it was found by its target");
    (target.named)(bytes).map(|name| name.0.to_vec()).into_iter().collect()
}
