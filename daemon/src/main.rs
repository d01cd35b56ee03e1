//! The daemon: see [`cowd::program`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cowd::program::main()
}

/// Its threads return what is freed to the system, a few seconds later.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
