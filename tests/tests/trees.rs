//! Trees go in and come out again byte for byte: by NFS clients, and by import and export.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use cow_storage::catalog::Properties;
use cow_tests::host_tree;
use cow_tests::nfs_copy::{Url, copy_in, copy_out};
use cow_tests::pooled::{Pooled, now};
use cow_tests::scratch::Scratch;
use cow_tests::served::serve_model;

#[test]
fn the_nfs_copy_keeps_all_that_nfs_can_keep() {
    let (server, _model, _views) = serve_model();
    let url = Url { server: server.local_addr().unwrap(), path: "/model".to_owned() };
    there_and_back(&url, 300, 3 << 20);
}

#[test]
fn a_tree_goes_through_a_pool_and_comes_back() {
    // COW_TREE_FILES sets its size: 20,000 is the goal, and too slow for every run.
    let files = env::var("COW_TREE_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let pool = Scratch::new("trees-pool");
    let pooled = Pooled::open(pool.path()).unwrap();
    pooled.create("d", &Properties::default()).unwrap();
    there_and_back(&pooled.url("d"), files, 24 << 20);
    pooled.pool.commit(now()).unwrap();
    pooled.assert_sound();
}

fn there_and_back(url: &Url, files: usize, large_len: usize) {
    let scratch = Scratch::new("trees");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    host_tree::make(&from, files, large_len, 7);
    let copied = copy_in(&from, url).unwrap();
    assert_eq!(copied, copy_out(url, &to).unwrap());
    host_tree::assert_same(&without_attributes(&from), &without_attributes(&to));
}

/// What NFSv3 can carry: all but extended attributes.
fn without_attributes(root: &Path) -> BTreeMap<PathBuf, host_tree::Entry> {
    let mut tree = host_tree::describe(root);
    tree.values_mut().for_each(|entry| entry.attributes.clear());
    tree
}
