//! A POSIX tree in a dataset: inodes, directories, files.

mod interface;

pub use interface::*;
