//! What must not be seen: passwords and keys, in memory and at rest.
//!
//! Invariant: a secret is never printed, and its memory is overwritten when it goes. At rest it is sealed by a key that lies
//! outside of what it is stored in, and can be opened only as what it was sealed as.

mod key;
mod secret;

pub use crate::secrets::key::{Key, KeyError, OpenError};
pub use crate::secrets::secret::Secret;
