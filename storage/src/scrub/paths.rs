//! The paths of what is hit.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::catalog::Holder;
use crate::content::Layers;
use crate::format::InodeNumber;
use crate::fs::{Names, Reader, search_names};
use crate::scrub::Scene;
use crate::tree::Root;

/// A path of each of `inodes` in the tree of a holder, as far as there is one that can be found.
pub fn paths(scene: Scene<'_>, holder: Holder, inodes: &BTreeSet<InodeNumber>) -> HashMap<InodeNumber, Vec<u8>> {
    let root = scene.catalog.state(holder).map_or(Root::EMPTY, |state| state.root);
    let layers = Layers::new(Arc::clone(scene.store), scene.catalog.block_size(holder).unwrap_or(4096), root);
    // Nothing is looked up by name, so any key will do.
    let names = Names::new([0; 32]);
    let reader = Reader::new(&layers, &names);
    let path = |inode: InodeNumber| reader.paths(inode).ok().and_then(|mut paths| paths.pop());
    let mut found: HashMap<_, _> = inodes.iter().filter_map(|inode| Some((*inode, path(*inode)?))).collect();
    // What is hit may be the very node that tells where the name is.
    let missing: BTreeSet<InodeNumber> = inodes.iter().filter(|inode| !found.contains_key(inode)).copied().collect();
    if !missing.is_empty() {
        for (inode, (directory, name)) in search_names(&**scene.store, &root, &missing) {
            if let Some(mut above) = path(directory) {
                if above != b"/" {
                    above.push(b'/');
                }
                found.insert(inode, [above, name].concat());
            }
        }
    }
    found
}
