//! From damaged nodes and extents to the datasets and files that they hit. Damage is rare, so this may take another walk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::{Catalog, Holder};
use crate::content::RUN_KIND;
use crate::format::{DatasetId, InodeNumber, SlotId};
use crate::fs::layout::ORPHANS;
use crate::scrub::Scene;
use crate::scrub::extents::Broken;
use crate::scrub::findings::Hit;
use crate::scrub::paths::paths;
use crate::scrub::report::Damage;
use crate::scrub::walk::{Found, Ground, walk};
use crate::tree::{ItemRef, Key, Node, NodeStore, Root};

/// Finds who refers to what is damaged. Returns whether nothing was hidden by damage.
pub fn find(scene: Scene<'_>, ground: &Ground, broken: &BTreeMap<SlotId, Broken>, found: &mut dyn FnMut(Hit)) -> bool {
    let mut is_complete = true;
    if broken.is_empty() {
        return is_complete;
    }
    walk(scene, &**scene.store, ground, &mut |holder, visited| {
        match visited {
            Found::Node { pointer, first, upper, .. } => {
                if let Some(broken) = broken.get(&pointer.id) {
                    found(Hit::node(holder, pointer, first, upper, broken.problem.clone()));
                }
            }
            Found::Run { key, run, .. } => {
                if let Some(broken) = broken.get(&run.id) {
                    let is_hit = |number: &u64| broken.blocks >> (u64::from(run.first) + number) & 1 == 1;
                    let hit = (0..run.hashes.len() as u64).filter(is_hit);
                    hit.for_each(|number| {
                        found(Hit::block(holder, run.id, key.plus(number), broken.problem.clone()));
                    });
                }
            }
            Found::Lost { .. } | Found::Unknown(_) => is_complete = false,
            Found::Owed(_) => {}
        }
        true
    });
    is_complete
}

/// Names what is hit: of each file that is hit by one problem, the first place.
pub fn name(scene: Scene<'_>, ground: &Ground, hits: &[Hit]) -> Vec<Damage> {
    let mut named: Vec<(&Hit, Option<Holder>)> = Vec::new();
    let mut wanted: BTreeMap<Holder, BTreeSet<InodeNumber>> = BTreeMap::new();
    for hit in hits {
        let holders = match (ground, hit.holder) {
            (_, None) => Vec::new(),
            (Ground::Of(_), Some(holder)) => vec![holder],
            (Ground::Whole, Some(owner)) => reaching(scene, owner, hit),
        };
        if holders.is_empty() {
            named.push((hit, None));
        }
        for holder in holders {
            wanted.entry(holder).or_default().extend(inode(hit));
            named.push((hit, Some(holder)));
        }
    }
    let paths: HashMap<Holder, HashMap<InodeNumber, Vec<u8>>> =
        wanted.into_iter().map(|(holder, inodes)| (holder, paths(scene, holder, &inodes))).collect();
    let damage = named.into_iter().map(|(hit, holder)| match holder {
        None => Damage::of_the_pool(problem(hit)),
        Some(holder) => Damage {
            dataset: scene.catalog.full_name(holder),
            path: inode(hit).map(|inode| match paths[&holder].get(&inode) {
                Some(path) => String::from_utf8_lossy(path).into_owned(),
                None => format!("inode {}", inode.0),
            }),
            offset: offset(scene.catalog, holder, hit),
            problem: problem(hit),
        },
    });
    let mut places: BTreeMap<_, Option<u64>> = BTreeMap::new();
    for Damage { dataset, path, offset, problem } in damage {
        let first = places.entry((dataset, path, problem)).or_insert(offset);
        *first = offset.min(*first);
    }
    let damage = places.into_iter();
    damage.map(|((dataset, path, problem), offset)| Damage { dataset, path, offset, problem }).collect()
}

fn root(catalog: &Catalog, holder: Holder) -> Root {
    catalog.state(holder).map_or(Root::EMPTY, |state| state.root)
}

/// The inode that is hit, or of several the first. When a whole tree is, there is none to name.
fn inode(hit: &Hit) -> Option<InodeNumber> {
    (hit.first != Key::MIN && hit.first.object != ORPHANS).then_some(InodeNumber(hit.first.object))
}

fn offset(catalog: &Catalog, holder: Holder, hit: &Hit) -> Option<u64> {
    let block_size = catalog.block_size(holder).filter(|_| hit.first.kind == RUN_KIND)?;
    hit.first.position.checked_mul(u64::from(block_size))
}

fn problem(hit: &Hit) -> String {
    let Hit { holder, is_node, first, upper, problem, .. } = hit;
    match upper {
        _ if !is_node => problem.clone(),
        _ if holder.is_none() => format!("{problem}; it belongs to the pool's own tree"),
        Some(upper) if upper.object == first.object => problem.clone(),
        Some(upper) => format!("{problem}; inodes from {} to {} are hit", first.object, upper.object),
        None => format!("{problem}; inodes from {} on are hit", first.object),
    }
}

/// Who reaches what is hit, of those that can be used or undeleted: of each dataset its head, or the newest snapshot that does.
/// All of these descend from its owner, or from the hollow snapshot that the owner stands for, and whatever descends from one that
/// does not reach it does not either. What a hollow one reaches is not known.
fn reaching(scene: Scene<'_>, owner: Holder, hit: &Hit) -> Vec<Holder> {
    let catalog = scene.catalog;
    let mut best: BTreeMap<DatasetId, (bool, bool, Holder)> = BTreeMap::new();
    let hollow = |holder: &Holder| catalog.parent(*holder).map(Holder::Snapshot).filter(|id| catalog.is_hollow(*id));
    let top = std::iter::successors(Some(owner), hollow).last().unwrap_or(owner);
    let mut below = vec![top];
    while let Some(holder) = below.pop() {
        if holder != owner && !catalog.is_hollow(holder) && !reaches(&**scene.store, &root(catalog, holder), hit) {
            continue;
        }
        if let Holder::Snapshot(id) = holder {
            below.extend(catalog.children(id));
        }
        if catalog.is_purged(holder) {
            continue;
        }
        if let Ok(dataset) = catalog.dataset_of(holder) {
            let rank = (catalog.lives(holder), matches!(holder, Holder::Head(_)), holder);
            let best = best.entry(dataset).or_insert(rank);
            *best = rank.max(*best);
        }
    }
    best.into_values().map(|(.., holder)| holder).collect()
}

/// Whether a tree has what is hit, where the owner has it.
fn reaches(nodes: &dyn NodeStore, root: &Root, hit: &Hit) -> bool {
    let mut next = root.pointer;
    while let Some(pointer) = next {
        if hit.is_node && pointer.id == hit.id {
            return true;
        }
        let Ok(node) = nodes.read(&pointer) else { return false };
        next = match &*node {
            Node::Interior(node) => node.children().nth(node.child_for(hit.first)).map(|(_, pointer)| pointer),
            Node::Leaf(leaf) => {
                let number = leaf.first_reaching(hit.first);
                let item = (number < leaf.len()).then(|| leaf.item(number));
                let at = item.and_then(|(key, item)| item.clip(key, hit.first, hit.first));
                return matches!(at, Some((_, ItemRef::Run(run))) if run.id == hit.id);
            }
        };
    }
    false
}
