//! A write of the superblock or of the log that is cut at each of its bytes.
//!
//! Invariant: of bytes that are the same before and after the write nothing shows whether they were written, so cuts between them
//! are one.

use std::ops::Range;
use std::sync::Arc;

use cow_storage::error::{Error, ErrorKind};
use cow_storage::intent::INTENT_NAME;
use cow_storage::media::{Media, OperationKind, Simulator};
use cow_storage::pool::Pool;
use cow_storage::superblock::{SUPERBLOCK_NAME, Superblock};

use crate::small::check::recover;
use crate::small::{Effort, Moment};

/// What opening goes by, of the file that is written.
#[derive(PartialEq, Eq)]
enum Beginning {
    Superblock(Option<Superblock>),
    /// What the log promises, or why that cannot be told.
    Records(Result<Vec<Vec<u8>>, ErrorKind>),
}

impl Beginning {
    fn of(disk: &Simulator, file: &str) -> Result<Self, Error> {
        if file == INTENT_NAME {
            return Ok(Self::Records(Pool::promised(disk).map_err(|error| error.kind())));
        }
        let slots = Superblock::both(disk)?;
        Ok(Self::Superblock(slots.into_iter().flatten().max_by_key(|slot| slot.commit)))
    }
}

/// Cuts the write at each byte that makes a difference, or one in so many of them. What opening goes by must be as if all of the write had
/// been lost, or all kept; where that is asked for, the pool is opened each time too, else at one of them that `choose` gives. Returns how
/// many cuts were made, and how many pools opened.
pub(super) fn tear(moment: &Moment, effort: &Effort, choose: &mut dyn FnMut(u64) -> u64) -> Result<(u64, u64), String> {
    let operation = &moment.operation;
    let is_record = [SUPERBLOCK_NAME, INTENT_NAME].contains(&operation.name.as_str());
    if operation.kind != OperationKind::Write || !is_record {
        return Ok((0, 0));
    }
    let tell = |error: Error| format!("{error:?}");
    let range = operation.offset..operation.offset + operation.length;
    let old = read(&moment.disk.tear(|_| 0), &operation.name, &range).map_err(tell)?;
    let new = read(&moment.disk, &operation.name, &range).map_err(tell)?;
    let differ = (0..old.len()).filter(|at| old[*at] != new[*at]);
    let cuts: Vec<usize> = differ.skip(choose(effort.torn) as usize).step_by(effort.torn as usize).collect();
    let name = &operation.name;
    let lost = Beginning::of(&moment.disk.tear(|_| 0), name).map_err(tell)?;
    let kept = Beginning::of(&moment.disk.tear(|length| length), name).map_err(tell)?;
    let chosen = choose(cuts.len() as u64) as usize;
    let mut opened = 0;
    for (at, cut) in cuts.iter().enumerate() {
        let torn = moment.disk.tear(|_| *cut);
        let beginning = Beginning::of(&torn, name).map_err(tell)?;
        if beginning != lost && beginning != kept {
            return Err(format!("a write torn at byte {cut} is neither as if it had not been nor as if it were whole"));
        }
        if effort.all_torn || at == chosen {
            opened += 1;
            recover(&Arc::new(torn), &moment.possible).map_err(|problem| format!("torn at byte {cut}: {problem}"))?;
        }
    }
    Ok((cuts.len() as u64, opened))
}

fn read(disk: &Simulator, name: &str, range: &Range<u64>) -> Result<Vec<u8>, Error> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_at(&mut bytes, range.start)?;
    Ok(bytes)
}
