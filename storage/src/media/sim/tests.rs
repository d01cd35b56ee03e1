use super::*;
use crate::media::tests::agrees_with_model;

const LEN: usize = 3000;

fn byte_at(disk: &Simulator, offset: usize) -> u8 {
    let mut byte = [0];
    disk.open("a").unwrap().read_at(&mut byte, offset as u64).unwrap();
    byte[0]
}

fn bytes_of(disk: &Simulator) -> Vec<u8> {
    let file = disk.open("a").unwrap();
    let mut bytes = vec![0; file.length().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn disk_with(bytes: &[u8]) -> (Simulator, Arc<dyn MediaFile>) {
    let disk = Simulator::new();
    let file = disk.create("a", bytes.len() as u64).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.flush().unwrap();
    disk.sync_directory().unwrap();
    (disk, file)
}

#[test]
fn agrees_with_a_model() {
    for seed in 0..20 {
        let disk = Simulator::new();
        agrees_with_model(&disk, seed, 300);
        assert!(disk.state.lock().files.is_empty(), "files that nothing can reach are dropped");
    }
}

#[test]
fn a_flush_makes_durable_all_that_is_seen() {
    let (disk, file) = disk_with(&[1; LEN]);
    let mut choices = Choices::new(9);
    for round in 0..300 {
        for _ in 0..choices.below(4) {
            let (offset, len) = (choices.below(30_000), choices.below(9000));
            match choices.below(6) {
                0 => file.punch(offset, len).unwrap(),
                1 => file.truncate(offset).unwrap(),
                _ => file.write_at(&vec![round as u8; len as usize], offset).unwrap(),
            }
        }
        file.flush().unwrap();
        assert!(bytes_of(&disk) == bytes_of(&disk.crash(&mut |_| 0)));
    }
}

#[test]
fn what_was_flushed_survives_and_the_rest_is_old_or_new_by_sector() {
    let (disk, file) = disk_with(&[1; LEN]);
    file.write_at(&[2; 2000], 700).unwrap();
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let mut choices = Choices::new(seed);
        let bytes = bytes_of(&disk.crash(&mut |limit| choices.below(limit)));
        assert!(bytes[..700].iter().chain(&bytes[2700..]).all(|byte| *byte == 1));
        let written = &bytes[700..2700];
        for sector in [0..324, 324..836, 836..1348, 1348..1860, 1860..2000] {
            let sector = &written[sector];
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is torn");
        }
        match written.iter().filter(|byte| **byte == 2).count() {
            0 => lost += 1,
            2000 => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 10 && lost > 10 && torn > 10, "{kept} {lost} {torn}");
    file.flush().unwrap();
    assert_eq!(bytes_of(&disk.crash(&mut |_| 0))[700..2700], [2; 2000]);
}

#[test]
fn lengths_and_punches_are_pending_too() {
    let (disk, file) = disk_with(&[1; LEN]);
    file.punch(0, 512).unwrap();
    file.truncate(1000).unwrap();
    assert_eq!(bytes_of(&disk.crash(&mut |_| 0)), [1; LEN]);
    file.flush().unwrap();
    let after = bytes_of(&disk.crash(&mut |_| 0));
    assert_eq!((after.len(), after[511], after[512]), (1000, 0, 1));
}

#[test]
fn names_survive_in_order_once_synced_and_perhaps_before() {
    let disk = Simulator::new();
    disk.create("a", 0).unwrap();
    disk.create("b", 0).unwrap();
    disk.sync_directory().unwrap();
    disk.rename("a", "b").unwrap();
    disk.create("a", 0).unwrap();
    disk.rename("a", "c").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut choices = Choices::new(seed);
        seen.insert(disk.crash(&mut |limit| choices.below(limit)).list().unwrap().join(" "));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a b", "b", "b c"]);
    disk.sync_directory().unwrap();
    assert_eq!(disk.crash(&mut |_| 0).list().unwrap(), ["b", "c"]);
}

#[test]
fn the_fuse_blows_once_and_for_all() {
    let (disk, file) = disk_with(&[1; LEN]);
    let before = disk.operations();
    disk.set_fuse(Some(1));
    file.write_at(&[2], 0).unwrap();
    assert_eq!(file.write_at(&[3], 1).unwrap_err().kind(), ErrorKind::Io);
    assert!(file.flush().is_err() && file.write_at(&[4], 2).is_err() && disk.sync_directory().is_err());
    assert_eq!(disk.operations() - before, 5);
    let all = disk.tear(|len| len);
    assert_eq!(bytes_of(&all)[..3], [2, 3, 1], "the write at which the power went may survive");
    all.open("a").unwrap().flush().unwrap();
    assert_eq!(bytes_of(&disk.tear(|_| 0)), [1; LEN]);
    assert_eq!(disk.duplicate().with_fuse(0).unlink("a").unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_failed_flush_lies_from_then_on() {
    let (disk, file) = disk_with(&[1; LEN]);
    disk.fail_flush(0);
    file.write_at(&[2], 0).unwrap();
    assert!(file.flush().is_err());
    file.write_at(&[3], 1).unwrap();
    file.flush().unwrap();
    assert_eq!((byte_at(&disk, 0), byte_at(&disk, 1)), (2, 3));
    let after = disk.crash(&mut |limit| limit - 1);
    assert_eq!((byte_at(&after, 0), byte_at(&after, 1)), (1, 3));
}

#[test]
fn faults_come_on_cue() {
    let (disk, file) = disk_with(&[1; LEN]);
    disk.fail_read(1);
    assert_eq!(byte_at(&disk, 0), 1);
    assert!(file.read_at(&mut [0], 0).is_err());
    disk.fail_write(0);
    assert!(file.write_at(&[2], 0).is_err());
    disk.remember("a").unwrap();
    file.write_at(&[2; LEN], 0).unwrap();
    disk.corrupt("a", 5, 0x81).unwrap();
    disk.revert("a", 6, 2).unwrap();
    assert_eq!([4, 5, 6, 7, 8].map(|offset| byte_at(&disk, offset)), [2, 0x83, 1, 1, 2]);
}

#[test]
fn a_short_write_stores_a_part_and_fails_once() {
    for kept in [0, 1, 511, 512, 2000] {
        let (disk, file) = disk_with(&[1; LEN]);
        disk.shorten_write(1, kept);
        file.write_at(&[2; 10], 0).unwrap();
        assert_eq!(file.write_at(&[3; 2000], 500).unwrap_err().kind(), ErrorKind::Io);
        let mut expected = [1; LEN];
        expected[..10].fill(2);
        expected[500..500 + kept as usize].fill(3);
        assert_eq!(bytes_of(&disk), expected);
        assert_eq!(bytes_of(&disk.crash(&mut |_| 0)), [1; LEN], "it is pending as any");
        file.flush().unwrap();
        assert_eq!(bytes_of(&disk.crash(&mut |_| 0)), expected);
        file.write_at(&[4; 2000], 500).unwrap();
        assert_eq!(byte_at(&disk, 2499), 4);
    }
}

#[test]
fn each_change_of_names_is_pending_by_itself() {
    let disk = Simulator::new();
    disk.create("a", 0).unwrap();
    disk.create("b", 0).unwrap();
    disk.sync_directory().unwrap();
    disk.unlink("a").unwrap();
    disk.rename("b", "c").unwrap();
    let file = disk.create("d", 10).unwrap();
    file.write_at(&[1; 20], 0).unwrap();
    file.flush().unwrap();
    let (mut names, mut lengths) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for seed in 0..200 {
        let mut choices = Choices::new(seed);
        let after = disk.crash(&mut |limit| choices.below(limit));
        names.insert(after.list().unwrap().join(""));
        lengths.extend(after.open("d").map(|file| file.length().unwrap()));
    }
    let expected = ["ab", "abd", "ac", "acd", "b", "bd", "c", "cd"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected, "any subset of the three survives");
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [20], "a flushed file is whole, if its name is there");
}

#[test]
fn whoever_watches_sees_what_a_fuse_leaves() {
    let act = |disk: &Simulator| -> Result<()> {
        let file = disk.create("b", 100)?;
        file.write_at(&[1; 5000], 10)?;
        file.flush()?;
        disk.rename("b", "c")?;
        file.truncate(3000)?;
        file.punch(0, 4096)?;
        disk.sync_directory()?;
        file.read_at(&mut [0; 7], 3)?;
        disk.unlink("c")
    };
    let (disk, _) = disk_with(&[1; LEN]);
    let seen: Arc<Mutex<Vec<(Operation, Simulator)>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let watched = disk.duplicate();
    watched.watch(Some(Arc::new(move |disk, operation| kept.lock().push((operation.clone(), disk.duplicate())))));
    act(&watched).unwrap();
    let seen = std::mem::take(&mut *seen.lock());
    let told: Vec<_> = seen.iter().map(|(it, _)| (it.kind, it.name.as_str(), it.offset, it.length)).collect();
    use OperationKind::*;
    let expected = [
        (Create, "b", 0, 100),
        (Write, "b", 10, 5000),
        (Flush, "b", 0, 0),
        (Rename, "b", 0, 0),
        (Truncate, "c", 3000, 0),
        (Punch, "c", 0, 4096),
        (SyncDirectory, "", 0, 0),
        (Read, "c", 3, 7),
        (Unlink, "c", 0, 0),
    ];
    assert_eq!(told, expected);
    for (at, (_, then)) in seen.iter().filter(|(operation, _)| operation.counts()).enumerate() {
        let fused = disk.duplicate().with_fuse(at as u64);
        act(&fused).unwrap_err();
        assert!(fused.fingerprint() == then.fingerprint(), "operation {at}");
    }
}

#[test]
fn latency_is_what_a_watcher_counts() {
    let (disk, file) = disk_with(&[1; LEN]);
    let cost = Arc::new(crate::sync::AtomicU64::new(0));
    let counted = Arc::clone(&cost);
    disk.watch(Some(Arc::new(move |_, operation| {
        let micros = if operation.kind == OperationKind::Flush { 200 } else { operation.length.div_ceil(4096) * 10 };
        counted.fetch_add(micros, crate::sync::Ordering::Relaxed);
    })));
    file.write_at(&[2; 5000], 0).unwrap();
    file.flush().unwrap();
    bytes_of(&disk);
    disk.duplicate().open("a").unwrap().flush().unwrap();
    disk.watch(None);
    file.flush().unwrap();
    assert_eq!(cost.load(crate::sync::Ordering::Relaxed), 20 + 200 + 20);
}

#[test]
fn a_fingerprint_tells_all_that_a_crash_could_show() {
    let (disk, file) = disk_with(&[1; LEN]);
    let mut seen = std::collections::BTreeSet::from([disk.fingerprint()]);
    let mut is_new = |disk: &Simulator| seen.insert(disk.fingerprint());
    file.write_at(&[2; 10], 0).unwrap();
    assert!(is_new(&disk));
    file.flush().unwrap();
    assert!(is_new(&disk));
    file.truncate(4096).unwrap();
    assert!(is_new(&disk));
    disk.create("b", 0).unwrap();
    assert!(is_new(&disk) && !is_new(&disk.crash(&mut |_| 0)), "it goes back to what was flushed");
    disk.sync_directory().unwrap();
    assert!(is_new(&disk) && !is_new(&disk.duplicate()));
    let _ = file.read_at(&mut [0], 0);
    disk.fail_flush(0);
    assert!(!is_new(&disk), "faults to come are no content");
    file.flush().unwrap_err();
    assert!(is_new(&disk));
}

#[test]
fn a_full_disk_refuses_and_a_punch_makes_room() {
    let disk = Simulator::new();
    disk.set_capacity(Some(64 << 10));
    let file = disk.create("a", 60 << 10).unwrap();
    assert_eq!(disk.create("b", 8 << 10).err().unwrap().kind(), ErrorKind::NoSpace);
    assert_eq!(disk.list().unwrap(), ["a"]);
    assert_eq!(file.write_at(&[1; 4097], 60 << 10).unwrap_err().kind(), ErrorKind::NoSpace);
    file.punch(0, 8 << 10).unwrap();
    assert_eq!(disk.space().unwrap().free, 12 << 10);
    disk.create("b", 8 << 10).unwrap();
    assert_eq!(file.write_at(&[1; 5000], 0).unwrap_err().kind(), ErrorKind::NoSpace);
    assert_eq!(disk.space().unwrap().free, 4 << 10);
}

#[test]
fn duplicates_go_their_own_ways() {
    let (disk, file) = disk_with(&[1; LEN]);
    file.write_at(&[2], 0).unwrap();
    let other = disk.duplicate();
    file.write_at(&[3], 0).unwrap();
    other.open("a").unwrap().write_at(&[4], 1).unwrap();
    assert_eq!(bytes_of(&disk)[..2], [3, 1]);
    assert_eq!(bytes_of(&other)[..2], [2, 4]);
}
