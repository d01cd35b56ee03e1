//! Mounts on this host: the real daemon, and this very kernel's FUSE.
//!
//! Each test runs in a mount namespace of its own, which takes all mounts along when it ends, however it does. Where
//! there is no `/dev/fuse`, or this is not root, a test says that it was skipped.

mod differential;
mod life;
mod programs;
mod times;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use cow_tests::daemon::{Answer, Daemon, Setup};
use cow_tests::scratch::{Scratch, is_root};
use serde_json::{Value, json};

/// Tells a test that it is in its namespace.
const INSIDE: &str = "COW_TEST_MOUNT_NAMESPACE";

/// Runs `body`, which is the test `name`, in a mount namespace of its own.
fn in_namespace(name: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command
    };
    let works = unshare().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !is_root() || !Path::new("/dev/fuse").exists() || !works {
        eprintln!("skipped: {name} needs root, /dev/fuse and unshare(1)");
        return;
    }
    let itself = env::current_exe().expect("the test knows its program");
    let status = unshare().arg(itself).args(["--exact", name, "--nocapture"]).env(INSIDE, "1").status();
    let status = status.expect("unshare was there a moment ago");
    assert!(status.success(), "{name} failed in its namespace: {:?} {:?}", status.code(), status.signal());
}

/// A daemon with a dataset, and directories to mount at.
struct Host {
    scratch: Scratch,
    setup: Setup,
    daemon: Option<Daemon>,
}

impl Host {
    /// A daemon with the dataset `name`.
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(&format!("fuse-{name}"));
        let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
        let daemon = setup.start();
        daemon.done("POST", "/v1/datasets", &json!({ "name": name }).to_string());
        Self { scratch, setup, daemon: Some(daemon) }
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the daemon runs")
    }

    /// Ends the daemon as a crash does, and starts it again.
    fn crash_and_restart(&mut self) {
        self.daemon.take().expect("the daemon runs").crash();
        self.daemon = Some(self.setup.start());
    }

    /// An empty directory.
    fn directory(&self, name: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::create_dir_all(&path).expect("a directory can be made");
        path
    }

    /// Asks for a mount.
    fn ask_mount(&self, name: &str, path: &Path, more: Value) -> Answer {
        let mut order = json!({ "name": name, "path": path });
        order.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.daemon().ask("POST", "/v1/mounts", &order.to_string())
    }

    /// Mounts at a directory of its own, and returns that.
    fn mount(&self, name: &str, more: Value) -> PathBuf {
        let path = self.directory(&name.replace(['/', '@'], "-"));
        let answer = self.ask_mount(name, &path, more);
        assert_eq!(answer.status, 201, "{}", answer.text());
        path
    }

    /// Asks for the end of a mount.
    fn unmount(&self, path_or_name: &str, force: bool) -> Answer {
        let target = cow_api::v1::path::mount(path_or_name);
        self.daemon().ask("DELETE", &format!("{target}?force={force}"), "")
    }

    /// All mounts: where, what, and their state.
    fn mounts(&self) -> Vec<(String, String, String)> {
        let mounts = self.daemon().done("GET", "/v1/mounts", "");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mounts = mounts["mounts"].as_array().unwrap().iter();
        mounts.map(|mount| (text(&mount["path"]), text(&mount["name"]), text(&mount["state"]))).collect()
    }
}

/// Whether something of ours is mounted there.
fn is_mounted(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the kernel lists mounts");
    mounts.lines().any(|line| line.contains(" - fuse.cow ") && line.split(' ').nth(4) == path.to_str())
}
