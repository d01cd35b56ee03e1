//! One Merkle copy-on-write B+tree: read, edit, diff, walk. It does not know what its keys mean.

mod key;

pub use key::Key;
