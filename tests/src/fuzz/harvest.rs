//! Seeds: the structures in the files of a pool, and what these consist of in turn.

use std::collections::{BTreeMap, BTreeSet};

use cow_storage::fuzz::Target;

/// Most seeds of a target.
const SEEDS_MAX: usize = 8;
/// Most seeds of a target that are of the same length.
const ALIKE_MAX: usize = 3;
/// Most bytes of a seed.
const SEED_LEN_MAX: usize = 64 << 10;

/// Adds what `bytes` are to the seeds, by target, if anything accepts them; and so on with their parts.
pub fn harvest(targets: &[Target], bytes: &[u8], seeds: &mut BTreeMap<&'static str, BTreeSet<Vec<u8>>>) {
    for target in targets {
        if bytes.len() > SEED_LEN_MAX || !target.accepts(bytes) {
            continue;
        }
        let found = seeds.entry(target.name).or_default();
        let alike = found.iter().filter(|seed| seed.len() == bytes.len()).count();
        if alike < ALIKE_MAX && found.len() < SEEDS_MAX {
            found.insert(bytes.to_vec());
        }
        (target.parts)(bytes).iter().for_each(|part| harvest(targets, part, seeds));
    }
}
