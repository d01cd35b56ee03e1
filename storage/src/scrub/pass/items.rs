//! Where in the system tree a pass is. See `FORMAT.md`, "Scrub items".
//!
//! Invariant: the items have an object that nothing of the catalog has, so that a build that knows no passes reads past them;
//! and they are never needed: what cannot be read of a pass is a pass less.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::scrub::pass::{Pass, codec};
use crate::tree::{Edit, ItemRef, Key, NodeStore, Reader, Root, VALUE_MAX};

/// Dead lists have the numbers below.
const OBJECT: u64 = u64::MAX;
const PASS: u8 = 8;
const DAMAGE: u8 = 9;

/// Bytes of the list of damage in an item.
const PIECE_LEN: usize = 1000;

const _: () = assert!(PIECE_LEN <= VALUE_MAX);

const FIRST: Key = Key::new(OBJECT, PASS, 0);
const LAST: Key = Key::new(OBJECT, DAMAGE, u64::MAX);

const fn piece(number: u64) -> Key {
    Key::new(OBJECT, DAMAGE, number)
}

/// The pass in a system tree, if it has one and that can be read. `UnknownVersion` if a newer build wrote it.
pub fn load(nodes: &dyn NodeStore, system: &Root) -> Result<Option<Pass>> {
    match read(nodes, system) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        read => read.map_err(|error| error.during("load how far scrubbing is")),
    }
}

fn read(nodes: &dyn NodeStore, system: &Root) -> Result<Option<Pass>> {
    let (mut pass, mut damage) = (None, Vec::new());
    Reader::new(nodes, *system).scan(FIRST, LAST, &mut |key, item| {
        if let ItemRef::Bytes(bytes) = item {
            match key.kind {
                PASS => pass = Some(codec::decode_pass(bytes)),
                _ => damage.extend_from_slice(bytes),
            }
        }
        true
    })?;
    let Some(mut pass) = pass.transpose().map_err(Error::from)? else { return Ok(None) };
    if !damage.is_empty() {
        pass.damage = Arc::new(codec::decode_damage(&damage).map_err(Error::from)?);
    }
    Ok(Some(pass))
}

/// The edits of the system tree that store a pass of which it has the first so much damage listed; `None`: it has another pass.
pub fn edits(pass: &Pass, listed: Option<usize>) -> Vec<Edit> {
    let mut edits = vec![Edit::Put(FIRST, codec::encode_pass(pass))];
    let whole = match listed {
        // The last piece that is there may not be full.
        Some(listed) => codec::encode_damage(&pass.damage[..listed.min(pass.damage.len())]).len() / PIECE_LEN,
        None => {
            edits.push(Edit::DeleteRange(piece(0), LAST));
            0
        }
    };
    if listed != Some(pass.damage.len()) {
        let damage = codec::encode_damage(&pass.damage);
        let pieces = damage.chunks(PIECE_LEN).enumerate().skip(whole);
        edits.extend(pieces.map(|(number, bytes)| Edit::Put(piece(number as u64), bytes.to_vec())));
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{SlotId, Timestamp};
    use crate::scrub::report::Damage;

    /// What the tree has after these edits.
    fn apply(items: &mut std::collections::BTreeMap<Key, Vec<u8>>, edits: Vec<Edit>) {
        for edit in &edits {
            if let Edit::DeleteRange(first, last) = edit {
                items.retain(|key, _| key < first || key > last);
            }
        }
        for edit in edits {
            if let Edit::Put(key, bytes) = edit {
                items.insert(key, bytes);
            }
        }
    }

    #[test]
    fn what_is_stored_by_and_by_is_what_would_be_stored_at_once() {
        for step in [1, 3, 70] {
            let mut pass = Pass::begin(SlotId(0), 0, None, Timestamp::default());
            let (mut items, mut listed) = (Default::default(), None);
            for round in 0..30 {
                let problem = |number: usize| "x".repeat((round * number * 7) % 1500);
                pass.note(&(0..step).map(|number| Damage::of_the_pool(problem(number))).collect::<Vec<_>>());
                apply(&mut items, edits(&pass, listed));
                listed = Some(pass.damage.len());
                let mut whole = Default::default();
                apply(&mut whole, edits(&pass, None));
                assert_eq!(items, whole, "{step} {round}");
            }
            let other = Pass::begin(SlotId(0), 0, None, Timestamp::default());
            apply(&mut items, edits(&other, None));
            assert_eq!(items.len(), 1);
        }
    }
}
