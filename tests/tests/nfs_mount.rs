//! The client that stands in for a kernel's: what is written through it is there, whatever becomes of the server meanwhile.
//!
//! Each test runs in a mount namespace of its own; where there is no `/dev/fuse`, or this is not root, it says that it was skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::host_tree;
use cow_tests::postgres::{Cluster, installed};
use cow_tests::random::Random;
use cow_tests::scratch::{Scratch, is_root};

/// More often than that no daemon needs to die until something is done.
const ROUNDS_MAX: u64 = 60;
const INSIDE: &str = "COW_TEST_MOUNT_NAMESPACE";

/// Runs `body`, which is the test `name`, in namespaces of its own, with which all that it starts ends.
fn in_namespace(name: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return body();
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
        ]);
        command
    };
    let works = unshare().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !is_root() || !Path::new("/dev/fuse").exists() || !works {
        eprintln!("skipped: {name} needs root, /dev/fuse and unshare(1)");
        return;
    }
    let itself = env::current_exe().expect("the test knows its program");
    // Numbers of processes begin anew there, so names that are made of them are not unique.
    let scratch = Scratch::new("nfs");
    let mut command = unshare();
    command.arg(itself).args(["--exact", name, "--nocapture"]).env(INSIDE, "1").env("TMPDIR", scratch.path());
    let status = command.status();
    assert!(status.expect("unshare was there a moment ago").success(), "{name} failed in its namespace");
}

/// A daemon that comes back at the same port, with the dataset `data` mounted from it.
struct Mounted {
    scratch: Scratch,
    setup: Setup,
    daemon: Option<Daemon>,
    path: PathBuf,
    source: String,
}

impl Mounted {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let mut setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
        // Not one that a connection to it may get for its own end while nobody listens.
        setup.flags = vec!["--nfs".to_owned(), "127.0.0.1:2049".to_owned()];
        let daemon = setup.start();
        daemon.done("POST", "/v1/datasets", r#"{"name":"data"}"#);
        let path = scratch.path().join("at");
        fs::create_dir(&path).unwrap();
        let mounted = Self { scratch, setup, daemon: Some(daemon), path, source: "127.0.0.1:/data".to_owned() };
        mounted.mount();
        mounted
    }

    fn mount(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nfs-mount"));
        let output =
            command.arg(&self.source).arg(&self.path).args(["-sn", "-o", "rw,vers=3,hard,nolock"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn unmount(&self) {
        run("umount", &[self.path.to_str().unwrap()]);
    }

    /// Does something while the daemon is killed and started again, more than once.
    fn while_it_dies<T: Send>(&mut self, act: impl FnOnce() -> T + Send) -> T {
        let is_done = AtomicBool::new(false);
        let mut random = Random::new(7);
        let (mut rounds, daemon, setup) = (0, &mut self.daemon, &self.setup);
        let done = thread::scope(|scope| {
            let acting = scope.spawn(|| {
                let done = act();
                is_done.store(true, Ordering::Release);
                done
            });
            while !acting.is_finished() {
                thread::sleep(Duration::from_millis(100 + random.below(400)));
                daemon.take().expect("it runs").crash();
                thread::sleep(Duration::from_millis(random.below(200)));
                *daemon = Some(setup.start());
                rounds += 1;
                if rounds > ROUNDS_MAX {
                    // Whoever waits for the mount can be waited for no more than it.
                    eprintln!("it is not done after the daemon died {rounds} times");
                    std::process::exit(1);
                }
                // So that there is time to get on.
                thread::sleep(Duration::from_millis(50 * rounds));
            }
            acting.join().expect("it is done")
        });
        assert!(rounds > 1 && is_done.into_inner(), "it was done before the daemon died twice");
        done
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Folders, files, symbolic and hard links.
fn grow(root: &Path, random: &mut Random, depth: u32) {
    fs::create_dir(root).unwrap();
    for number in 0..12 {
        let path = root.join(format!("{number}-é {depth}"));
        match random.below(8) {
            0 | 1 if depth > 0 => grow(&path, random, depth - 1),
            2 => std::os::unix::fs::symlink("a/target", &path).unwrap(),
            3 => {
                fs::write(root.join("first"), random.bytes(10)).unwrap();
                fs::hard_link(root.join("first"), &path).unwrap();
                fs::rename(root.join("first"), root.join(format!("moved {number}"))).unwrap();
            }
            4 => fs::write(&path, random.bytes(3 << 20)).unwrap(),
            size => {
                let length = random.below(1 << (4 * size)) as usize % (400 << 10);
                fs::write(&path, random.bytes(length)).unwrap();
            }
        }
    }
}

#[test]
fn a_tree_goes_in_whole_while_the_daemon_dies_again_and_again() {
    in_namespace("a_tree_goes_in_whole_while_the_daemon_dies_again_and_again", || {
        let mut mounted = Mounted::new("tree");
        let (from, path) = (mounted.scratch.path().join("from"), mounted.path.clone());
        grow(&from, &mut Random::new(3), 3);
        // rsync leaves times alone that are of the same second.
        thread::sleep(Duration::from_millis(1100));
        let words = [format!("{}/", from.display()), format!("{}/", path.display())];
        mounted.while_it_dies(|| {
            for _ in 0..2 {
                run("rsync", &["-aH", "--delete", "--ignore-times", &words[0], &words[1]]);
            }
        });
        assert_eq!(run("df", &["--output=source", path.to_str().unwrap()]).lines().nth(1), Some("127.0.0.1:/data"));
        run("sync", &["-f", path.to_str().unwrap()]);
        // Past what the kernel keeps.
        mounted.unmount();
        mounted.mount();
        run("diff", &["-r", "--no-dereference", from.to_str().unwrap(), path.to_str().unwrap()]);
        let differs = run("rsync", &["-aHnci", "--delete", &words[0], &words[1]]);
        assert_eq!(differs, "");
        mounted.unmount();

        let to = mounted.scratch.path().join("to");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
        command.args(["export", "data", to.to_str().unwrap()]).env("COW_SOCKET", mounted.setup.socket());
        let (code, _, said) = mounted.setup.run(&mut command);
        assert_eq!(code, Some(0), "{said}");
        host_tree::assert_same(&host_tree::describe(&from), &host_tree::describe(&to));
    });
}

#[test]
fn a_file_that_is_open_stays_when_its_name_goes() {
    in_namespace("a_file_that_is_open_stays_when_its_name_goes", || {
        use std::os::unix::fs::FileExt;
        let mounted = Mounted::new("open");
        let at = |name: &str| mounted.path.join(name);
        for replaced in [false, true] {
            let file = fs::File::options().read(true).write(true).create(true).truncate(true).open(at("f")).unwrap();
            file.write_all_at(b"kept", 0).unwrap();
            if replaced {
                fs::write(at("g"), "other").unwrap();
                fs::rename(at("g"), at("f")).unwrap();
                assert_eq!(fs::read(at("f")).unwrap(), b"other");
            } else {
                fs::remove_file(at("f")).unwrap();
                assert!(!at("f").exists());
            }
            file.write_all_at(b"d", 4).unwrap();
            file.sync_all().unwrap();
            let mut bytes = [0; 5];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert_eq!(&bytes, b"keptd");
        }
        fs::remove_file(at("f")).unwrap();
        let left = || fs::read_dir(&mounted.path).unwrap().count();
        // A file is closed for the server a moment after it is closed for its program.
        (0..100).take_while(|_| left() > 0).for_each(|_| thread::sleep(Duration::from_millis(20)));
        assert_eq!(left(), 0);
        // Whoever uses it, it can be taken away.
        let _held = fs::File::create(at("held")).unwrap();
        run("umount", &["-lf", mounted.path.to_str().unwrap()]);
        assert!(!at("held").exists());
    });
}

#[test]
fn who_opens_a_name_as_it_goes_reads_the_file_or_finds_none() {
    in_namespace("who_opens_a_name_as_it_goes_reads_the_file_or_finds_none", || {
        let mounted = Mounted::new("going");
        let (path, aside, is_done) = (mounted.path.join("f"), mounted.path.join("g"), AtomicBool::new(false));
        let found = thread::scope(|scope| {
            let read = || {
                let (mut found, mut stale) = (0, 0);
                while !is_done.load(Ordering::Relaxed) {
                    match fs::read(&path) {
                        Ok(bytes) => {
                            assert_eq!(bytes, b"one");
                            found += 1;
                        }
                        // The kernel looks a name up once more whose file is gone; that one may go as well before it is opened.
                        Err(error) if error.kind() == std::io::ErrorKind::StaleNetworkFileHandle => stale += 1,
                        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}"),
                    }
                }
                assert!(stale <= 2, "{stale} times of {found}");
                found
            };
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
            for _ in 0..200 {
                fs::write(&aside, "one").unwrap();
                fs::rename(&aside, &path).unwrap();
                thread::sleep(Duration::from_millis(5));
                fs::remove_file(&path).unwrap();
            }
            is_done.store(true, Ordering::Relaxed);
            readers.into_iter().map(|reader| reader.join().unwrap()).sum::<usize>()
        });
        assert!(found > 100, "{found}");
        mounted.unmount();
    });
}

#[test]
fn what_was_closed_is_durable_though_server_and_mount_end() {
    in_namespace("what_was_closed_is_durable_though_server_and_mount_end", || {
        let mut mounted = Mounted::new("closed");
        fs::write(mounted.path.join("f"), "closed").unwrap();
        mounted.daemon.take().expect("it runs").crash();
        run("umount", &["-l", mounted.path.to_str().unwrap()]);
        mounted.daemon = Some(mounted.setup.start());
        mounted.mount();
        assert_eq!(fs::read(mounted.path.join("f")).unwrap(), b"closed");
        mounted.unmount();
    });
}

#[test]
fn a_database_works_on_it_while_the_daemon_dies() {
    if !installed() {
        eprintln!("skipped: PostgreSQL 15 is not installed (tools/test installs it)");
        return;
    }
    in_namespace("a_database_works_on_it_while_the_daemon_dies", || {
        let mut mounted = Mounted::new("database");
        let mut cluster = Cluster::create(&mounted.path);
        cluster.start();
        cluster.pgbench(&["-i", "-q", "-s", "1"]);
        mounted.while_it_dies(|| cluster.pgbench(&["-n", "-c", "2", "-T", "4"]));
        let done = cluster.sql("SELECT count(*) FROM pgbench_history");
        let sums = "SELECT (SELECT sum(delta) FROM pgbench_history) = (SELECT sum(abalance) FROM pgbench_accounts)";
        assert_eq!(cluster.sql(sums), "t");
        cluster.stop("immediate");
        cluster.start();
        assert_eq!(cluster.sql("SELECT count(*) FROM pgbench_history"), done);
        cluster.check_relations();
        cluster.stop("fast");
        cluster.check_pages();
        mounted.unmount();
    });
}
