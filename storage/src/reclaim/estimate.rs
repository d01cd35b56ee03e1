//! What destroying something would free.

use crate::catalog::{Catalog, Holder};
use crate::error::Result;
use crate::reclaim::Sources;
use crate::reclaim::plan::{Freed, Plan};
use crate::tree::{Dead, Key, walk_born_after};

const LEAVES: u64 = 256;

/// Which pointers a destruction would free. Making it takes a moment; reading them takes as long as there are many, and needs
/// the commit whose catalog it was pinned.
#[derive(Clone, Debug)]
pub struct Estimate {
    freed: Vec<Freed>,
}

impl Estimate {
    /// What would be freed if all these were destroyed and purged together. A head stands for its dataset with all snapshots. What
    /// is destroyed already, but not purged, keeps what it holds unless it is named as well; what present jobs free
    /// anyway is not told. The catalog has no edits that were not taken.
    pub fn new(catalog: &Catalog, targets: &[Holder]) -> Result<Self> {
        let mut plan = Plan::new(catalog)?;
        targets.iter().flat_map(|target| catalog.family(*target)).for_each(|holder| plan.doom(holder));
        let mut freed = Vec::new();
        plan.settle(&mut |part| freed.push(part))?;
        Ok(Self { freed })
    }

    /// Calls `found` with the pointers until it returns false. Returns whether it did not.
    pub fn for_each(&self, sources: Sources<'_>, found: &mut dyn FnMut(&Dead) -> Result<bool>) -> Result<bool> {
        for part in &self.freed {
            if !tell(sources, part, found)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns whether to go on.
fn tell(sources: Sources<'_>, freed: &Freed, found: &mut dyn FnMut(&Dead) -> Result<bool>) -> Result<bool> {
    match freed {
        Freed::Tree { root, after } => {
            let mut next = Some(Key::MIN);
            while let Some(from) = next {
                let mut pointers = Vec::new();
                next = walk_born_after(sources.nodes, root, *after, from, LEAVES, &mut |dead| pointers.push(dead))?;
                for dead in &pointers {
                    if !found(dead)? {
                        return Ok(false);
                    }
                }
            }
        }
        Freed::Entries { list, after, until } => {
            for number in list.first..list.end {
                let entries = Catalog::read_stored_chunk(sources.nodes, sources.system, list.id, number)?;
                for dead in entries.iter().filter(|entry| entry.birth > *after && entry.birth <= *until) {
                    if !found(dead)? {
                        return Ok(false);
                    }
                }
            }
        }
    }
    Ok(true)
}
