//! What is agreed with the kernel when a mount begins.

use fuser::{InitFlags, KernelConfig};

use crate::fuse::content::TRANSFER_MAX;

/// Requests that the kernel may have under way besides those that programs wait for: it reads ahead.
const BACKGROUND_MAX: u16 = 64;

/// What the kernel may do if it can.
const WANTED: [InitFlags; 10] = [
    InitFlags::FUSE_POSIX_LOCKS,
    InitFlags::FUSE_FLOCK_LOCKS,
    // Else it would drop a file's pages whenever their own writes have changed its times or size.
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_ASYNC_DIO,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_EXPORT_SUPPORT,
    // Else it would ask for `security.capability` before each write.
    InitFlags::FUSE_HANDLE_KILLPRIV_V2,
];

/// With this the kernel keeps what it has of a file in step with direct writes, so several can be under way.
const FOR_DIRECT: InitFlags = InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP;

/// Agrees to as much as the kernel can do. Returns whether direct writes to one file can be under way together.
pub fn agree(config: &mut KernelConfig) -> bool {
    for flag in WANTED {
        // An older kernel does without.
        let _ = config.add_capabilities(flag);
    }
    let _ = config.set_max_write(TRANSFER_MAX);
    let _ = config.set_max_readahead(TRANSFER_MAX).or_else(|most| config.set_max_readahead(most));
    let _ = config.set_max_background(BACKGROUND_MAX);
    config.add_capabilities(FOR_DIRECT).is_ok()
}
