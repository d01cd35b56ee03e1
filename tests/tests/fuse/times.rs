//! Times before 1970, and such as no calendar has.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::json;

use crate::{Host, in_namespace};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sets both times of a file, and tells whether that was answered with success. It must be answered.
fn set(path: &Path, seconds: i64, nanoseconds: i64) -> bool {
    let (tell, told) = channel();
    let path = path.to_owned();
    thread::spawn(move || {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        let _ = tell.send(utimensat(CWD, &path, &times, AtFlags::empty()).is_ok());
    });
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("setting {seconds} s {nanoseconds} ns hangs"))
}

/// What can be read of a file once the mount serves.
fn served(path: &Path) -> Vec<u8> {
    let until = Instant::now() + PATIENCE;
    loop {
        match fs::read(path) {
            Ok(content) => return content,
            Err(error) => assert!(Instant::now() < until, "{}: {error}", path.display()),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn times_before_1970_are_kept() {
    in_namespace("times::times_before_1970_are_kept", || {
        let host = Host::new("prod");
        let path = host.mount("prod", json!({}));
        let times = [(-2, 500_000_000), (-1, 1), (-1, 0), (0, 0), (0, 7), (-1 << 40, 999_999_999), (i64::MIN + 1, 3)];
        let file = |number: usize| -> PathBuf { path.join(number.to_string()) };
        for (number, &(seconds, nanoseconds)) in times.iter().enumerate() {
            File::create(file(number)).unwrap();
            assert!(set(&file(number), seconds, nanoseconds));
        }
        // Else the kernel tells what it knows.
        assert_eq!(host.unmount("prod", false).status, 200);
        host.mount("prod", json!({}));
        for (number, &(seconds, nanoseconds)) in times.iter().enumerate() {
            let found = fs::metadata(file(number)).unwrap();
            assert_eq!((found.mtime(), found.mtime_nsec()), (seconds, nanoseconds));
            assert_eq!((found.atime(), found.atime_nsec()), (seconds, nanoseconds));
        }
    });
}

#[test]
fn no_time_makes_a_mount_hang() {
    in_namespace("times::no_time_makes_a_mount_hang", || {
        let host = Host::new("prod");
        host.daemon().done("POST", "/v1/datasets", r#"{"name":"other"}"#);
        let (path, other) = (host.mount("prod", json!({})), host.mount("other", json!({})));
        let file = path.join("f");
        fs::write(&file, "content").unwrap();
        let mut undisturbed = File::create(other.join("f")).unwrap();
        // More often than a mount has threads.
        for round in 0..20 {
            set(&file, i64::MIN, [999_999_999, 1, 0][round % 3]);
            assert_eq!(served(&file), b"content");
        }
        // By many at once, and whoever works in it.
        let many: Vec<_> =
            (0..20).map(|_| file.clone()).map(|file| thread::spawn(move || set(&file, i64::MIN, 1))).collect();
        for one in many {
            one.join().expect("nobody hangs");
        }
        assert_eq!(served(&file), b"content");
        assert_eq!(host.mounts().len(), 2);
        undisturbed.write_all(b"written").unwrap();
        assert!(host.daemon().log().contains("a thread of a mount died of a mistake; it was mounted again"));
        assert_eq!(host.unmount("prod", true).status, 200);
        assert!(!crate::is_mounted(&path) && host.mounts().len() == 1);
    });
}
