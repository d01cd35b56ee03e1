//! PostgreSQL's own judgement: a cluster that went in by NFS comes out whole, and a clone of it is a database.

use std::fs;

use cow_storage::catalog::{Properties, PropertyChange};
use cow_tests::host_tree;
use cow_tests::nfs_copy::{copy_in, copy_out};
use cow_tests::pooled::{Pooled, now};
use cow_tests::postgres::{Cluster, installed};
use cow_tests::scratch::Scratch;

#[test]
fn a_clone_of_a_cluster_is_a_database_and_its_snapshot_stays() {
    if !installed() {
        eprintln!("skipped: PostgreSQL 15 is not installed (tools/test installs it)");
        return;
    }
    let scratch = Scratch::new("postgres");
    let folder = |name: &str| {
        let path = scratch.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let mut source = Cluster::create(&folder("source"));
    source.start();
    source.pgbench(&["-i", "-q", "-s", "3"]);
    source.stop("fast");

    let pooled = Pooled::open(&folder("pool")).unwrap();
    let properties = Properties { block_size: 8 << 10, extent_size: 32 << 10, ..Properties::default() };
    pooled.create("production", &properties).unwrap();
    copy_in(source.data(), &pooled.url("production")).unwrap();
    let taken = pooled.pool.snapshot(&[("production", "monday")], now()).unwrap().remove(0);
    pooled.pool.clone_snapshot("production@monday", "developer", &PropertyChange::default(), now()).unwrap();
    pooled.share("developer").unwrap();

    let target = folder("target");
    fs::create_dir(target.join("data")).unwrap();
    copy_out(&pooled.url("developer"), &target.join("data")).unwrap();
    let mut copy = Cluster::open(&target, target.join("data"));
    copy.check_pages();
    copy.start();
    copy.check_relations();
    assert_eq!(copy.sql("SELECT count(*) FROM pgbench_accounts"), "300000");
    copy.pgbench(&["-n", "-c", "2", "-t", "500"]);
    assert_eq!(copy.sql("SELECT count(*) FROM pgbench_history"), "1000");
    copy.stop("fast");

    // The changed cluster goes over the clone it came from; the snapshot must not notice.
    copy_in(copy.data(), &pooled.url("developer")).unwrap();
    pooled.pool.commit(now()).unwrap();
    assert_eq!(pooled.pool.snapshot_info("production@monday").unwrap().root_hash, taken.root_hash);
    pooled.assert_sound();

    let again = folder("again");
    fs::create_dir(again.join("data")).unwrap();
    copy_out(&pooled.url("production"), &again.join("data")).unwrap();
    host_tree::assert_same(&host_tree::describe(source.data()), &host_tree::describe(&again.join("data")));
}
