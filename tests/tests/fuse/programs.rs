//! What programs do to open files: they map and lock them, lose privileges, and die.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cow_tests::nlm_client::{Lock, LockClient, stat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{Host, in_namespace};

/// The program in `helper.c`.
fn helper(host: &Host) -> PathBuf {
    let program = host.directory("helper").join("helper");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuse/helper.c");
    let built =
        Command::new("cc").arg("-O1").arg("-o").arg(&program).arg(source).status().expect("there is a C compiler");
    assert!(built.success());
    program
}

/// A run of the helper that waits for its input.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(helper: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(helper);
        let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// What it says next.
    fn says(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn tell(&mut self, what: &str) -> String {
        self.stdin.as_mut().unwrap().write_all(what.as_bytes()).unwrap();
        self.says()
    }

    fn end(mut self) -> String {
        drop(self.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap();
        rest
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id() as i32).unwrap(), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two mounts of one dataset, as two systems would see it, and a file in it.
fn two_mounts(host: &Host) -> (String, String) {
    let one = host.mount("prod", json!({}));
    let two = host.directory("two");
    assert_eq!(host.ask_mount("prod", &two, json!({})).status, 201);
    fs::write(one.join("f"), "content").unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    (text(one.join("f")), text(two.join("f")))
}

#[test]
fn locks_hold_across_mounts_and_end_with_their_owners() {
    in_namespace("programs::locks_hold_across_mounts_and_end_with_their_owners", || {
        let host = Host::new("prod");
        let helper = helper(&host);
        let (one, two) = two_mounts(&host);
        let start = |words: &[&str]| Running::start(&helper, words);
        let again = format!("lock: {}", Errno::AGAIN.raw_os_error());
        let test = |path: &str| start(&["test", path]).end();

        let mut holder = start(&["lock", &one, "write", "100", "50", "0"]);
        assert_eq!(holder.says(), "held");
        for path in [&one, &two] {
            assert_eq!(test(path), format!("write 100 50 {}\n", holder.id()));
            assert_eq!(start(&["lock", path, "read", "149", "1", "0"]).says(), again);
            assert_eq!(start(&["lock", path, "write", "150", "0", "0"]).says(), "held");
            assert_eq!(start(&["lock", path, "flock", "0", "0", "0"]).says(), again);
        }
        // A part given back is free, and who waits for it gets it.
        let mut waiter = start(&["lock", &two, "read", "130", "5", "1"]);
        assert_eq!(holder.tell("u"), "ok");
        assert_eq!(waiter.says(), "held");
        assert_eq!(test(&one), format!("write 100 25 {}\n", holder.id()));
        waiter.end();
        // To close any descriptor of the file gives them all back.
        assert_eq!(holder.tell("c"), "ok");
        assert_eq!(test(&two), "free\n");
        holder.end();

        // Whole files, by flock; and a process that is killed leaves none.
        let mut holder = start(&["lock", &one, "flock", "0", "0", "0"]);
        assert_eq!(holder.says(), "held");
        assert_eq!(start(&["lock", &two, "flock", "0", "0", "0"]).says(), again);
        let mut waiter = start(&["lock", &two, "flock", "0", "0", "1"]);
        holder.signal(Signal::KILL);
        assert_eq!(waiter.says(), "held");
        drop(waiter);
        assert_eq!(test(&one), "free\n");
    });
}

#[test]
fn locks_hold_between_programs_here_and_nfs_clients() {
    in_namespace("programs::locks_hold_between_programs_here_and_nfs_clients", || {
        let host = Host::new("prod");
        let helper = helper(&host);
        let path = host.mount("prod", json!({})).join("f");
        fs::write(&path, "content").unwrap();
        let shown = path.to_str().unwrap();
        let mut client = LockClient::connect(2, host.daemon().nfs()).unwrap();
        let root = client.client.mount("/prod").unwrap();
        let (file, _) = client.client.lookup(&root, b"f").unwrap();
        let part = |first, length| Lock::all(&file, 7, true).bytes(first, length);

        let mut holder = Running::start(&helper, &["lock", shown, "write", "10", "10", "0"]);
        assert_eq!(holder.says(), "held");
        assert_eq!((client.lock(&part(19, 1)), client.lock(&part(20, 1))), (stat::DENIED, stat::GRANTED));
        assert_eq!(holder.tell("c"), "ok");
        assert_eq!(client.lock(&part(10, 10)), stat::GRANTED);
        // A process of another host has no number here.
        assert_eq!(Running::start(&helper, &["test", shown]).end(), "write 10 11 0\n");
        let denied = format!("lock: {}", Errno::AGAIN.raw_os_error());
        assert_eq!(Running::start(&helper, &["lock", shown, "flock", "0", "0", "0"]).says(), denied);
        let mut waiter = Running::start(&helper, &["lock", shown, "read", "15", "0", "1"]);
        assert_eq!(client.unlock(&part(0, 0)), stat::GRANTED);
        assert_eq!(waiter.says(), "held");
    });
}

#[test]
fn who_waits_for_a_lock_can_be_ended_and_so_can_a_mount() {
    in_namespace("programs::who_waits_for_a_lock_can_be_ended_and_so_can_a_mount", || {
        let host = Host::new("prod");
        let helper = helper(&host);
        let (one, two) = two_mounts(&host);
        let mut holder = Running::start(&helper, &["lock", &one, "write", "0", "0", "0"]);
        assert_eq!(holder.says(), "held");
        for (at, signal) in [Signal::TERM, Signal::KILL].into_iter().enumerate() {
            let mut waiter = Running::start(&helper, &["lock", [&one, &two][at], "write", "5", "5", "1"]);
            std::thread::sleep(Duration::from_millis(100));
            let began = Instant::now();
            waiter.signal(signal);
            waiter.child.wait().unwrap();
            assert!(began.elapsed() < Duration::from_secs(5), "{signal:?}: {:?}", began.elapsed());
        }
        // A mount that is ended by force leaves no lock, and nobody waiting.
        let mut waiter = Running::start(&helper, &["lock", &two, "write", "5", "5", "1"]);
        std::thread::sleep(Duration::from_millis(100));
        let mut stuck = Running::start(&helper, &["lock", &one, "write", "5", "5", "1"]);
        std::thread::sleep(Duration::from_millis(100));
        let path = Path::new(&one).parent().unwrap().to_str().unwrap();
        assert_eq!(host.unmount(path, true).status, 200);
        assert_eq!(waiter.says(), "held");
        assert!(stuck.says().starts_with("lock: "));
    });
}

#[test]
fn what_is_mapped_and_what_is_written_are_one() {
    in_namespace("programs::what_is_mapped_and_what_is_written_are_one", || {
        let mut host = Host::new("prod");
        let helper = helper(&host);
        let path = host.mount("prod", json!({}));
        let file = path.join("mapped");
        for _ in 0..3 {
            assert_eq!(Running::start(&helper, &["map", file.to_str().unwrap()]).end(), "good\n");
        }
        // What a program has only in memory is kept when the daemon ends in order, though nobody synced it.
        let file = path.join("dirty");
        let mut program = Running::start(&helper, &["dirty", file.to_str().unwrap()]);
        assert_eq!(program.says(), "dirty");
        assert!(host.daemon.take().unwrap().stop().0.success());
        drop(program);
        host.daemon = Some(host.setup.start());
        assert!(fs::read(&file).unwrap() == vec![b'm'; 1 << 20]);
    });
}

/// Opened with `O_DIRECT`.
fn direct(path: &Path) -> fs::File {
    let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
    fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap()
}

#[test]
fn what_is_written_past_the_kernels_pages_is_seen_in_them() {
    const PAGE: usize = 4096;
    const PAGES: u64 = 64;
    in_namespace("programs::what_is_written_past_the_kernels_pages_is_seen_in_them", || {
        let host = Host::new("prod");
        let path = host.mount("prod", json!({})).join("f");
        fs::write(&path, vec![0; PAGES as usize * PAGE]).unwrap();
        let (kept, has_ended) = (fs::File::open(&path).unwrap(), AtomicBool::new(false));
        let read = |page: u64| {
            let mut bytes = vec![0; PAGE];
            kept.read_exact_at(&mut bytes, page * PAGE as u64).unwrap();
            bytes
        };
        std::thread::scope(|scope| {
            // The kernel has all pages all the time, whoever writes them.
            scope.spawn(|| {
                while !has_ended.load(Ordering::Relaxed) {
                    (0..PAGES).for_each(|page| drop(read(page)));
                }
            });
            let write = |writer: u64| {
                let file = direct(&path);
                for round in 0..2000 {
                    let page = (round * 4 + writer) % PAGES;
                    let bytes = vec![round as u8; PAGE];
                    file.write_all_at(&bytes, page * PAGE as u64).unwrap();
                    assert!(read(page) == bytes, "page {page} is not what was written in round {round}");
                }
            };
            let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(writer))).collect();
            let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            has_ended.store(true, Ordering::Relaxed);
            assert!(ended.iter().all(Result::is_ok));
        });
        // And the other way round.
        fs::write(&path, vec![7; PAGE]).unwrap();
        let mut bytes = vec![0; PAGE];
        direct(&path).read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == [7; PAGE]);
    });
}

#[test]
fn what_is_open_stays_good_for_who_has_lost_the_right_to_open_it() {
    in_namespace("programs::what_is_open_stays_good_for_who_has_lost_the_right_to_open_it", || {
        let host = Host::new("prod");
        let helper = helper(&host);
        for (name, squash) in [("plain", false), ("squashed", true)] {
            let path = host.directory(name);
            assert_eq!(host.ask_mount("prod", &path, json!({"allow_other": true, "root_squash": squash})).status, 201);
            let (file, shown) = (path.join("f"), path.join("f").display().to_string());
            if squash {
                // Root is nobody here, and owns nothing.
                let error = fs::write(&file, "x").unwrap_err();
                assert_eq!(error.raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
                assert!(fs::write(path.join("new"), "x").is_err());
                continue;
            }
            fs::write(&file, "content of it").unwrap();
            let run =
                |program: &str, words: &[&str]| assert!(Command::new(program).args(words).status().unwrap().success());
            run("chmod", &["4700", &shown]);
            assert_eq!(Running::start(&helper, &["drop", &shown, "1000"]).end(), "good\n");
        }
    });
}

#[test]
fn changes_elsewhere_are_seen() {
    in_namespace("programs::changes_elsewhere_are_seen", || {
        let host = Host::new("prod");
        let (one, two) = two_mounts(&host);
        let eventually = |told: &dyn Fn() -> bool| {
            let until = Instant::now() + 3 * cowd::fuse::LIFETIME;
            while !told() {
                assert!(Instant::now() < until, "a change is not seen");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        // Pages that were read through one mount are not kept when the other changes them: not even at the same length.
        let kept = fs::File::open(&one).unwrap();
        for text in ["CONTENT", "another", "longer than before", "short"] {
            assert!(std::os::unix::fs::FileExt::read_at(&kept, &mut [0; 100], 0).unwrap() > 0);
            fs::write(&two, text).unwrap();
            eventually(&|| {
                let mut read = vec![0; 100];
                let length = kept.read_at(&mut read, 0).unwrap();
                read[..length] == *text.as_bytes()
            });
            // Last, since to open it would drop its pages.
            eventually(&|| fs::read_to_string(&one).unwrap() == text);
        }
        let folder = |path: &str| Path::new(path).parent().unwrap().to_owned();
        fs::rename(&two, folder(&two).join("g")).unwrap();
        eventually(&|| !Path::new(&one).exists() && folder(&one).join("g").exists());
        fs::remove_file(folder(&two).join("g")).unwrap();
        eventually(&|| fs::read_dir(folder(&one)).unwrap().count() == 0);
    });
}

#[test]
fn who_locks_a_file_sees_what_was_written_under_the_lock_before() {
    in_namespace("programs::who_locks_a_file_sees_what_was_written_under_the_lock_before", || {
        let host = Host::new("prod");
        let (one, two) = two_mounts(&host);
        fs::write(&one, "000000").unwrap();
        let count = |path: &str| {
            let file = fs::File::options().read(true).write(true).open(path).unwrap();
            for _ in 0..100 {
                file.lock().unwrap();
                let mut text = [0; 6];
                file.read_exact_at(&mut text, 0).unwrap();
                let number: u32 = std::str::from_utf8(&text).unwrap().parse().unwrap();
                file.write_all_at(format!("{:06}", number + 1).as_bytes(), 0).unwrap();
                file.unlock().unwrap();
            }
        };
        std::thread::scope(|scope| {
            for path in [&one, &two] {
                scope.spawn(move || count(path));
            }
        });
        assert_eq!(fs::read_to_string(&two).unwrap(), "000200");
    });
}
