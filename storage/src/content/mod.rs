//! What a head has beyond its root: changed items, and the bytes of files as blocks.

mod items;

pub use items::{Items, ItemsMut, VALUE_MAX};

/// The kind of the runs that hold a file's blocks: `fs` gives no other item this kind.
pub const RUN_KIND: u8 = 3;
