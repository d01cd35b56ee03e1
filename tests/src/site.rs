//! A cowd that knows hosts and a plugin, as an admin has it, who orders it about by cowctl.
//!
//! Invariant: no test ends well in which the hosts' password, their private key, or a secret that it told of stands in a file
//! of cowd's, in its state or in its log.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cowd::plugins::Language;
use serde_json::Value;

use crate::daemon::{Daemon, Setup};
use crate::hosts::{Host, Lab, PASSWORD, SERVER};
use crate::plugins::{interpreter, settings};
use crate::secrets::found_in;

/// Longest that a job may take to end after its cowd was killed.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(60);

/// The programs under test: `env!("CARGO_BIN_EXE_cowd-under-test")` and so on.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// The daemon.
    pub cowd: &'static str,
    /// What orders it about.
    pub cowctl: &'static str,
    /// What stands in for the kernel's NFS client on the hosts.
    pub mount: &'static str,
}

/// A language, as cowd's configuration and its folder of SDKs name it.
fn key(language: Language) -> String {
    language.as_str().to_lowercase()
}

/// A lab, and a cowd in it, which is there but for the moment after its death.
pub struct Site {
    /// How it is started.
    pub setup: Setup,
    programs: Programs,
    daemon: Option<Daemon>,
    environments: Vec<String>,
    secrets: Mutex<Vec<String>>,
    /// The hosts. Goes after the daemon.
    pub lab: Lab,
}

impl Site {
    /// A site whose hosts are known by `environments`, in their order, with bundled `plugins`. `None`, with a word, where
    /// that cannot be had.
    pub fn new(name: &str, programs: Programs, environments: &[&str], plugins: &[&str]) -> Option<Self> {
        Self::with_variables(name, programs, environments, plugins, |_| Vec::new())
    }

    /// The same, with variables of cowd's environment that are made from the lab.
    pub fn with_variables(
        name: &str,
        programs: Programs,
        environments: &[&str],
        plugins: &[&str],
        variables: impl FnOnce(&Lab) -> Vec<(String, String)>,
    ) -> Option<Self> {
        let settings = settings(Language::Python311)?;
        let lab = Lab::new(name, environments.len())?;
        let mut setup = lab.setup(programs.cowd, &lab.folder().join("cow"));
        let interpreters =
            Language::ALL.into_iter().filter_map(|language| Some((key(language), interpreter(language)?)));
        let keys: String = interpreters.map(|(key, python)| format!("{key} = \"{}\"\n", python.display())).collect();
        setup.config += &format!("[plugins]\n{keys}");
        // A port of its own kind: mounts find the next cowd there.
        setup.flags = vec!["--nfs".to_owned(), format!("{SERVER}:2049")];
        setup.environment = variables(&lab);
        let sdk = setup.folder.join("pool/state/plugins/sdk");
        let daemon = Some(setup.start());
        fs::create_dir_all(&sdk).expect("the state has a folder");
        for key in Language::ALL.map(key) {
            let kept = settings.directory.join("sdk").join(&key);
            if kept.is_dir() {
                symlink(kept, sdk.join(&key)).expect("the SDK can be lent");
            }
        }
        let names = environments.iter().map(|&name| name.to_owned()).collect();
        let key = fs::read_to_string(lab.key()).expect("the lab has a key");
        // Of its lines the one that only this key has.
        let own = key.lines().nth(4).expect("a key has lines").to_owned();
        let secrets = Mutex::new(vec![PASSWORD.to_owned(), own]);
        let site = Self { setup, programs, daemon, environments: names, secrets, lab };
        for (number, environment) in environments.iter().enumerate() {
            let host = site.lab.host(number + 1);
            host.replace("/sbin/mount.nfs", Path::new(programs.mount));
            let (address, key) = (host.address(), site.lab.key().display().to_string());
            site.done(&format!("env add {environment} --host {address} --user deploy --key {key}"));
        }
        for plugin in plugins {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/plugins").join(plugin);
            site.done(&format!("plugin install {}", folder.display()));
        }
        for environment in environments {
            site.done(&format!("env refresh {environment}"));
        }
        Some(site)
    }

    /// The daemon.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it was started again")
    }

    /// What cowctl says, or how it fails.
    pub fn ended(&self, line: &str) -> Result<String, String> {
        let mut command = Command::new(self.programs.cowctl);
        command.arg("--socket").arg(self.daemon().socket()).args(line.split_whitespace()).stdin(Stdio::null());
        let output = command.output().expect("cowctl runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The same for what must not fail.
    pub fn done(&self, line: &str) -> String {
        self.ended(line).unwrap_or_else(|said| {
            let jobs = self.ended("job list -H").unwrap_or_default();
            let last = jobs.split('\t').next().unwrap_or("1").to_owned();
            let log = self.ended(&format!("job log {last}")).unwrap_or_default();
            panic!("cowctl {line}: {said}\n{log}\n{}", self.daemon().log())
        })
    }

    /// The same for what must fail: what was said.
    pub fn refused(&self, line: &str) -> String {
        self.ended(line).expect_err("it must fail")
    }

    /// The number of the newest job; 0 before the first.
    pub fn newest_job(&self) -> u64 {
        self.done("job list -H").split('\t').next().and_then(|id| id.parse().ok()).unwrap_or(0)
    }

    /// What the newest job logged.
    pub fn newest_log(&self) -> String {
        self.ended(&format!("job log {}", self.newest_job())).unwrap_or_default()
    }

    /// The same as JSON.
    pub fn json(&self, line: &str) -> Value {
        let mut envelope: Value =
            serde_json::from_str(&self.done(&format!("--json {line}"))).expect("cowctl speaks JSON if it is told to");
        envelope["data"].take()
    }

    /// The full names of a source's snapshots, the oldest first.
    pub fn snapshots(&self, name: &str) -> Vec<String> {
        let timeline = self.json(&format!("timeline {name}"));
        let flows = timeline["timeflows"].as_array().into_iter().flatten();
        let snapshots = flows.flat_map(|flow| flow["snapshots"].as_array().into_iter().flatten());
        snapshots.filter_map(|snapshot| snapshot["name"].as_str()).map(str::to_owned).collect()
    }

    /// What every snapshot's tree hashes to.
    pub fn hashes(&self, snapshots: &[String]) -> Vec<Value> {
        snapshots.iter().map(|name| self.json(&format!("get {name}"))["root_hash"].clone()).collect()
    }

    /// Kills cowd.
    pub fn crash(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.crash();
        }
    }

    /// Starts cowd again.
    pub fn restart(&mut self) {
        self.daemon = Some(self.setup.start());
    }

    /// Waits for the end of the newest job, and says whether it was done.
    pub fn newest_is_done(&self) -> bool {
        let until = Instant::now() + RECOVERY_TIME_MAX;
        loop {
            let jobs = self.done("job list -H");
            let newest: Vec<&str> = jobs.lines().next().unwrap_or_default().split('\t').collect();
            match newest.get(2) {
                Some(&"done") => return true,
                Some(&("failed" | "cancelled")) => return false,
                _ => assert!(Instant::now() < until, "it does not end: {jobs}\n{}", self.daemon().log()),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Site {
    /// Lets the test fail if cowd leaves this anywhere but in what is handed out.
    pub fn hide(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
    }

    /// The host of an environment.
    pub fn host(&self, environment: &str) -> &Host {
        let at = self.environments.iter().position(|name| name == environment);
        self.lab.host(1 + at.expect("there is such an environment"))
    }

    /// What bash prints on the host of an environment, as root. It must succeed.
    pub fn bash(&self, environment: &str, text: &str) -> String {
        self.host(environment).run(text).unwrap_or_else(|said| panic!("{text}: {said}"))
    }

    /// The same as the user `deploy`.
    pub fn as_deploy(&self, environment: &str, text: &str) -> String {
        let quoted = text.replace('\'', r"'\''");
        self.bash(environment, &format!("cd /; export HOME=/home/deploy; exec runuser -u deploy -- bash -c '{quoted}'"))
    }

    /// A file that goes with the site, with this text: its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.lab.folder().join(name);
        fs::write(&path, text).expect("a file can be written");
        path
    }

    /// The names of all datasets.
    pub fn datasets(&self) -> Vec<String> {
        self.done("list -Ho name").lines().map(str::to_owned).collect()
    }

    /// Mounts of cow's on the host of an environment, one a line.
    pub fn mounts(&self, environment: &str) -> String {
        self.bash(environment, &format!("grep '^{SERVER}:' /proc/mounts || true"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What it writes as it ends is looked at too.
        drop(self.daemon.take());
        if thread::panicking() {
            return;
        }
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found_in(&self.setup.folder, secrets.iter().map(String::as_str));
        assert_eq!(found, "", "secrets are left in these files");
    }
}
