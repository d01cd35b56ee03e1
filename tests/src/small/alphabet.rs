//! The steps of which all short programs are made, and the pool that they begin with.
//!
//! A few names, so that steps have to do with one another: files `a` and `b`, a directory `d` with `d/a`, `d/b`; each of these steps with one to
//! three choices of what it is done to.

use crate::small::{Base, Step, create, link, mkdir, rename, rmdir, sync, truncate, unlink, write, write_through};

/// More than the log takes at once.
const LARGE: usize = 140 << 10;

/// What is there before: two files, a snapshot, and changes since.
pub fn base() -> Base {
    Base::new(&[
        create("a"),
        write("a", 0, 6000),
        mkdir("d"),
        create("d/a"),
        write("d/a", 0, 5000),
        Step::Snapshot("m", "0"),
        write("a", 4096, 4096),
        truncate("d/a", 9000),
    ])
}

/// All steps.
pub fn alphabet() -> Vec<Step> {
    let files = [
        create("b"),
        create("b").logged(),
        create("d/b"),
        mkdir("e"),
        // New bytes: behind the end, far behind it, and more than the log takes.
        write("a", 8192, 3000),
        write("b", 0, 5000),
        write("b", 100_000, 10),
        write("a", 0, LARGE),
        write_through("b", 300, 20),
        // Bytes over others: a whole block, parts of two, and waited for.
        write("a", 0, 4096),
        write("d/a", 2000, 4000),
        write_through("a", 1000, 5000),
        truncate("a", 100),
        truncate("a", 100).logged(),
        truncate("d/a", 50_000),
        rename("a", "b"),
        rename("a", "b").logged(),
        rename("a", "d/a"),
        rename("d/a", "a"),
        rename("b", "a"),
        rename("d", "e"),
        link("a", "b"),
        link("a", "d/b"),
        link("d/a", "b").logged(),
        unlink("a"),
        unlink("a").logged(),
        unlink("b"),
        unlink("d/a"),
        rmdir("d"),
        sync("a"),
        sync("b"),
        sync("d/a"),
    ];
    let pool = [
        Step::Snapshot("m", "1"),
        Step::Clone("m@0", "c"),
        Step::Clone("m@1", "c"),
        write_through("a", 0, 4096).of("c"),
        unlink("d/a").of("c"),
        Step::Rewind("m", "m@0"),
        Step::Rewind("m", "m@1"),
        Step::Destroy("m@0"),
        Step::Destroy("m"),
        Step::Destroy("c"),
        Step::Commit,
        Step::Reclaim,
    ];
    files.into_iter().chain(pool).collect()
}
