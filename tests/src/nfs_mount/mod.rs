//! A host's mount of an NFS share where the kernel has no NFS client: this process is it, below the kernel's FUSE.
//!
//! `launch` takes what mount(8) gives, `front` answers the kernel, `files` does what it asks, `nodes` knows which handle is behind a number,
//! `server` makes calls until they are answered, and `unstable` keeps what a server that dies may lose.
//!
//! Invariant: as with `mount -o hard`, a call is repeated until a server answers it; and what fsync returned for, or what
//! is read after a server's restart, is what was written.

mod files;
mod front;
mod launch;
mod nodes;
mod server;
mod unstable;

pub use launch::main;
