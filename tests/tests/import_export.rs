//! What import and export keep, report and refuse: a tree goes in and comes out the same, whatever was there before.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cow_storage::error::{Error as EngineError, ErrorKind};
use cow_storage::format::Timestamp;
use cow_storage::fs::FileSystem;
use cow_tests::host_tree;
use cow_tests::model::Model;
use cow_tests::random::Random;
use cow_tests::scratch::{Scratch, is_root};
use cowd::workflows::{Error, ExportOptions, ExportReport, ImportOptions, ImportReport, Progress, export, import};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

fn take_in(source: &Path, target: &dyn FileSystem) -> Result<ImportReport, Error> {
    import(source, target, &ImportOptions::default(), &|_: &Progress| true)
}

fn write_out(source: &dyn FileSystem, destination: &Path) -> Result<ExportReport, Error> {
    export(source, destination, &ExportOptions::default(), &|_: &Progress| true)
}

/// Imports `from`, exports it to `to`, and fails if that is not the same.
fn assert_round_trip(from: &Path, model: &Model, to: &Path) -> ImportReport {
    let before = describe(from);
    let report = take_in(from, model).unwrap();
    assert_eq!(report.changed.count, 0, "{:?}", report.changed);
    let exported = write_out(&model.snapshot(), to).unwrap();
    assert_eq!(exported.copied.names(), report.copied.names());
    assert_eq!(report.copied.names() + 1, before.len() as u64);
    host_tree::assert_same(&before, &describe(to));
    report
}

/// Whether files of few blocks are sparse depends on the blocks' size.
fn describe(root: &Path) -> BTreeMap<PathBuf, host_tree::Entry> {
    let mut tree = host_tree::describe(root);
    tree.values_mut().for_each(|entry| entry.sparse &= entry.content.0 > 1 << 20);
    tree
}

#[test]
fn a_tree_with_all_that_is_rare_comes_out_as_it_went_in() {
    let scratch = Scratch::new("odd");
    let (from, model) = (scratch.path().join("from"), Model::default());
    fs::create_dir(&from).unwrap();
    host_tree::make(&from, 300, 70 << 20, 3);
    make_rare(&from);
    let first = assert_round_trip(&from, &model, &scratch.path().join("to"));
    assert!(first.copied.bytes > 70 << 20);
    let has_list = |entry: &host_tree::Entry| entry.attributes.keys().any(|name| name.starts_with(b"system."));
    assert_eq!(first.access_lists, describe(&from).values().filter(|entry| has_list(entry)).count() as u64);
    let inodes = model.inodes();
    let changes = || inodes.iter().map(|inode| model.attributes(*inode).unwrap().change).collect::<Vec<_>>();
    let before = changes();
    let again = assert_round_trip(&from, &model, &scratch.path().join("again"));
    assert_eq!((again.removed, again.copied, model.inodes()), (0, first.copied, inodes.clone()));
    assert_eq!(before, changes(), "what is the same is not changed");
    if is_root() {
        // A new owner alone would take the set-user-id bit away.
        lchown(from.join("setuid"), Some(7), Some(7)).unwrap();
        fs::set_permissions(from.join("setuid"), Permissions::from_mode(0o6755)).unwrap();
        assert_round_trip(&from, &model, &scratch.path().join("owner"));
    }
}

/// Makes what `host_tree::make` does not: long and odd names, special bits, nodes, access lists, old times.
fn make_rare(root: &Path) {
    let deep = root.join("deep");
    fs::create_dir_all((0..40).fold(deep.clone(), |path, _| path.join("d".repeat(100)))).unwrap();
    fs::write(deep.join("n".repeat(255)), b"long").unwrap();
    fs::write(deep.join(std::ffi::OsStr::from_bytes(b"\xff\xfe\n\x01")), b"no text").unwrap();
    fs::hard_link(deep.join("n".repeat(255)), root.join("zz-far-link")).unwrap();
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2755), ("none", 0)] {
        fs::write(root.join(name), name).unwrap();
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(root.join("sticky")).unwrap();
    fs::set_permissions(root.join("sticky"), Permissions::from_mode(0o3777)).unwrap();
    symlink("x".repeat(4000), root.join("long-link")).unwrap();
    fs::hard_link(root.join("long-link"), root.join("long-link-2")).unwrap();
    let node =
        |name: &str, kind, device| mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    node("fifo", FileType::Fifo, 0);
    node("socket", FileType::Socket, 0);
    // Read and write for the owner, read for user 1234, a mask, nothing for others.
    let entry =
        |tag: u16, bits: u16, id: u32| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
    let list = [(1, 6, u32::MAX), (2, 4, 1234), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
    let list = list.map(|(tag, bits, id)| entry(tag, bits, id)).concat();
    let list = [&2u32.to_le_bytes()[..], &list].concat();
    let set = |name: &str, key: &str, value: &[u8]| {
        // Some file systems have none: then there is nothing to compare either.
        let _ = lsetxattr(root.join(name), key, value, XattrFlags::empty());
    };
    set("setgid", "system.posix_acl_access", &list);
    set("sticky", "system.posix_acl_default", &list);
    set("sticky", "user.empty", b"");
    set("setuid", "user.\u{fc}", &[0; 900]);
    if is_root() {
        node("block", FileType::BlockDevice, makedev(259, 1_000_000));
        node("character", FileType::CharacterDevice, makedev(4095, 7));
        set("long-link", "trusted.on-a-link", b"x");
        lchown(root.join("fifo"), Some(12_345), Some(4_000_000_000)).unwrap();
        lchown(root.join("setuid"), Some(1), Some(2)).unwrap();
        fs::set_permissions(root.join("setuid"), Permissions::from_mode(0o6755)).unwrap();
        // CAP_NET_RAW, permitted and effective: revision 2 and its bits.
        set("setuid", "security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}

#[test]
fn a_sparse_terabyte_takes_no_longer_than_its_data() {
    let scratch = Scratch::new("terabyte");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    let file = File::create(from.join("huge")).unwrap();
    file.set_len(1 << 40).unwrap();
    for (text, offset) in [(&b"near"[..], 4096), (&b"middle"[..], (500 << 30) + 5), (&b"end"[..], (1 << 40) - 3)] {
        file.write_all_at(text, offset).unwrap();
    }
    let model = Model::default();
    let report = take_in(&from, &model).unwrap();
    assert!(report.copied.bytes < 1 << 20, "{report:?}");
    write_out(&model, &to).unwrap();
    let copy = File::open(to.join("huge")).unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!(metadata.len(), 1 << 40);
    assert!(metadata.blocks() * 512 < 1 << 20);
    let mut bytes = [0; 8];
    copy.read_exact_at(&mut bytes, (500 << 30) + 4).unwrap();
    assert_eq!(&bytes, b"\0middle\0");
    copy.read_exact_at(&mut bytes[..3], (1 << 40) - 3).unwrap();
    assert_eq!(&bytes[..3], b"end");
}

#[test]
fn an_import_over_anything_is_equal_to_the_source() {
    for seed in 0..25 {
        let scratch = Scratch::new("over");
        let (model, mut random) = (Model::default(), Random::new(seed));
        for round in 0..3 {
            let from = scratch.path().join(format!("from{round}"));
            fs::create_dir(&from).unwrap();
            make_random(&from, &mut random);
            assert_round_trip(&from, &model, &scratch.path().join(format!("to{round}")));
        }
    }
}

/// A small tree of few names, so that the next one has other things under the same names.
fn make_random(root: &Path, random: &mut Random) {
    let mut folders = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    for _ in 0..random.below(30) {
        let folder = random.pick(&folders).clone();
        let path = folder.join(random.pick(&["a", "b", "c", "d"]));
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match random.below(8) {
            0 | 1 => {
                fs::create_dir(&path).unwrap();
                folders.push(path);
                continue;
            }
            2 => symlink(random.pick(&["a", "b"]), &path).unwrap(),
            3 => mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap(),
            4 | 5 if !files.is_empty() => fs::hard_link(random.pick(&files), &path).unwrap(),
            _ => {
                let file = File::create(&path).unwrap();
                file.set_len(random.below(400_000)).unwrap();
                for _ in 0..random.below(4) {
                    let length = random.below(40_000) as usize;
                    file.write_all_at(&random.bytes(length), random.below(400_000)).unwrap();
                }
                file.set_permissions(Permissions::from_mode(*random.pick(&[0o600, 0o4755, 0o444]))).unwrap();
                let _ = lsetxattr(&path, *random.pick(&["user.a", "user.b"]), b"value", XattrFlags::empty());
                if is_root() {
                    let mode = file.metadata().unwrap().permissions();
                    lchown(&path, Some(random.below(3) as u32), None).unwrap();
                    file.set_permissions(mode).unwrap();
                }
            }
        }
        files.push(path);
    }
}

#[test]
fn what_changes_while_it_is_read_is_told() {
    let scratch = Scratch::new("changing");
    for name in ["calm", "grows", "vanishes"] {
        fs::write(scratch.path().join(name), [7; 100_000]).unwrap();
    }
    // Long ago, as two changes within a tick of the clock have the same time.
    File::open(scratch.path()).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let (grows, vanishes) = (scratch.path().join("grows"), scratch.path().join("vanishes"));
    let model = Model::default();
    model.before_each(Some(Arc::new(move |call| {
        if call == "create" {
            let _ = fs::remove_file(&vanishes);
        }
        if call == "write" {
            // By length, for the same reason.
            let mut file = fs::File::options().append(true).open(&grows).unwrap();
            file.write_all(&[8; 1000]).unwrap();
        }
        Ok(())
    })));
    let report = take_in(scratch.path(), &model).unwrap();
    assert_eq!(report.warnings().len(), 3);
    // The directory changed as well, as a name left it.
    assert_eq!(report.changed.count, 3, "{:?}", report.changed);
    for path in [&b""[..], b"grows", b"vanishes"] {
        assert!(report.changed.first.iter().any(|changed| changed == path), "{path:?}");
    }
    model.before_each(None);
    assert_eq!(report.copied.names(), 2);
}

#[test]
fn mounts_are_entered_only_when_asked() {
    let scratch = Scratch::new("mounts");
    let (from, mount) = (scratch.path().join("from"), scratch.path().join("from/mount"));
    fs::create_dir_all(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount");
        return;
    }
    fs::write(mount.join("inside"), b"x").unwrap();
    let model = Model::default();
    let crossing = ImportOptions { cross_mounts: true, ..ImportOptions::default() };
    let with = import(&from, &model, &crossing, &|_| true);
    let without = take_in(&from, &model);
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    assert_eq!(with.unwrap().copied.names(), 2);
    let without = without.unwrap();
    assert_eq!((without.copied.names(), without.removed, without.mounts.first), (1, 1, vec![b"mount".to_vec()]));
}

#[test]
fn a_path_that_fails_costs_only_itself_unless_all_would_fail() {
    let scratch = Scratch::new("failing");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    for number in 0..200 {
        fs::write(from.join(format!("file{number:03}")), vec![number as u8; 50_000]).unwrap();
    }
    let model = Model::default();
    let one_thread = ImportOptions { threads: 1, ..ImportOptions::default() };
    fail_nth(&model, "write", 150, ErrorKind::Io);
    let error = import(&from, &model, &one_thread, &|_| true).unwrap_err();
    let Error::Incomplete { problems, .. } = &error else { panic!("{error:?}") };
    assert_eq!((problems.count, error.kind()), (1, Some(ErrorKind::Io)));
    assert!(error.to_string().starts_with("1 path was not copied: file149: "), "{error}");

    fail_nth(&model, "read", 10, ErrorKind::Corrupt);
    let error = write_out(&model, &to).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::Corrupt));
    assert_eq!(fs::read_dir(&to).unwrap().count(), 200, "the others are there");

    let full = Model::new(16 << 10, Some(2 << 20), Timestamp::default());
    let error = take_in(&from, &full).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
    assert_eq!(error.kind(), Some(ErrorKind::Quota));

    let model = Model::default();
    fail_nth(&model, "write", 3, ErrorKind::Io);
    let stop = ImportOptions { stop_at_first: true, ..one_thread };
    let error = import(&from, &model, &stop, &|_| true).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error:?}");
}

fn fail_nth(model: &Model, failing: &'static str, nth: u64, kind: ErrorKind) {
    let calls = AtomicU64::new(0);
    model.before_each(Some(Arc::new(move |call| {
        let fails = call == failing && calls.fetch_add(1, Ordering::Relaxed) + 1 == nth;
        if fails { Err(EngineError::new(kind, "refused on purpose")) } else { Ok(()) }
    })));
}

#[test]
fn a_cancelled_export_leaves_nothing_or_says_what() {
    let scratch = Scratch::new("cancelled");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    fs::create_dir(&from).unwrap();
    host_tree::make(&from, 500, 80 << 20, 9);
    let model = Model::default();
    take_in(&from, &model).unwrap();
    let slow = |model: &Model| {
        model.before_each(Some(Arc::new(|call| {
            if call == "read" {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Ok(())
        })));
    };
    slow(&model);
    let half_way = |progress: &Progress| progress.bytes_done < 10 << 20;
    let error = export(&model, &to, &ExportOptions::default(), &half_way).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
    assert!(error.to_string().ends_with("was removed again"), "{error}");
    assert!(!to.exists());

    let keep = ExportOptions { remove_when_stopped: false, ..ExportOptions::default() };
    let error = export(&model, &to, &keep, &half_way).unwrap_err();
    assert!(error.to_string().contains("are left in"), "{error}");
    assert!(fs::read_dir(&to).unwrap().count() > 0);

    fs::remove_dir_all(&to).unwrap();
    fs::create_dir(&to).unwrap();
    let error = export(&model, &to, &ExportOptions::default(), &half_way).unwrap_err();
    assert!(error.to_string().ends_with("is empty again"), "{error}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
    let error = import(&from, &Model::default(), &ImportOptions::default(), &|_| false).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
}

#[test]
fn progress_reaches_the_totals() {
    let scratch = Scratch::new("progress");
    host_tree::make(scratch.path(), 100, 5 << 20, 2);
    let last = std::cell::Cell::new(Progress::default());
    let report = import(scratch.path(), &Model::default(), &ImportOptions::default(), &|now| {
        let before = last.replace(*now);
        assert!(before.bytes_done <= now.bytes_done && before.files_done <= now.files_done);
        true
    });
    let (last, report) = (last.get(), report.unwrap());
    assert_eq!((last.files_done, last.files_total), (report.copied.names(), report.copied.names()));
    assert_eq!((last.bytes_done, last.bytes_total), (report.copied.bytes, report.copied.bytes));
}

#[test]
fn an_import_stays_in_its_source() {
    let scratch = Scratch::new("stay");
    let (from, outside) = (scratch.path().join("from"), scratch.path().join("outside"));
    fs::create_dir_all(from.join("d")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"x").unwrap();
    let (folder, target) = (from.join("d"), outside.clone());
    let model = Model::default();
    model.before_each(Some(Arc::new(move |call| {
        if call == "create" && fs::remove_dir(&folder).is_ok() {
            symlink(&target, &folder).unwrap();
        }
        Ok(())
    })));
    assert!(matches!(take_in(&from, &model), Err(Error::Incomplete { .. })));
    assert!(from.join("d").is_symlink(), "the trap was set");
    assert_eq!(model.inodes().len(), 2, "the root and the directory");
}

#[test]
fn an_export_goes_only_where_it_was_sent() {
    let scratch = Scratch::new("escape");
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    let outside = scratch.path().join("outside");
    fs::create_dir_all(from.join("d/e")).unwrap();
    fs::create_dir_all(outside.join("e")).unwrap();
    for number in 0..20 {
        fs::write(from.join(format!("d/e/file{number}")), b"x").unwrap();
        fs::write(outside.join(format!("e/file{number}")), b"not for export").unwrap();
    }
    fs::write(outside.join("e/also"), b"not for export").unwrap();
    fs::hard_link(from.join("d/e/file0"), from.join("d/e/also")).unwrap();
    let model = Model::default();
    take_in(&from, &model).unwrap();

    let not_empty = write_out(&model, &from).unwrap_err();
    assert_eq!(not_empty.kind(), Some(ErrorKind::NotEmpty));
    symlink(&outside, scratch.path().join("link")).unwrap();
    assert!(matches!(write_out(&model, &scratch.path().join("link")), Err(Error::Refused(_))));
    assert!(matches!(write_out(&model, &scratch.path().join("no/parent")), Err(Error::Refused(_))));

    // Somebody puts a symbolic link where a directory was just made.
    let (folder, moved, target) = (to.join("d"), to.join("moved"), outside.clone());
    model.before_each(Some(Arc::new(move |_| {
        if folder.join("e").is_dir() && fs::rename(&folder, &moved).is_ok() {
            symlink(&target, &folder).unwrap();
        }
        Ok(())
    })));
    let _ = write_out(&model, &to);
    assert!(to.join("d").is_symlink(), "the trap was set");
    let names = || fs::read_dir(outside.join("e")).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    assert_eq!((names().count(), fs::read_dir(&outside).unwrap().count()), (21, 1));
    assert!(names().all(|metadata| metadata.nlink() == 1), "a link leads from the export to what is outside");
}
