//! Two hosts, and a cowd that has the plugin `witness` in both types; what it was called with, and what each job did.

use std::fs;
use std::path::PathBuf;

use cow_tests::hosts::Host;
use cow_tests::plugins::fixtures;
use cow_tests::site::{Programs, Site};
use cowd::secrets::{Key, Secret};
use cowd::state::{Record, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// All points of hooks.
const POINTS: [&str; 13] = [
    "pre_sync",
    "post_sync",
    "pre_snapshot",
    "post_snapshot",
    "configure_clone",
    "pre_refresh",
    "post_refresh",
    "pre_rollback",
    "post_rollback",
    "pre_start",
    "post_start",
    "pre_stop",
    "post_stop",
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
}

/// A hook, as the state keeps it.
#[derive(Serialize, Deserialize)]
struct Hook {
    source: u64,
    at: String,
    name: String,
    script: String,
}

impl Record for Hook {
    const TABLE: &'static str = "hook";
    const NOUN: &'static str = "hook";

    fn key(&self) -> String {
        format!("{} {}", self.at, self.name)
    }

    fn owner(&self) -> u64 {
        self.source
    }
}

/// A source, as far as its name.
#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
}

impl Record for Named {
    const TABLE: &'static str = "source";
    const NOUN: &'static str = "source";

    fn key(&self) -> String {
        self.name.clone()
    }
}

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
        let workshop = Self { site, control };
        for plugin_type in ["STAGED", "DIRECT"] {
            let folder = workshop.write_plugin(plugin_type);
            workshop.site.done(&format!("plugin install {}", folder.display()));
        }
        for environment in ["source", "target"] {
            workshop.site.done(&format!("env refresh {environment}"));
        }
        Some(workshop)
    }

    /// The plugin's folder, as a user has it.
    fn write_plugin(&self, plugin_type: &str) -> PathBuf {
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
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the newest job did: a plugin's operations as they are called, `[a hook]`, `(what the engine does)`.
    pub fn order(&self) -> Vec<String> {
        let log = self.site.json(&format!("job log {}", self.site.newest_job()));
        let lines = log["lines"].as_array().unwrap().iter().filter(|line| line["level"] == "step");
        lines.map(|line| token(line["text"].as_str().unwrap())).collect()
    }

    /// Adds a hook at every point, which tells its host's file `hooks` where it was.
    pub fn hooks(&self, source: &str) {
        let directory = self.site.setup.folder.join("pool/state");
        let state = State::open(&directory).unwrap();
        let key = Key::load_or_create(&directory.join("key")).unwrap();
        state
            .write(|edit| {
                let source = edit.named::<Named>(source)?.id;
                for at in POINTS {
                    let script = json!(format!("echo {at} >>$HOME/hooks")).to_string();
                    let script = key.seal(&Secret::new(script), "a plugin's data").unwrap();
                    edit.insert(&Hook { source, at: at.to_owned(), name: "h".to_owned(), script })?;
                }
                Ok(())
            })
            .unwrap();
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
