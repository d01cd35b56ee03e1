//! Helpers shared by the tests.

pub mod archive;
pub mod daemon;
pub mod fuzz;
pub mod history;
pub mod host_tree;
pub mod hosts;
pub mod model;
pub mod nfs_client;
pub mod nfs_copy;
pub mod nfs_mount;
pub mod nlm_client;
pub mod plugins;
pub mod pooled;
pub mod postgres;
pub mod random;
pub mod sample_pool;
pub mod scratch;
pub mod secrets;
pub mod served;
pub mod site;
pub mod small;
