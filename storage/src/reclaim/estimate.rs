//! What destroying something would free.

use crate::catalog::{Catalog, Holder};
use crate::error::Result;
use crate::format::Birth;
use crate::reclaim::Sources;
use crate::reclaim::common::{Fork, Reading, Share, forks, reached};
use crate::reclaim::plan::{Freed, Part, Plan};
use crate::tree::{Dead, Key, Root, walk_born_after};

const LEAVES: u64 = 256;

/// Pointers that several lists are compared by at once: some 40 MiB of memory.
const POINTERS_MAX: usize = 1 << 19;

/// Which pointers a destruction would free. Making it takes a moment; reading them takes as long as there are many, and needs
/// the commit whose catalog it was pinned.
#[derive(Clone, Debug)]
pub struct Estimate {
    freed: Vec<Freed>,
    forks: Vec<Fork>,
    pointers_max: usize,
}

/// What is told of a destruction: one comes after the other, and only the sum is true.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// These would be freed.
    Goes(&'a Dead),
    /// These would not, as often as this is told: present jobs free them anyway.
    Stays(&'a Dead),
    /// So many pointers were looked at, and nothing is to be told of them.
    Looked(u64),
}

/// Returns whether to go on.
type Tell<'t> = dyn FnMut(Told<'_>) -> Result<bool> + 't;

impl Estimate {
    /// What would be freed if all these were destroyed and purged together. A head stands for its dataset with all snapshots. What
    /// is destroyed already, but not purged, keeps what it holds unless it is named as well; what present jobs free
    /// anyway is not told. The catalog has no edits that were not taken.
    pub fn new(catalog: &Catalog, targets: &[Holder]) -> Result<Self> {
        let before = Plan::new(catalog)?;
        let mut after = before.clone();
        targets.iter().flat_map(|target| catalog.family(*target)).for_each(|holder| after.doom(holder));
        let mut freed = Vec::new();
        after.settle(&mut |part| freed.push(part))?;
        let touched = reached([&before, &after], after.touched());
        let mut all = forks(catalog, &after, &touched, true)?;
        // Numbers count from the first of each.
        let anyway = forks(catalog, &before, &touched, false)?;
        let more = all.len();
        all.extend(anyway.into_iter().map(|fork| fork.behind(more)));
        Ok(Self { freed, forks: all, pointers_max: POINTERS_MAX })
    }

    /// The same, in less memory.
    #[must_use]
    pub fn within(self, pointers_max: usize) -> Self {
        Self { pointers_max, ..self }
    }

    /// Tells of all pointers until `tell` returns false. Returns whether it did not.
    pub fn for_each(&self, sources: Sources<'_>, tell: &mut Tell<'_>) -> Result<bool> {
        for part in &self.freed {
            let go_on = match part {
                Freed::Tree { root, after } => tell_tree(sources, root, *after, tell)?,
                Freed::Entries { part, after } => tell_entries(sources, part, *after, tell)?,
            };
            if !go_on {
                return Ok(false);
            }
        }
        self.for_each_common(sources, tell)
    }

    fn for_each_common(&self, sources: Sources<'_>, tell: &mut Tell<'_>) -> Result<bool> {
        let mut shares = if self.forks.is_empty() { vec![] } else { vec![Share::ALL] };
        while let Some(share) = shares.pop() {
            let mut reading = Reading { sources, share, pointers_max: self.pointers_max, read: 0 };
            let common = reading.common(&self.forks)?;
            if !tell(Told::Looked(reading.read))? {
                return Ok(false);
            }
            let Some(common) = common else {
                shares.extend(share.halves());
                continue;
            };
            for (fork, counts) in self.forks.iter().zip(common) {
                let Some(goes) = fork.goes else { continue };
                for (pointer, count) in counts.into_iter().filter(|(pointer, _)| fork.frees(pointer)) {
                    let dead = pointer.dead();
                    if !tell_all((0..count).map(|_| &dead), goes, tell)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

fn tell_tree(sources: Sources<'_>, root: &Root, after: Birth, tell: &mut Tell<'_>) -> Result<bool> {
    let mut next = Some(Key::MIN);
    while let Some(from) = next {
        let mut pointers = Vec::new();
        next = walk_born_after(sources.nodes, root, after, from, LEAVES, &mut |dead| pointers.push(dead))?;
        if !tell_all(pointers.iter(), true, tell)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tell_entries(sources: Sources<'_>, part: &Part, after: Birth, tell: &mut Tell<'_>) -> Result<bool> {
    let Part { list, until, is_left_out } = *part;
    for number in list.first..list.end {
        let entries = Catalog::read_stored_chunk(sources.nodes, sources.system, list.id, number)?;
        let found = entries.iter().filter(|entry| entry.birth > after && entry.birth <= until);
        if !tell_all(found, !is_left_out, tell)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tell_all<'d>(pointers: impl Iterator<Item = &'d Dead>, goes: bool, tell: &mut Tell<'_>) -> Result<bool> {
    for dead in pointers {
        if !tell(if goes { Told::Goes(dead) } else { Told::Stays(dead) })? {
            return Ok(false);
        }
    }
    Ok(true)
}
