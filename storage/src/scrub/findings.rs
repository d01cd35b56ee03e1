//! What was found to be wrong, before it is known which files that hits.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::catalog::Holder;
use crate::format::SlotId;
use crate::scrub::Scene;
use crate::scrub::extents::Broken;
use crate::scrub::locate;
use crate::scrub::report::{Damage, told};
use crate::scrub::walk::{Found, Ground};
use crate::tree::{Key, NodePointer};

/// Most hits that are kept; those beyond are counted.
const HITS_MAX: usize = 10_000;

/// Something wrong at a place in a tree.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Whose tree it is: the system tree is nobody's.
    pub holder: Option<Holder>,
    /// The node or extent.
    pub id: SlotId,
    /// Whether it is a node.
    pub is_node: bool,
    /// What is hit lies here or after.
    pub first: Key,
    /// All that is hit lies before this; `None`: it can be anything from `first` on.
    pub upper: Option<Key>,
    /// What is wrong.
    pub problem: String,
}

/// All that is wrong.
#[derive(Default)]
pub struct Findings {
    /// What hits no file.
    notes: BTreeSet<String>,
    hits: Vec<Hit>,
    /// Hits that there was no room for.
    more: u64,
    /// Nodes of which it was told that they are hit.
    hit_nodes: HashSet<SlotId>,
    /// What is damaged, as long as it is not known who refers to it.
    broken: BTreeMap<SlotId, Broken>,
}

impl Hit {
    /// A node is hit, and all beneath it.
    pub fn node(
        holder: Option<Holder>,
        pointer: &NodePointer,
        first: Key,
        upper: Option<Key>,
        problem: String,
    ) -> Self {
        Self { holder, id: pointer.id, is_node: true, first, upper, problem }
    }

    /// A block of a file is hit.
    pub fn block(holder: Option<Holder>, id: SlotId, key: Key, problem: String) -> Self {
        Self { holder, id, is_node: false, first: key, upper: Some(key), problem }
    }
}

impl Findings {
    /// Notes what hits no file.
    pub fn note(&mut self, problem: String) {
        if self.notes.len() < HITS_MAX {
            self.notes.insert(problem);
        } else {
            self.more += 1;
        }
    }

    /// What was noted.
    #[cfg(test)]
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.notes.iter()
    }

    /// Notes a hit.
    pub fn hit(&mut self, hit: Hit) {
        if self.hits.len() < HITS_MAX {
            self.hits.push(hit);
        } else {
            self.more += 1;
        }
    }

    /// Notes that a node is hit, once for each.
    pub fn hit_node(&mut self, hit: Hit) {
        if self.hit_nodes.insert(hit.id) {
            self.hit(hit);
        }
    }

    /// Notes damage that is yet to be located.
    pub fn note_broken(&mut self, broken: Broken) {
        if self.broken.len() < HITS_MAX {
            self.broken.entry(broken.id).or_insert(broken);
        } else {
            self.more += 1;
        }
    }

    /// Notes what a walk could not follow.
    pub fn take(&mut self, holder: Option<Holder>, found: Found<'_>) {
        match found {
            Found::Lost { pointer, first, upper, error } => {
                let problem = format!("a tree node is damaged: {}", told(&error));
                self.hit_node(Hit::node(holder, pointer, first, upper, problem));
            }
            Found::Unknown(error) => self.note(told(&error)),
            Found::Node { .. } | Found::Run { .. } | Found::Owed(_) => {}
        }
    }

    /// Finds out what is hit.
    pub fn damage(mut self, scene: Scene<'_>, ground: &Ground) -> Vec<Damage> {
        let (unlocated, _) = self.locate(scene, ground);
        unlocated.into_iter().for_each(|broken| self.note(broken.problem));
        self.named(scene, ground)
    }

    /// The same, where what nobody refers to is no damage.
    pub fn damage_of_referred(mut self, scene: Scene<'_>) -> Vec<Damage> {
        let (unlocated, is_complete) = self.locate(scene, &Ground::Whole);
        for broken in unlocated.into_iter().filter(|_| !is_complete) {
            self.note(format!("{}; other damage hides who refers to it", broken.problem));
        }
        self.named(scene, &Ground::Whole)
    }

    /// Returns what is broken and nobody was found to refer to, and whether nobody was hidden.
    fn locate(&mut self, scene: Scene<'_>, ground: &Ground) -> (Vec<Broken>, bool) {
        let broken = std::mem::take(&mut self.broken);
        let is_complete = locate::find(scene, ground, &broken, &mut |hit| match hit.is_node {
            true => self.hit_node(hit),
            false => self.hit(hit),
        });
        let located: HashSet<SlotId> = self.hits.iter().map(|hit| hit.id).collect();
        (broken.into_values().filter(|broken| !located.contains(&broken.id)).collect(), is_complete)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.hits.is_empty() && self.broken.is_empty()
    }

    fn named(self, scene: Scene<'_>, ground: &Ground) -> Vec<Damage> {
        let mut damage = locate::name(scene, ground, &self.hits);
        damage.extend(self.notes.into_iter().map(Damage::of_the_pool));
        if self.more > 0 {
            damage.push(Damage::of_the_pool(format!("there is more: {} problems are not listed", self.more)));
        }
        damage
    }
}
