//! Two hosts, and a cowd that has the plugin `witness` in both types; what it was called with, and what each job did.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use cow_tests::hosts::Host;
use cow_tests::plugins::fixtures;
use cow_tests::site::{Programs, Site};
use serde_json::Value;

/// The points of hooks of a dSource.
const POINTS_OF_LINKED: [&str; 2] = ["pre-sync", "post-sync"];
/// Those of a VDB.
const POINTS_OF_VIRTUAL: [&str; 11] = [
    "pre-snapshot",
    "post-snapshot",
    "configure-clone",
    "pre-refresh",
    "post-refresh",
    "pre-rollback",
    "post-rollback",
    "pre-start",
    "post-start",
    "pre-stop",
    "post-stop",
];

/// What this tests.
pub const PROGRAMS: Programs = Programs {
    cowd: env!("CARGO_BIN_EXE_cowd-under-test"),
    cowctl: env!("CARGO_BIN_EXE_cowctl-under-test"),
    mount: env!("CARGO_BIN_EXE_nfs-mount"),
};

/// The site with its plugins.
pub struct Workshop {
    /// Hosts and cowd.
    pub site: Site,
    control: PathBuf,
    workers: Mutex<Vec<Value>>,
}

/// Longest that a worker is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

impl Workshop {
    /// Hosts `source` and `target`. `witness-staged` has extended hooks of start and stop, `witness-direct` has not.
    pub fn new(name: &str) -> Option<Self> {
        let site = Site::new(name, PROGRAMS, &["source", "target"], &[])?;
        let control = site.lab.folder().join("control");
        fs::create_dir(&control).unwrap();
        bash(
            site.lab.host(1),
            "mkdir /home/deploy/origin; echo one >/home/deploy/origin/file; chown -R deploy /home/deploy",
        );
        let workshop = Self { site, control, workers: Mutex::default() };
        for plugin_type in ["STAGED", "DIRECT"] {
            let folder = workshop.write_plugin(plugin_type);
            workshop.site.done(&format!("plugin install {}", folder.display()));
        }
        // What is installed looks at all hosts by itself: nobody asks for another look here.
        Some(workshop)
    }

    /// The plugin's folder, as a user has it.
    pub fn write_plugin(&self, plugin_type: &str) -> PathBuf {
        let (fixture, folder) = (fixtures().join("witness"), self.site.lab.folder().join(plugin_type));
        fs::create_dir_all(folder.join("src")).unwrap();
        let mut config = fs::read_to_string(fixture.join("plugin_config.yml")).unwrap();
        config = match plugin_type {
            "STAGED" => config.replace("StopHooks: false", "StopHooks: true"),
            _ => config.replace("STAGED", "DIRECT").replace("-staged", "-direct").replace("3b01", "3b02"),
        };
        fs::write(folder.join("plugin_config.yml"), config).unwrap();
        fs::copy(fixture.join("schema.json"), folder.join("schema.json")).unwrap();
        let text = fs::read_to_string(fixture.join("src/witness.py")).unwrap();
        fs::write(folder.join("src/witness.py"), text.replace("@CONTROL@", self.control.to_str().unwrap())).unwrap();
        folder
    }

    /// What the plugin was called with since this was last asked.
    pub fn calls(&self) -> Vec<Value> {
        let file = self.control.join("calls");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        let calls = text.lines().map(|line| serde_json::from_str(line).unwrap());
        // Workers are called at times of their own.
        let (workers, calls) = calls.partition(|call: &Value| call["operation"] == "linked.worker");
        self.workers.lock().unwrap().extend::<Vec<Value>>(workers);
        calls
    }

    /// A call of a dSource's worker since this was last asked; it comes within seconds.
    pub fn worker(&self) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            self.calls();
            if let Some(call) = self.workers.lock().unwrap().drain(..).next_back() {
                return call;
            }
            assert!(Instant::now() < until, "no worker is called");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the newest job did: a plugin's operations as they are called, `[a hook]`, `(what the engine does)`.
    pub fn order(&self) -> Vec<String> {
        let log = self.site.json(&format!("job log {}", self.site.newest_job()));
        let lines = log["lines"].as_array().unwrap().iter().filter(|line| line["level"] == "step");
        lines.map(|line| token(line["text"].as_str().unwrap())).collect()
    }

    /// Lets the plugin fail at an operation's next call, `before` or `after` its work.
    pub fn fail(&self, operation: &str, moment: &str) {
        fs::write(self.control.join("fail"), format!("{operation} {moment}")).unwrap();
    }

    /// Whether the failure that was ordered is still to come; it does not come any more.
    pub fn takes_failure_back(&self) -> bool {
        fs::remove_file(self.control.join("fail")).is_ok()
    }

    /// Adds a hook at every point, which tells its host's file `hooks` where it was.
    pub fn hooks(&self, source: &str, is_virtual: bool) {
        for at in if is_virtual { &POINTS_OF_VIRTUAL[..] } else { &POINTS_OF_LINKED } {
            self.add_hook(source, at, &format!("echo {at} >>$HOME/hooks"));
        }
    }

    /// Adds a hook that is called as its point.
    pub fn add_hook(&self, source: &str, at: &str, script: &str) {
        let file = self.site.lab.folder().join("hook");
        fs::write(&file, script).unwrap();
        self.site.done(&format!("hook add {source} {at} --at {at} --script-file {}", file.display()));
    }

    /// A file of parameters, in the site's folder.
    pub fn file(&self, name: &str, value: &Value) {
        fs::write(self.site.lab.folder().join(name), value.to_string()).unwrap();
    }

    /// What hooks told on a host since this was last asked.
    pub fn hooked(&self, host: &Host) -> String {
        bash(host, "cd /home/deploy; cat hooks 2>/dev/null; rm -f hooks").replace('\n', " ")
    }
}

/// Lets bash do something on a host, as root; it must succeed.
pub fn bash(host: &Host, text: &str) -> String {
    host.run(text).unwrap_or_else(|said| panic!("{text}: {said}"))
}

/// A step of a job, in the words of the contract.
fn token(step: &str) -> String {
    let words: Vec<&str> = step.split(' ').collect();
    match words[..] {
        ["plugin", _, operation] => operation.to_owned(),
        ["hook", _, at] => format!("[{}]", at.trim_matches(['(', ')'])),
        ["finish:", "share", ..] => "(unshare)".to_owned(),
        ["finish:", act, ..] => format!("({act})"),
        _ => format!("({})", words[0]),
    }
}
