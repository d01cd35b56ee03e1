//! A head against plain maps of items and bytes.

mod cases;
mod history;
mod model;

use std::sync::Arc;

use crate::account::{Account, AccountOptions};
use crate::executor::{Executor, Inline};
use crate::format::InodeNumber;
use crate::media::{Media, Simulator};
use crate::segment::SegmentOptions;
use crate::store::Store;

const FILE: InodeNumber = InodeNumber(5);

/// A store on a disk, with small caches.
fn store_on(disk: &Arc<Simulator>, executor: Arc<dyn Executor>) -> Arc<Store> {
    let segments = SegmentOptions { segment_len: 4 << 20, reserve_count: 1 };
    let options =
        AccountOptions { cache_len: 256 << 10, pending_max: 5000, fold_pages: 2, ..AccountOptions::new(segments, 0) };
    let account = Account::create(Arc::clone(disk) as Arc<dyn Media>, options).unwrap();
    Arc::new(Store::new(account, executor, 256 << 10, 256 << 10).with_finder(64 << 10))
}

fn new_store() -> Arc<Store> {
    store_on(&Arc::new(Simulator::new()), Arc::new(Inline))
}
