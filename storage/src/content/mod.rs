//! What a head has beyond its root: changed items, and the bytes of files as blocks.

mod items;

pub use items::{Items, ItemsMut, VALUE_MAX};
