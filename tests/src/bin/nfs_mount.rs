//! `mount.nfs` for hosts whose kernel has no NFS client: see `cow_tests::nfs_mount`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cow_tests::nfs_mount::main()
}
