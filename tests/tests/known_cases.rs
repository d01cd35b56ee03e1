//! Short programs that other file systems have lost data on, with the power going at every operation of the disk.
//!
//! Each is told in our own words, with the number of the test of xfstests (`generic/`) that guards against it. Most were found in btrfs,
//! where an fsync logs an inode and what belongs to it; CrashMonkey's authors (OSDI 2018) have others. What such a test
//! expects is the least of what is checked here: after each crash the pool holds what it promised, byte by byte; the recount
//! agrees; all files can be removed then, and new ones made. Each program runs twice: waiting for every call, as NFS does, and for a sync only.

use std::thread;

use cow_tests::small::{
    Base, Effort, Figures, Run, Step, chmod, create, explore_run, fifo, link, mkdir, open, punch, remove_xattr, rename,
    rmdir, set_xattr, symlink, sync, truncate, unlink, write, write_through,
};

/// Numbers of tests, what was lost, what is there before, and what is done.
type Case = (&'static str, &'static str, &'static [Step], &'static [Step]);

const COMMIT: Step = Step::Commit;

const CASES: &[Case] = &[
    (
        "034",
        "a directory's size was wrong after replay, so it could never be emptied",
        &[mkdir("d")],
        &[create("d/a"), sync("d"), COMMIT, create("d/b"), sync("d/a"), sync("d")],
    ),
    (
        "039",
        "a file lost one of its names, was made durable, and counted that name still",
        &[create("a"), write("a", 0, 4000), link("a", "b"), link("a", "c")],
        &[unlink("b"), sync("a")],
    ),
    (
        "040 041",
        "of a file with many names one went, a new one came, and the first came again; replay failed",
        &[create("a"), link("a", "l1"), link("a", "l2"), link("a", "l3")],
        &[unlink("l1"), link("a", "l4"), link("a", "l1"), unlink("l2"), link("a", "l5"), sync("a")],
    ),
    (
        "056",
        "a durable file got another name, another file was made durable, and the first was empty",
        &[],
        &[create("a"), write("a", 0, 4096), sync("a"), link("a", "l"), create("b"), sync("b")],
    ),
    (
        "057",
        "the same with bytes that were appended",
        &[create("a"), write("a", 0, 8192)],
        &[write("a", 8192, 4096), sync("a"), link("a", "l"), create("b"), sync("b")],
    ),
    (
        "059",
        "a hole in a part of a block was not made durable",
        &[create("a"), write("a", 0, 16_384)],
        &[sync("a"), COMMIT, punch("a", 8000, 4096), punch("a", 15_000, 100), sync("a")],
    ),
    (
        "065",
        "new names in a directory that was made durable did not count, or were gone with their directories",
        &[create("a"), write("a", 0, 8192), mkdir("d")],
        &[
            link("a", "d/l"),
            link("a", "d/m"),
            create("b"),
            write("b", 0, 9000),
            link("b", "d/b"),
            mkdir("d/e"),
            link("a", "d/e/l"),
            sync("d"),
        ],
    ),
    (
        "066",
        "an extended attribute that was removed came back",
        &[create("a"), set_xattr("a", "user.one"), set_xattr("a", "user.two"), set_xattr("a", "user.three")],
        &[remove_xattr("a", "user.two"), sync("a"), remove_xattr("a", "user.one"), sync("a")],
    ),
    (
        "073",
        "a stranger moved between directories, his old one was made durable, and a file's bytes were lost",
        &[create("a"), write("a", 0, 8192), mkdir("d"), mkdir("e"), create("d/b")],
        &[write("a", 8192, 8192), rename("d/b", "e/b"), sync("d"), sync("a")],
    ),
    (
        "090",
        "bytes appended after a file got another name were lost",
        &[create("a"), write("a", 0, 4096)],
        &[link("a", "b"), sync("a"), write("a", 4096, 4096), sync("a")],
    ),
    (
        "101",
        "a file was cut and made longer again, and had the old bytes",
        &[create("a"), write("a", 0, 24_000), create("b"), write("b", 0, 12_000)],
        &[truncate("a", 8192), truncate("a", 24_000), sync("a"), truncate("b", 0), truncate("b", 30_000), sync("b")],
    ),
    (
        "104",
        "two files got names in a directory that could not be emptied then",
        &[mkdir("d"), create("d/a"), create("d/b")],
        &[link("d/a", "d/c"), link("d/b", "d/e"), sync("d/b")],
    ),
    (
        "106",
        "a name went, the file was made durable by its other one, and the first was there still",
        &[mkdir("d"), create("d/a"), link("d/a", "d/b")],
        &[unlink("d/b"), sync("d/a")],
    ),
    (
        "107",
        "the same with names in different directories",
        &[mkdir("d"), create("a"), link("a", "d/b"), link("a", "d/c")],
        &[unlink("d/c"), sync("a")],
    ),
    (
        "177",
        "holes that were made one after the other were not all there",
        &[create("a"), write("a", 0, 16_384)],
        &[
            punch("a", 4096, 8192),
            write("a", 8192, 4096),
            sync("a"),
            punch("a", 0, 4096),
            punch("a", 2000, 9000),
            sync("a"),
        ],
    ),
    (
        "321",
        "a directory was made durable without the new one in it, or the one moved there",
        &[mkdir("d")],
        &[mkdir("d/e"), create("d/e/a"), sync("d/e"), sync("d"), rename("d/e", "f"), sync("f"), sync("")],
    ),
    (
        "322",
        "a file was made durable by its new name, and had the old one or nothing in it",
        &[create("a")],
        &[write("a", 0, 5000), rename("a", "b"), sync("b")],
    ),
    (
        "325",
        "of two ranges that were written only one was durable",
        &[create("a"), write("a", 0, 65_536)],
        &[write("a", 0, 4096), write("a", 40_000, 5000), sync("a")],
    ),
    (
        "335",
        "a file moved away from a directory, which was made durable for another one, and was in neither",
        &[mkdir("d"), mkdir("d/e"), create("d/e/a"), mkdir("f")],
        &[rename("d/e/a", "f/a"), create("d/b"), sync("d")],
    ),
    (
        "336",
        "a name went, a stranger moved, a file was made durable, and the stranger was gone",
        &[mkdir("d"), mkdir("e"), mkdir("f"), create("d/a"), link("d/a", "e/l"), create("e/b")],
        &[unlink("e/l"), rename("e/b", "f/b"), sync("d/a")],
    ),
    (
        "341",
        "a directory moved, a new one took its name and was made durable, and the files of the first were lost",
        &[mkdir("d"), mkdir("d/x"), create("d/x/a"), write("d/x/a", 0, 4096), create("d/x/b")],
        &[rename("d/x", "d/y"), mkdir("d/x"), sync("d/x")],
    ),
    (
        "342",
        "a file moved, a new one took its name and was made durable, and the first was lost",
        &[mkdir("d"), create("d/a"), write("d/a", 0, 16_384)],
        &[rename("d/a", "d/b"), create("d/a"), write("d/a", 0, 4096), sync("d/a")],
    ),
    (
        "343",
        "a file moved to another directory, which got a further name of a second file too; then that one was made durable",
        &[mkdir("x"), create("x/a"), create("x/b"), mkdir("y"), write("x/a", 0, 4096)],
        &[link("x/a", "x/l"), rename("x/b", "y/b"), mkdir("y/e"), sync("x/a")],
    ),
    (
        "348 690",
        "a symbolic link in a directory that was made durable was empty",
        &[mkdir("d")],
        &[
            sync("d"),
            symlink("d/l", "a/target"),
            rename("d/l", "d/m"),
            sync("d"),
            mkdir("d/e"),
            symlink("d/e/l", "../a"),
            sync("d/e"),
        ],
    ),
    (
        "376",
        "a renamed file was lost when another in its directory was made durable",
        &[mkdir("d"), create("d/a"), write("d/a", 0, 4096)],
        &[sync("d/a"), rename("d/a", "d/b"), create("d/c"), sync("d/c")],
    ),
    (
        "479",
        "a pipe or link was renamed and got its old name as a further one; replay failed",
        &[mkdir("d"), fifo("d/p"), symlink("d/l", "a"), create("d/a")],
        &[rename("d/p", "d/q"), link("d/q", "d/p"), rename("d/l", "d/m"), link("d/m", "d/l"), sync("d/a")],
    ),
    (
        "480",
        "a name went and was given to a new file, which was made durable; replay failed",
        &[mkdir("d"), create("d/a"), link("d/a", "d/b")],
        &[unlink("d/b"), create("d/b"), sync("d/b")],
    ),
    (
        "481",
        "after replay no new file could be made: numbers were given again",
        &[],
        &[create("a"), sync("a"), create("b")],
    ),
    (
        "489",
        "extended attributes were lost when the file was made durable again after a commit",
        &[create("a")],
        &[set_xattr("a", "user.one"), set_xattr("a", "user.two"), sync("a"), COMMIT, write("a", 0, 20_000), sync("a")],
    ),
    (
        "498",
        "a durable file got a name among new directories, and the topmost, made durable, was gone",
        &[],
        &[mkdir("d"), mkdir("e"), mkdir("d/c"), create("e/a"), sync("e/a"), link("e/a", "d/c/a"), sync("d")],
    ),
    (
        "502",
        "of two names one was renamed, the other took its place, and a new file that one's; replay failed",
        &[mkdir("d"), create("d/a"), link("d/a", "d/b")],
        &[rename("d/a", "d/c"), rename("d/b", "d/a"), create("d/b"), sync("d/b")],
    ),
    (
        "509",
        "a file that lost its last name while it was open was kept by the log",
        &[create("a"), write("a", 0, 65_536)],
        &[open("a"), write("a", 4096, 100), sync("a"), unlink("a"), create("b"), sync("b")],
    ),
    (
        "510",
        "a file moved to a directory that then replaced its old one, and was in both",
        &[mkdir("x"), mkdir("y"), create("y/a"), write("y/a", 0, 4096)],
        &[rename("y/a", "x/a"), rename("x", "y"), sync("y/a")],
    ),
    (
        "526",
        "two files were renamed, one got the other's name as a further one, and a new file the first's",
        &[mkdir("d"), create("d/a"), write("d/a", 0, 3), create("d/b"), write("d/b", 0, 5)],
        &[
            rename("d/a", "d/c"),
            rename("d/b", "d/e"),
            link("d/c", "d/b"),
            create("d/a"),
            write("d/a", 0, 4),
            sync("d/a"),
        ],
    ),
    (
        "527",
        "the same where one of them was removed",
        &[mkdir("d"), create("d/a"), write("d/a", 0, 3), create("d/b"), write("d/b", 0, 5)],
        &[rename("d/a", "d/c"), unlink("d/b"), link("d/c", "d/b"), create("d/a"), write("d/a", 0, 4), sync("d/a")],
    ),
    (
        "527",
        "the same with names that change places by way of a third",
        &[mkdir("d"), create("d/z"), write("d/z", 0, 3), link("d/z", "d/l"), create("d/a"), write("d/a", 0, 5)],
        &[
            rename("d/a", "d/t"),
            rename("d/l", "d/a"),
            rename("d/t", "d/l"),
            rename("d/z", "d/y"),
            create("d/z"),
            sync("d/z"),
        ],
    ),
    (
        "534",
        "a file was cut and renamed, and had the old length or name",
        &[create("a"), write("a", 0, 8000)],
        &[sync("a"), truncate("a", 3000), rename("a", "b"), sync("b")],
    ),
    (
        "535",
        "permission bits were not made durable",
        &[create("a"), mkdir("d")],
        &[chmod("a", 0o600), sync("a"), chmod("d", 0o700), sync("d"), chmod("a", 0o4755), sync("a")],
    ),
    (
        "536",
        "behind the old end of a file that was written beyond it were the bytes of another",
        &[create("a"), write("a", 0, 3000), create("b"), write("b", 0, 12_000)],
        &[unlink("b"), write("a", 8192, 4096), sync("a"), truncate("a", 20_000), write("a", 30_000, 1), sync("a")],
    ),
    (
        "547",
        "of many changes of all kinds something was lost",
        &[create("a"), write("a", 0, 6000), set_xattr("a", "user.one")],
        &[
            chmod("a", 0o640),
            write("a", 3000, 6000),
            remove_xattr("a", "user.one"),
            link("a", "b"),
            truncate("a", 7000),
            sync("a"),
        ],
    ),
    (
        "552",
        "a file was written and renamed, and what was written was lost",
        &[create("a")],
        &[write("a", 0, 65_536), rename("a", "b"), sync("b")],
    ),
    (
        "588",
        "a file that shares blocks with another was written over and made durable, and could not be read",
        &[create("a"), write("a", 0, 32_768), Step::Snapshot("m", "1"), Step::Clone("m@1", "c")],
        &[write("a", 0, 8192), sync("a"), write("a", 8192, 8192).of("c"), sync("a").of("c"), Step::Rewind("m", "m@1")],
    ),
    (
        "640",
        "a file moved away from a directory that had been durable, a stranger was made durable, and the file was gone",
        &[mkdir("d"), mkdir("e"), create("d/a"), create("b")],
        &[sync("d"), rename("d/a", "e/a"), write("b", 0, 10), sync("b")],
    ),
    (
        "695",
        "a hole beside another was not made durable",
        &[create("a"), write("a", 0, 16_384)],
        &[punch("a", 8192, 4096), sync("a"), COMMIT, punch("a", 4096, 4096), sync("a")],
    ),
    (
        "length",
        "bytes that made a file longer are a hole when it is made durable, and it had the old length",
        &[create("a"), write("a", 0, 5000)],
        &[
            write("a", 8192, 4096),
            punch("a", 8192, 4096),
            sync("a"),
            write("a", 20_000, 10),
            punch("a", 20_000, 10),
            sync("a"),
        ],
    ),
    (
        "POSIX",
        "a name is renamed to another of the same file, which does nothing",
        &[create("a"), link("a", "b"), write("a", 0, 3000)],
        &[rename("a", "b"), sync("a"), unlink("b"), sync("a")],
    ),
    (
        "editors",
        "a file is written anew beside the old one, made durable, and renamed over it",
        &[create("a"), write("a", 0, 9000)],
        &[
            create("t"),
            write("t", 0, 5000),
            rename("t", "a"),
            create("t"),
            write_through("t", 0, 100),
            rename("t", "a"),
        ],
    ),
    (
        "databases",
        "a log is appended to and made durable, then pages are written over, and the log is cut",
        &[create("a"), write("a", 0, 32_768), create("l")],
        &[write("l", 0, 300), sync("l"), write("a", 8192, 4096), write("a", 24_576, 4096), sync("a"), truncate("l", 0)],
    ),
    (
        "mailboxes",
        "a message is written, gets its name by a link, and loses the temporary one",
        &[mkdir("new"), mkdir("tmp")],
        &[
            create("tmp/1"),
            write("tmp/1", 0, 5000),
            sync("tmp/1"),
            link("tmp/1", "new/1"),
            unlink("tmp/1"),
            rmdir("tmp"),
            sync("new"),
        ],
    ),
];

/// As on a local file system, where only a sync waits.
fn unwaited(program: &[Step]) -> Vec<Step> {
    program.iter().map(|step| step.logged()).collect()
}

fn explore(case: &Case) -> Result<Figures, String> {
    let (numbers, lost, before, program) = case;
    let (base, mut figures) = (Base::new(before), Figures::default());
    let effort = Effort { subsets: 2, recoveries: 40, other_slots: 8, uses: 1, torn: 16, all_torn: false };
    for program in [program.to_vec(), unwaited(program)] {
        let explored = Run::watched_from(&base, &program, 0).and_then(|run| explore_run(&run, 1, &effort));
        figures += explored.map_err(|problem| format!("{numbers} ({lost}): {program:?}: {problem}"))?;
    }
    Ok(figures)
}

#[test]
fn what_others_lost_is_there() {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = |worker: usize| -> Result<Figures, String> {
        let mut figures = Figures::default();
        for case in CASES.iter().skip(worker).step_by(workers) {
            figures += explore(case)?;
        }
        Ok(figures)
    };
    let mut figures = Figures::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker))).collect();
        for worker in running {
            figures += worker.join().expect("a worker does not panic").unwrap_or_else(|problem| panic!("{problem}"));
        }
    });
    println!("{figures:?}");
}
