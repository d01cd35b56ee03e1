//! Mounts begin, end, outlive the daemon, and come back.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::{Host, in_namespace, is_mounted};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_mount_shows_what_the_dataset_has_until_it_ends() {
    in_namespace("life::a_mount_shows_what_the_dataset_has_until_it_ends", || {
        let host = Host::new("prod");
        let path = host.mount("prod", json!({}));
        assert!(is_mounted(&path));
        fs::create_dir(path.join("d")).unwrap();
        fs::write(path.join("d/f"), "content").unwrap();
        host.daemon().done("POST", "/v1/snapshots", r#"{"snapshots":[{"dataset":"prod","name":"one"}]}"#);
        fs::write(path.join("d/f"), "later").unwrap();

        let snapshot = host.mount("prod@one", json!({}));
        assert_eq!(text(&snapshot.join("d/f")), "content");
        let error = fs::write(snapshot.join("d/f"), "no").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::ROFS.raw_os_error()));
        let events: Vec<_> = host.mounts().into_iter().map(|(_, name, state)| (name, state)).collect();
        assert_eq!(events, [("prod".into(), "mounted".into()), ("prod@one".into(), "mounted".into())]);

        // What is mounted cannot be destroyed, whichever way; renaming it is no matter.
        for path in ["/v1/datasets/prod", "/v1/datasets/prod?now=true", "/v1/snapshots/prod%40one"] {
            let refused = host.daemon().ask("DELETE", path, "");
            assert!(refused.status == 409 && refused.text().contains("is mounted at"), "{}", refused.text());
        }
        host.daemon().done("POST", "/v1/datasets/prod/rename", r#"{"to":"other"}"#);
        assert_eq!(text(&path.join("d/f")), "later");
        assert_eq!(host.mounts()[1].1, "other@one");

        // Rewound, it has the old content when the call returns, in names, attributes and pages.
        fs::write(path.join("new"), "new").unwrap();
        let open = File::open(path.join("d/f")).unwrap();
        let read = || {
            let mut bytes = [0; 100];
            let length = open.read_at(&mut bytes, 0).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        assert_eq!(read(), "later");
        host.daemon().done("POST", "/v1/datasets/other/rewind", r#"{"to":"other@one"}"#);
        // First by what is open: to open it again would drop its pages.
        assert_eq!(read(), "content");
        assert_eq!(text(&path.join("d/f")), "content");
        assert!(!path.join("new").exists());
        drop(open);

        for name in ["other@one", path.to_str().unwrap()] {
            assert_eq!(host.unmount(name, false).status, 200);
        }
        assert!(!is_mounted(&path) && !is_mounted(&snapshot) && host.mounts().is_empty());
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        assert_eq!(host.unmount("other", false).status, 404);
        host.daemon().done("DELETE", "/v1/datasets/other", "");
    });
}

#[test]
fn what_cannot_be_mounted_is_refused_and_leaves_nothing() {
    in_namespace("life::what_cannot_be_mounted_is_refused_and_leaves_nothing", || {
        let host = Host::new("prod");
        let path = host.directory("at");
        let (file, full) = (host.directory("full").join("file"), host.directory("full"));
        File::create(&file).unwrap();
        let pool = host.scratch.path().join("pool");
        for (name, path, status, told) in [
            ("nope", path.as_path(), 404, "there is no dataset or snapshot 'nope'"),
            ("prod/nope", &path, 404, "there is no dataset or snapshot"),
            ("prod@nope", &path, 404, "there is no dataset or snapshot"),
            ("prod", Path::new("/nope/nope"), 404, "there is no directory"),
            ("prod", Path::new("relative"), 400, "is no absolute path"),
            ("prod", &file, 400, "is no directory"),
            ("prod", &full, 409, "is not empty"),
            ("prod", &pool, 400, "is inside the pool"),
            ("prod", Path::new("/proc"), 409, "something is mounted at"),
        ] {
            let answer = host.ask_mount(name, path, json!({}));
            assert!(answer.status == status && answer.text().contains(told), "{}", answer.text());
        }
        assert!(host.mounts().is_empty() && !pool.join("mounts.json").exists());
        host.mount("prod", json!({}));
        let twice = host.ask_mount("prod", &host.directory("prod"), json!({}));
        assert!(twice.status == 409 && twice.text().contains("is mounted at"), "{}", twice.text());
        // Another place is another matter.
        assert_eq!(host.ask_mount("prod", &path, json!({"read_only": true})).status, 201);
        fs::write(host.directory("prod").join("f"), "x").unwrap();
        assert_eq!(text(&path.join("f")), "x");
        assert!(fs::write(path.join("f"), "y").is_err());
    });
}

#[test]
fn who_has_files_open_keeps_a_mount_unless_it_is_forced() {
    in_namespace("life::who_has_files_open_keeps_a_mount_unless_it_is_forced", || {
        let host = Host::new("prod");
        let path = host.mount("prod", json!({}));
        let mut open = File::create(path.join("f")).unwrap();
        open.write_all(b"kept").unwrap();
        let refused = host.unmount(path.to_str().unwrap(), false);
        assert!(refused.status == 409 && refused.text().contains("is in use"), "{}", refused.text());
        open.write_all(b" too").unwrap();
        assert_eq!(host.unmount("prod", true).status, 200);
        assert!(!is_mounted(&path));
        assert!(open.write_all(b" not").is_err());
        drop(open);
        let path = host.mount("prod", json!({}));
        assert_eq!(text(&path.join("f")), "kept too");
        // By the host's own command it can be ended as well.
        assert!(Command::new("umount").arg(&path).status().unwrap().success());
        let until = Instant::now() + Duration::from_secs(20);
        while !host.mounts().is_empty() {
            assert!(Instant::now() < until, "the daemon does not see that somebody else has unmounted it");
        }
    });
}

#[test]
fn a_mount_is_ended_by_a_path_from_where_one_is() {
    in_namespace("life::a_mount_is_ended_by_a_path_from_where_one_is", || {
        let host = Host::new("prod");
        let parent = host.scratch.path().to_owned();
        fs::create_dir_all(parent.join("a/b")).unwrap();
        for (directory, path) in [(parent.clone(), "a/b"), (parent.clone(), "./a/b"), (parent.join("a"), "b")] {
            for verb in [&["mount", "prod", path][..], &["umount", path]] {
                let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
                command.args(verb).current_dir(&directory).env("COW_SOCKET", host.setup.socket());
                let (code, _, said) = host.setup.run(&mut command);
                assert_eq!((code, said.as_str()), (Some(0), ""), "{verb:?}");
            }
        }
        assert!(host.mounts().is_empty());
    });
}

#[test]
fn mounts_come_back_with_the_daemon() {
    in_namespace("life::mounts_come_back_with_the_daemon", || {
        let mut host = Host::new("prod");
        let path = host.mount("prod", json!({"allow_other": true}));
        host.daemon().done("POST", "/v1/datasets", r#"{"name":"gone"}"#);
        let gone = host.mount("gone", json!({}));
        let blocked = host.directory("blocked");
        assert_eq!(host.ask_mount("prod", &blocked, json!({})).status, 201);
        let mut open = File::create(path.join("f")).unwrap();
        open.write_all(b"synced").unwrap();
        open.sync_all().unwrap();
        fs::write(path.join("g"), "named").unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        for round in 0..3 {
            host.crash_and_restart();
            assert_eq!(host.mounts().len(), 3, "round {round}: {:?}", host.mounts());
            assert!(host.mounts().iter().all(|(_, _, state)| state == "mounted"), "{:?}", host.mounts());
            assert_eq!(text(&path.join("f")), "synced");
            assert!(path.join("g").exists());
            assert!(open.write_all(b"x").is_err(), "what was open before the crash is not open any more");
        }
        drop(open);
        // Asked to end, it leaves nothing mounted, whoever has files open, and does not wait for them.
        let open = File::open(path.join("f")).unwrap();
        let (status, took) = host.daemon.take().unwrap().stop_by(Signal::TERM);
        assert!(status.success() && took < Duration::from_secs(5), "{took:?}");
        assert!([&path, &gone, &blocked].iter().all(|path| !is_mounted(path)));
        drop(open);
        // What cannot come back is told, and does not keep the rest.
        fs::write(blocked.join("file"), "").unwrap();
        host.daemon = Some(host.setup.start());
        let mounts = host.mounts();
        let state =
            |at: &Path| mounts.iter().find(|(path, ..)| Path::new(path) == at).map(|(.., state)| state.as_str());
        assert_eq!((state(&path), state(&blocked)), (Some("mounted"), Some("failed")));
        assert_eq!(host.unmount(blocked.to_str().unwrap(), false).status, 200);
        assert_eq!(host.unmount("gone", false).status, 200);
        assert_eq!(host.mounts().len(), 1);
        let log = host.daemon().log();
        assert!(log.contains("cannot mount again") && log.contains("unmounted what a daemon that died has left"));
    });
}
