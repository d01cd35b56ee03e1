//! Scrubbing from without: real files that rot under a running daemon, restarts and crashes in the middle of a pass.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use cow_api::v1::{Scrub, ScrubState, Status};
use cow_tests::daemon::{Daemon, Setup};
use cow_tests::nfs_client::{Client, Failure, Set, Stable};
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;

use crate::{done, envelope, json, run};

const PATIENCE: Duration = Duration::from_secs(60);
/// NFS's word for what cannot be read.
const IO: u32 = 5;
const FILES: u64 = 4;
const FILE_LEN: usize = 768 << 10;
/// What is damaged lies here.
const HIT_AT: usize = 512 << 10;
const BLOCK_LEN: usize = 16 << 10;

fn setup(name: &str, maintenance: &str) -> (Scratch, Setup) {
    let scratch = Scratch::new(name);
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    setup.config += &format!("[maintenance]\n{maintenance}\n");
    (scratch, setup)
}

fn content(file: u64) -> Vec<u8> {
    Random::new(file + 1).bytes(FILE_LEN)
}

/// Makes `prod` with files that do not compress, and has them stored where they stay.
fn fill(daemon: &Daemon) {
    done(daemon, "create prod -o compression=off");
    let mut client = Client::connect(daemon.nfs()).unwrap();
    let root = client.mount("/prod").unwrap();
    for number in 0..FILES {
        let file = client.create(&root, format!("f{number}").as_bytes(), false, &Set::default()).unwrap();
        for (at, piece) in content(number).chunks(128 << 10).enumerate() {
            client.write(&file, (at * (128 << 10)) as u64, piece, Stable::No).unwrap();
        }
        client.commit(&file).unwrap();
    }
    done(daemon, "snapshot prod@s");
}

/// Flips a bit of a file's content where the disk has it.
fn flip(pool: &Path, file: u64) {
    let wanted = &content(file)[HIT_AT + 100..HIT_AT + 164];
    for entry in fs::read_dir(pool).unwrap().map(Result::unwrap) {
        if !entry.file_name().to_str().unwrap().starts_with("data-") {
            continue;
        }
        let bytes = fs::read(entry.path()).unwrap();
        let unflipped = |window: &[u8]| window[1..] == wanted[1..];
        if let Some(at) = bytes.windows(wanted.len()).position(unflipped) {
            let segment = File::options().write(true).open(entry.path()).unwrap();
            segment.write_all_at(&[bytes[at] ^ 4], at as u64).unwrap();
            segment.sync_all().unwrap();
            return;
        }
    }
    panic!("f{file} is not in the pool's files");
}

fn status(daemon: &Daemon) -> Scrub {
    let ended = run(&daemon.socket(), "--json scrub status");
    let (kind, data) = envelope(&ended.stdout);
    assert_eq!(kind, "scrub");
    let scrub: Scrub = serde_json::from_value(data).unwrap();
    assert_eq!(ended.code, if scrub.progress.found > 0 { 10 } else { 0 }, "{scrub:?}");
    scrub
}

fn wait_until(daemon: &Daemon, reached: impl Fn(&Scrub) -> bool) -> Scrub {
    let until = Instant::now() + PATIENCE;
    loop {
        let scrub = status(daemon);
        if reached(&scrub) {
            return scrub;
        }
        assert!(Instant::now() < until, "it does not come to that: {scrub:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Files that are hit, by what the last pass found.
fn hit(scrub: &Scrub) -> Vec<(String, u64)> {
    let found = |damage: &cow_api::v1::Damage| {
        assert_eq!(damage.dataset.as_deref(), Some("prod"), "{damage:?}");
        (damage.path.clone().unwrap(), damage.offset.unwrap())
    };
    scrub.damage.iter().map(found).collect()
}

/// What can be read of each file but the block that may be hit, and whether that can.
fn read(daemon: &Daemon) -> Vec<bool> {
    let mut client = Client::connect(daemon.nfs()).unwrap();
    let root = client.mount("/prod").unwrap();
    let of_file = |number: u64| {
        let file = client.walk(&root, &format!("f{number}")).unwrap();
        let expected = content(number);
        let mut is_whole = true;
        for at in (0..FILE_LEN).step_by(BLOCK_LEN) {
            match client.read(&file, at as u64, BLOCK_LEN as u32) {
                Ok((bytes, _)) => assert!(bytes == expected[at..at + BLOCK_LEN], "f{number} at {at} is wrong"),
                Err(Failure::Status(IO)) if at == HIT_AT => is_whole = false,
                other => panic!("f{number} at {at}: {other:?}"),
            }
        }
        is_whole
    };
    (0..FILES).map(of_file).collect()
}

#[test]
fn a_scrub_goes_on_over_crashes_and_names_what_rots_under_it() {
    let (scratch, setup) = setup("cli-scrub", "scrub_rate = \"1 MiB\"");
    let pool = scratch.path().join("pool");
    let daemon = setup.start();
    fill(&daemon);
    assert_eq!(done(&daemon, "scrub status"), "Scrub:   never\n");
    assert!(done(&daemon, "status").contains("\nScrub:   never\n"));
    assert_eq!(run(&daemon.socket(), "scrub pause").code, 5);

    assert!(done(&daemon, "scrub start").starts_with("running, begun 20"));
    assert_eq!(run(&daemon.socket(), "scrub start").code, 5);
    let first = wait_until(&daemon, |scrub| scrub.progress.bytes_done > 0).progress;
    let later = wait_until(&daemon, |scrub| scrub.progress.bytes_done > FILE_LEN as u64 * 3 / 2).progress;
    assert!(later.percent > first.percent && later.bytes_total as usize > FILES as usize * FILE_LEN, "{later:?}");
    assert!(later.rate > 0.0 && later.rate < f64::from(3 << 20) && later.eta_seconds.is_some(), "{later:?}");
    let (kind, paused) = json(&daemon, "scrub pause");
    let paused: Scrub = serde_json::from_value(paused).unwrap();
    assert_eq!((kind.as_str(), paused.progress.state), ("scrub", ScrubState::Paused));

    daemon.crash();
    let daemon = setup.start();
    let found = status(&daemon).progress;
    assert_eq!((found.state, found.begun), (ScrubState::Paused, first.begun));
    assert!(found.bytes_done >= paused.progress.bytes_done && found.percent < 100.0, "{found:?} {paused:?}");
    assert!(done(&daemon, "status").contains("\nScrub:   paused 20"));

    // One file rots before the place, and one behind it.
    flip(&pool, 0);
    flip(&pool, FILES - 1);
    let ended = run(&daemon.socket(), "scrub start --wait");
    assert_eq!((ended.code, ended.stderr.as_str()), (10, ""), "{}", ended.stdout);
    let line = format!("prod /f{} at byte {HIT_AT}: ", FILES - 1);
    assert!(
        ended.stdout.contains(&line) && ended.stdout.contains("\nDamage:  1 thing is damaged\n"),
        "{}",
        ended.stdout
    );
    let scrub = status(&daemon);
    assert_eq!((scrub.progress.begun, hit(&scrub)), (first.begun, vec![("/f3".to_owned(), HIT_AT as u64)]));
    assert_eq!(read(&daemon), [false, true, true, false]);

    // What was found is there after a restart, and until the next one begins.
    assert!(daemon.stop().0.success());
    let daemon = setup.start();
    let kept = status(&daemon);
    assert_eq!((kept.progress.state, &kept.damage), (ScrubState::Finished, &scrub.damage));
    let (_, shown) = json(&daemon, "status");
    let shown: Status = serde_json::from_value(shown).unwrap();
    assert_eq!((shown.scrub.found, shown.scrub.percent), (1, 100.0));
    assert_eq!(run(&daemon.socket(), "scrub start --wait").code, 10);
    let mut both = hit(&status(&daemon));
    both.sort();
    assert_eq!(both, [("/f0".to_owned(), HIT_AT as u64), ("/f3".to_owned(), HIT_AT as u64)]);
    let metrics = daemon.ask("GET", "/metrics", "").text();
    for line in ["cow_scrub_finished_damage 2", "cow_scrubs_total 1", "cow_damage_found_total 2"] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} in {metrics}");
    }
    assert_eq!(run(&daemon.socket(), "verify --dataset prod").code, 10);

    flip(&pool, 0);
    flip(&pool, FILES - 1);
    done(&daemon, "scrub start");
    assert!(done(&daemon, "scrub cancel").starts_with("cancelled 20"));
    assert_eq!(status(&daemon).progress.state, ScrubState::Cancelled);
    let ended = done(&daemon, "scrub start --anew --wait");
    assert!(ended.contains("\nDamage:  none\n"), "{ended}");
    assert!(done(&daemon, "verify --dataset prod").starts_with("All is well"));
    assert_eq!(read(&daemon), [true; 4]);
}

#[test]
fn scrubs_come_by_themselves_when_the_configuration_says_so() {
    let (_scratch, setup) = setup("cli-scrub-schedule", "scrub_interval = \"2s\"");
    let daemon = setup.start();
    fill(&daemon);
    let first = wait_until(&daemon, |scrub| scrub.progress.state == ScrubState::Finished).progress;
    let second = wait_until(&daemon, |scrub| scrub.progress.begun > first.begun).progress;
    let waited = second.begun.unwrap().seconds - first.since.unwrap().seconds;
    assert!((1..30).contains(&waited), "{first:?} {second:?}");
    let second = wait_until(&daemon, |scrub| scrub.progress.state == ScrubState::Finished).progress;
    assert!(second.next > second.since && done(&daemon, "scrub status").contains("\nNext:    20"));
    daemon.crash();
    let daemon = setup.start();
    wait_until(&daemon, |scrub| scrub.progress.begun > second.begun);
}
