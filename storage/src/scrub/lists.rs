//! Compares each dead list with what the trees on both sides of its edge differ in.
//!
//! Invariant: one edge takes no memory but a sum. Each pointer stands for a number of 128 bits, and those that a list should have
//! and those that it has come to the same sum, or else they are not the same. Only then they are counted, for a part of all
//! at a time that fits into memory.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::reclaim::{Edge, Sources, edges};
use crate::scrub::Scene;
use crate::scrub::findings::Findings;
use crate::scrub::report::{Meter, told};
use crate::tree::Dead;

/// Pointers that are counted at once.
const POINTERS_MAX: usize = 1 << 16;

/// Checks all lists. What cannot be read is told by others.
pub fn check(scene: Scene<'_>, findings: &mut Findings, meter: &mut Meter<'_>) {
    let sources = Sources { nodes: &**scene.store, system: scene.system };
    let edges = match edges(scene.catalog) {
        Ok(edges) => edges,
        Err(error) => return findings.note(told(&error)),
    };
    for edge in edges {
        if !meter.go_on_soon() {
            return;
        }
        let differs = sum(&edge, sources).is_ok_and(|sum| sum != 0);
        if let Some((lacking, more)) = differs.then(|| count(&edge, sources, POINTERS_MAX).ok()).flatten() {
            let name = scene.catalog.full_name(edge.holder).unwrap_or_default();
            if lacking > 0 {
                findings
                    .note(format!("the dead list of {name} lacks {lacking} pointers: their space will not come back"));
            }
            if more > 0 {
                findings.note(format!(
                    "the dead list of {name} has {more} pointers more: what is in use may be given back"
                ));
            }
        }
    }
}

fn sum(edge: &Edge, sources: Sources<'_>) -> Result<u128> {
    let mut sum = 0_u128;
    edge.for_each(sources, &mut |dead, change| {
        for index in dead.first..dead.first + dead.count {
            let number = number(dead, index);
            sum = if change > 0 { sum.wrapping_add(number) } else { sum.wrapping_sub(number) };
        }
    })?;
    Ok(sum)
}

/// How many pointers the list lacks, and how many it has and should not.
fn count(edge: &Edge, sources: Sources<'_>, pointers_max: usize) -> Result<(u64, u64)> {
    let (mut parts, mut part, mut found) = (1_u64, 0, (0, 0));
    while part < parts {
        let mut counts: BTreeMap<Dead, i64> = BTreeMap::new();
        edge.for_each(sources, &mut |dead, change| {
            for index in dead.first..dead.first + dead.count {
                let pointer = Dead { first: index, count: 1, ..*dead };
                if (number(dead, index) >> 64) as u64 % parts == part && counts.len() <= pointers_max {
                    *counts.entry(pointer).or_default() += change;
                }
            }
        })?;
        if counts.len() > pointers_max {
            (parts, part, found) = (parts * 2, 0, (0, 0));
            continue;
        }
        for count in counts.into_values() {
            found.0 += count.max(0) as u64;
            found.1 += count.min(0).unsigned_abs();
        }
        part += 1;
    }
    Ok(found)
}

/// What a pointer stands for.
fn number(dead: &Dead, index: u8) -> u128 {
    let of =
        |seed: u64| mix(mix(mix(seed ^ dead.id.0) ^ dead.birth.0) ^ u64::from(index) << 1 ^ u64::from(dead.is_node));
    u128::from(of(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(of(0xd1b5_4a32_d192_ed03))
}

/// Spreads the bits of a number (splitmix64).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
