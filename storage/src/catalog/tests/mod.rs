//! Names against a model, what is refused and why, damage, and many.

mod damage;
mod names;
mod refused;
mod scale;
pub(crate) mod store;

use crate::catalog::tests::store::Store;
use crate::catalog::*;
use crate::format::{Birth, DatasetId, Timestamp};
use crate::tree::{Root, apply};

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 0 }
}

fn create(catalog: &mut Catalog, name: &str) -> DatasetId {
    catalog.create_dataset(name, &Properties::default(), State::default(), at(1)).unwrap()
}

/// Stores what changed.
fn save(catalog: &mut Catalog, store: &Store, root: &Root, birth: Birth) -> Root {
    apply(store, root, catalog.take_edits(), birth, &mut Vec::new()).unwrap().root
}
