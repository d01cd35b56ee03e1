//! What destroying something would free.

use crate::catalog::{Catalog, Holder};
use crate::error::Result;
use crate::reclaim::Sources;
use crate::reclaim::plan::{Freed, Plan};
use crate::tree::{Dead, Key, walk_born_after};

const LEAVES: u64 = 256;

/// Calls `found` with the pointers that would be freed if all these were destroyed and purged together, and changes nothing. A
/// head stands for its dataset with all snapshots. What is destroyed already, but not purged, keeps what it holds
/// unless it is named as well; what present jobs free anyway is not told.
pub fn would_free(
    catalog: &Catalog,
    sources: Sources<'_>,
    targets: &[Holder],
    found: &mut dyn FnMut(&Dead),
) -> Result<()> {
    let mut plan = Plan::new(catalog)?;
    targets.iter().flat_map(|target| catalog.family(*target)).for_each(|holder| plan.doom(holder));
    plan.settle(&mut |freed| match freed {
        Freed::Tree { root, after } => {
            let mut next = Some(Key::MIN);
            while let Some(from) = next {
                next = walk_born_after(sources.nodes, &root, after, from, LEAVES, &mut |dead| found(&dead))?;
            }
            Ok(())
        }
        Freed::Entries { list, after, until } => {
            for number in list.first..list.end {
                let entries = catalog.read_chunk(sources.nodes, sources.system, list.id, number)?;
                entries.iter().filter(|entry| entry.birth > after && entry.birth <= until).for_each(&mut *found);
            }
            Ok(())
        }
    })
}
