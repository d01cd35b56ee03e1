//! Whether the file systems in the trees fit: each head and snapshot that can be used or undeleted.
//!
//! Invariant: those that a tree came from are checked before it, and it is compared with the nearest of them. So what many
//! share is read once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::catalog::{Catalog, Holder};
use crate::content::Layers;
use crate::format::{DatasetId, InodeNumber};
use crate::fs::sanity::{Checked, Unsound, check};
use crate::scrub::Scene;
use crate::scrub::paths::paths;
use crate::scrub::report::{Damage, Meter};
use crate::scrub::walk::Ground;
use crate::tree::Root;

/// Bytes of memory that an inode takes while its names are being compared.
const SUM_LEN: usize = 64;

/// Inodes that do not fit, of each tree that was read whole.
type Known = HashMap<Holder, BTreeSet<InodeNumber>>;

/// Of each dataset the head that has a problem, or the newest snapshot that does.
type Best = BTreeMap<(DatasetId, InodeNumber, String), (bool, bool, Holder)>;

/// Checks trees, with about so many bytes of memory. What cannot be read is passed over: that is found elsewhere.
pub fn check_trees(scene: Scene<'_>, ground: &Ground, memory_len: usize, meter: &mut Meter<'_>) -> Vec<Damage> {
    let catalog = scene.catalog;
    let mut holders = match ground {
        Ground::Whole => catalog.forest(),
        Ground::Of(holders) => holders.clone(),
    };
    holders.retain(|holder| !catalog.is_purged(*holder));
    // Snapshots are older than what came from them, and a head is nobody's origin.
    holders.sort_by_key(|holder| (matches!(holder, Holder::Head(_)), *holder));
    let (mut known, mut best) = (Known::new(), Best::new());
    for holder in holders {
        let Some(unsound) = check_tree(scene, holder, &known, memory_len, meter) else { continue };
        known.insert(holder, unsound.iter().map(|unsound| unsound.inode).collect());
        let Ok(dataset) = catalog.dataset_of(holder) else { continue };
        let rank = (catalog.lives(holder), matches!(holder, Holder::Head(_)), holder);
        for Unsound { inode, problem } in unsound {
            let best = best.entry((dataset, inode, problem)).or_insert(rank);
            *best = rank.max(*best);
        }
    }
    name(scene, best)
}

/// `None` if the tree cannot be read, or nobody wants to know.
fn check_tree(
    scene: Scene<'_>,
    holder: Holder,
    known: &Known,
    memory_len: usize,
    meter: &mut Meter<'_>,
) -> Option<Vec<Unsound>> {
    if !meter.go_on() {
        return None;
    }
    let catalog = scene.catalog;
    let root = catalog.state(holder).ok()?.root;
    let block_len = catalog.block_size(holder)?;
    let base = base(catalog, holder, known);
    let base_root = base.and_then(|base| catalog.state(base).ok()).map_or(Root::EMPTY, |state| state.root);
    let nothing = BTreeSet::new();
    let of_base = base.and_then(|base| known.get(&base)).unwrap_or(&nothing);
    let layers = Layers::new(Arc::clone(scene.store), block_len, root);
    let (nodes, block_len) = (&**scene.store, u64::from(block_len));
    let tree = Checked { nodes, root: &root, items: &layers, base: &base_root, block_len };
    check(&tree, of_base, memory_len / SUM_LEN, &mut || meter.go_on_soon()).ok()
}

/// The nearest of those that a holder came from whose tree was checked.
fn base(catalog: &Catalog, holder: Holder, known: &Known) -> Option<Holder> {
    let mut above = catalog.parent(holder).map(Holder::Snapshot);
    while let Some(holder) = above.filter(|holder| !known.contains_key(holder)) {
        above = catalog.parent(holder).map(Holder::Snapshot);
    }
    above
}

fn name(scene: Scene<'_>, best: Best) -> Vec<Damage> {
    let mut wanted: BTreeMap<Holder, BTreeSet<InodeNumber>> = BTreeMap::new();
    for ((_, inode, _), (_, _, holder)) in &best {
        wanted.entry(*holder).or_default().insert(*inode);
    }
    let paths: HashMap<Holder, _> =
        wanted.into_iter().map(|(holder, inodes)| (holder, paths(scene, holder, &inodes))).collect();
    let damage = best.into_iter().map(|((_, inode, problem), (_, _, holder))| {
        let path = match paths[&holder].get(&inode) {
            Some(path) => String::from_utf8_lossy(path).into_owned(),
            None => format!("inode {}", inode.0),
        };
        Damage { dataset: scene.catalog.full_name(holder), path: Some(path), offset: None, problem }
    });
    damage.collect()
}
