//! A world in memory: datasets, hosts and a plugin, which can fail or be cut off at any call.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use cow_api::v1::{Code, JobState, Problem};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::jobs::Jobs;
use crate::plugins::{
    BuildNumber, Call, Caller, Connection, Control, Credentials, Environment, Failure, Host, Language, Level, Library,
    Manifest, Mount, MountSpecification, Operation, Package, PluginType, Reply, Schemas, Script, ScriptOutput, Status,
    Sync as Fetch, User,
};
use crate::service::Answer;
use crate::virtualization::outside::{Copied, Ground, IsCancelled, Packages, Store};
use crate::virtualization::records::{Mounted, Place};

/// A secret of each snapshot.
pub const PIN: u64 = 471_147;

/// What is to go wrong, counted in calls from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Call number so many fails, having done nothing.
    FailBefore(usize),
    /// It fails, having been done: its answer was lost.
    FailAfter(usize),
    /// From that call on nothing is done and nothing answers: cowd is killed.
    Kill(usize),
    /// At that call the job is cancelled. The call answers as if it had not heard; those after it do, if they listen.
    Cancel(usize),
    /// The plugin does not answer until it is ended.
    Hang,
}

/// What can be seen of the world, but for what nobody has to undo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub datasets: BTreeSet<String>,
    pub snapshots: BTreeSet<String>,
    pub holds: BTreeSet<(String, String)>,
    pub shares: BTreeMap<String, Vec<IpAddr>>,
    /// Exports by host and path.
    pub mounts: BTreeMap<(u64, String), String>,
    pub mounts_here: BTreeMap<PathBuf, String>,
    /// What runs, by its mount's path.
    pub running: BTreeSet<String>,
    /// What was unmounted although it ran.
    pub forced: BTreeSet<String>,
}

pub struct Inner {
    pub seen: Seen,
    pub trouble: Trouble,
    pub calls: usize,
    /// The operations and hooks that were called, with what tells them from each other.
    pub log: Vec<String>,
    /// What each sync's first operation was given as snapshot parameters.
    pub given: Vec<Option<Value>>,
    /// The operation in which a DIRECT plugin fetches.
    pub fetches_in: Operation,
    /// How many more ask for the plugin before it is upgraded, if it is.
    pub upgrade_in: Option<usize>,
    /// An environment that is known no more.
    pub forgotten: Option<u64>,
}

/// The world.
pub struct World {
    pub inner: Mutex<Inner>,
    /// Where jobs are cancelled.
    pub jobs: Mutex<Weak<Jobs>>,
    pub package: Arc<Package>,
}

/// What a killed daemon's threads hear from then on.
fn killed() -> Problem {
    Problem::new(Code::Internal, "KILLED")
}

impl World {
    pub fn new(plugin_type: PluginType) -> Arc<Self> {
        let manifest = Manifest { operations: Operation::all().collect(), migration_ids: Vec::new() };
        let package = Package {
            id: "7b1e1d4c-0000-4000-8000-000000000001".to_owned(),
            name: "model".to_owned(),
            build_number: "1.0".parse::<BuildNumber>().unwrap(),
            external_version: None,
            plugin_type,
            language: Language::Python311,
            host_types: vec!["UNIX".to_owned()],
            entry_point: "plugin:plugin".to_owned(),
            build_api: None,
            root_squash: true,
            extended_start_stop_hooks: false,
            manual_discovery: true,
            schemas: Schemas {
                linked_source: Some(json!({"type": "object", "required": ["paths"]})),
                virtual_source: Some(json!({"type": "object", "required": ["paths"]})),
                source_config: Some(json!({"type": "object"})),
                snapshot_parameters: Some(json!({"type": "object"})),
                snapshot: Some(json!({"type": "object", "patternProperties": {"^pin$": {"format": "password"}}})),
                ..Schemas::default()
            },
            manifest,
            root: "/nowhere".into(),
        };
        let inner = Inner {
            seen: Seen::default(),
            trouble: Trouble::None,
            calls: 0,
            log: Vec::new(),
            given: Vec::new(),
            fetches_in: Operation::LinkedPreSnapshot,
            upgrade_in: None,
            forgotten: None,
        };
        Arc::new(Self { inner: Mutex::new(inner), jobs: Mutex::default(), package: Arc::new(package) })
    }

    /// Lets this go wrong from now on, with calls counted anew.
    pub fn make(&self, trouble: Trouble) {
        let mut inner = self.inner.lock();
        (inner.trouble, inner.calls) = (trouble, 0);
        inner.log.clear();
    }

    pub fn seen(&self) -> Seen {
        self.inner.lock().seen.clone()
    }

    pub fn calls(&self) -> usize {
        self.inner.lock().calls
    }

    pub fn log(&self) -> Vec<String> {
        self.inner.lock().log.clone()
    }

    /// Cancels the job that runs.
    fn cancel(&self) {
        let Some(jobs) = self.jobs.lock().upgrade() else { return };
        for job in jobs.list().iter().filter(|job| job.progress.state == JobState::Running) {
            jobs.cancel(job.id).unwrap();
        }
    }

    /// A call to a host, which asks whether it is wanted.
    fn act_if<T>(
        &self,
        name: String,
        is_cancelled: IsCancelled<'_>,
        change: impl FnOnce(&mut Seen) -> Answer<T>,
    ) -> Answer<T> {
        if is_cancelled() {
            return Err(Problem::new(Code::Cancelled, format!("cannot {name}: it was cancelled")));
        }
        self.act(name, change)
    }

    /// A call that changes something.
    fn act<T>(&self, name: String, change: impl FnOnce(&mut Seen) -> Answer<T>) -> Answer<T> {
        let mut inner = self.inner.lock();
        let call = inner.calls;
        inner.calls += 1;
        let fails = || Problem::new(Code::Unavailable, format!("{name} failed, as the test wants"));
        match inner.trouble {
            Trouble::Kill(at) if call >= at => return Err(killed()),
            Trouble::FailBefore(at) if call == at => return Err(fails()),
            Trouble::FailAfter(at) if call == at => {
                change(&mut inner.seen)?;
                return Err(fails());
            }
            Trouble::Cancel(at) if call == at => parking_lot::MutexGuard::unlocked(&mut inner, || self.cancel()),
            _ => {}
        }
        inner.log.push(name);
        change(&mut inner.seen)
    }

    pub fn place(environment: u64) -> Place {
        Place { environment, user: "oracle".to_owned() }
    }
}

fn conflict<T>(detail: String) -> Answer<T> {
    Err(Problem::new(Code::Conflict, detail))
}

impl Store for World {
    fn exists(&self, name: &str) -> Answer<bool> {
        let seen = self.seen();
        Ok(seen.datasets.contains(name) || seen.snapshots.contains(name))
    }

    fn create(&self, name: &str, _: u64) -> Answer<()> {
        self.act(format!("create {name}"), |seen| {
            // Folders at the top are everybody's, and stay.
            let above = name.match_indices('/').map(|(at, _)| &name[..at]).filter(|above| above.contains('/'));
            seen.datasets.extend(above.map(str::to_owned));
            if seen.datasets.insert(name.to_owned()) { Ok(()) } else { conflict(format!("{name} exists")) }
        })
    }

    fn clone_snapshot(&self, snapshot: &str, name: &str) -> Answer<()> {
        self.act(format!("clone {snapshot} {name}"), |seen| {
            if !seen.snapshots.contains(snapshot) || !seen.datasets.insert(name.to_owned()) {
                return conflict(format!("cannot clone {snapshot} as {name}"));
            }
            Ok(())
        })
    }

    fn snapshot(&self, name: &str) -> Answer<()> {
        self.act("snapshot".to_owned(), |seen| {
            if seen.snapshots.insert(name.to_owned()) { Ok(()) } else { conflict(format!("{name} exists")) }
        })
    }

    fn destroy(&self, name: &str) -> Answer<()> {
        self.act(format!("destroy {name}"), |seen| {
            let below = format!("{name}/");
            let is_mounted = |export: &String| export.trim_start_matches('/').split('@').next() == Some(name);
            if seen.mounts.values().any(is_mounted) {
                return conflict(format!("{name} is mounted"));
            }
            let within = format!("{name}@");
            let goes = |kept: &String| kept == name || kept.starts_with(&within) || kept.starts_with(&below);
            if let Some((held, tag)) = seen.holds.iter().find(|(held, _)| goes(held)) {
                return conflict(format!("{held} is held by {tag}"));
            }
            seen.datasets.retain(|dataset| dataset != name && !dataset.starts_with(&below));
            seen.snapshots.retain(|kept| !goes(kept));
            seen.shares.retain(|dataset, _| dataset != name && !dataset.starts_with(&below));
            Ok(())
        })
    }

    fn share(&self, dataset: &str, hosts: &[IpAddr], _: bool) -> Answer<()> {
        self.act(format!("share {dataset} {}", hosts.len()), |seen| {
            if hosts.is_empty() || !seen.datasets.contains(dataset) {
                seen.shares.remove(dataset);
            } else {
                seen.shares.insert(dataset.to_owned(), hosts.to_vec());
            }
            Ok(())
        })
    }

    fn own(&self, dataset: &str, directory: &str, _: (u32, u32)) -> Answer<()> {
        self.act(format!("own {dataset} {directory}"), |_| Ok(()))
    }

    fn mount_here(&self, name: &str, path: &Path) -> Answer<()> {
        self.act(format!("mount here {name}"), |seen| {
            seen.mounts_here.insert(path.to_owned(), name.to_owned());
            Ok(())
        })
    }

    fn unmount_here(&self, path: &Path) -> Answer<()> {
        self.act("unmount here".to_owned(), |seen| {
            // Of somebody else, whom a daemon cannot unmount.
            if seen.mounts_here.get(path).is_some_and(|name| name != "stuck") {
                seen.mounts_here.remove(path);
            }
            Ok(())
        })
    }

    fn hold(&self, snapshot: &str, tag: &str) -> Answer<()> {
        self.act(format!("hold {snapshot} {tag}"), |seen| {
            if !seen.snapshots.contains(snapshot) {
                return conflict(format!("{snapshot} is not there"));
            }
            seen.holds.insert((snapshot.to_owned(), tag.to_owned()));
            Ok(())
        })
    }

    fn release(&self, snapshot: &str, tag: &str) -> Answer<()> {
        self.act(format!("release {snapshot} {tag}"), |seen| {
            seen.holds.remove(&(snapshot.to_owned(), tag.to_owned()));
            Ok(())
        })
    }

    fn snapshots(&self) -> Answer<Vec<(String, Vec<String>)>> {
        let Seen { snapshots, holds, .. } = self.seen();
        let tags = |name: &String| holds.iter().filter(|(held, _)| held == name).map(|(_, tag)| tag.clone()).collect();
        Ok(snapshots.iter().map(|name| (name.clone(), tags(name))).collect())
    }

    fn shared(&self) -> Answer<Vec<String>> {
        Ok(self.seen().shares.into_keys().collect())
    }

    fn left_here(&self, directory: &Path) -> Answer<Vec<PathBuf>> {
        Ok(self.seen().mounts_here.into_keys().filter(|path| path.starts_with(directory)).collect())
    }

    fn mounted_here(&self) -> Answer<Vec<String>> {
        Ok(self.seen().mounts_here.into_values().collect())
    }

    fn live(&self) -> Answer<u64> {
        Ok(1000 * self.seen().snapshots.len() as u64)
    }

    fn below(&self, name: &str) -> Answer<Vec<String>> {
        let below = format!("{name}/");
        Ok(self.seen().datasets.into_iter().filter(|dataset| dataset.starts_with(&below)).collect())
    }
}

impl Packages for World {
    fn package(&self, _: &str) -> Answer<Arc<Package>> {
        let mut inner = self.inner.lock();
        if inner.upgrade_in == Some(0) {
            let package = Package::clone(&self.package);
            return Ok(Arc::new(Package { build_number: "1.1".parse::<BuildNumber>().unwrap(), ..package }));
        }
        inner.upgrade_in = inner.upgrade_in.map(|asks| asks - 1);
        Ok(self.package.clone())
    }

    fn all(&self) -> Answer<Vec<Arc<Package>>> {
        Ok(vec![self.package.clone()])
    }
}

fn environment(number: u64) -> Environment {
    let host = Host { reference: format!("UNIX_HOST-{number}"), ..Host::default() };
    Environment { name: format!("h{number}"), reference: format!("UNIX_HOST_ENVIRONMENT-{number}"), host }
}

impl Ground for World {
    fn place(&self, environment: &str, _: Option<&str>) -> Answer<Place> {
        Ok(Self::place(environment.trim_start_matches('h').parse().unwrap()))
    }

    fn environments(&self) -> Answer<Vec<String>> {
        Ok(vec!["h1".to_owned(), "h2".to_owned()])
    }

    fn name(&self, environment: u64) -> Answer<String> {
        if self.inner.lock().forgotten == Some(environment) {
            return Err(Problem::new(Code::NotFound, format!("there is no environment h{environment}")));
        }
        Ok(format!("h{environment}"))
    }

    fn connection(&self, place: &Place) -> Answer<Connection> {
        let user = User { name: place.user.clone(), reference: "HOST_USER-1".to_owned() };
        Ok(Connection { environment: environment(place.environment), user })
    }

    fn environment(&self, reference: &str) -> Answer<u64> {
        Ok(reference.rsplit_once('-').unwrap().1.parse().unwrap())
    }

    fn ids(&self, _: &Place, is_cancelled: IsCancelled<'_>) -> Answer<(u32, u32)> {
        self.act_if("ids".to_owned(), is_cancelled, |_| Ok((1500, 1500)))
    }

    fn address(&self, place: &Place, is_cancelled: IsCancelled<'_>) -> Answer<IpAddr> {
        self.act_if("address".to_owned(), is_cancelled, |_| Ok(Ipv4Addr::new(10, 0, 0, place.environment as u8).into()))
    }

    fn mount(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<()> {
        self.act_if(format!("mount {export} {}", mounted.path), is_cancelled, |seen| {
            let dataset = export.trim_start_matches('/');
            if !seen.shares.keys().any(|shared| dataset == shared || dataset.starts_with(&format!("{shared}/"))) {
                return conflict(format!("{export} is not shared"));
            }
            let before = seen.mounts.insert((mounted.place.environment, mounted.path.clone()), export.to_owned());
            if before.is_some_and(|before| before != export) {
                return conflict(format!("something else is mounted at {}", mounted.path));
            }
            Ok(())
        })
    }

    fn unmount(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<()> {
        self.name(mounted.place.environment)?;
        self.act_if(format!("unmount {export} {}", mounted.path), is_cancelled, |seen| {
            // By force, as the last resort: what ran there dies.
            if seen.running.remove(&mounted.path) {
                seen.forced.insert(mounted.path.clone());
            }
            let at = (mounted.place.environment, mounted.path.clone());
            if seen.mounts.get(&at).is_some_and(|there| there == export) {
                seen.mounts.remove(&at);
            }
            Ok(())
        })
    }

    fn run(&self, script: &Script, is_cancelled: IsCancelled<'_>) -> Answer<ScriptOutput> {
        self.act_if(format!("hook {}", script.command), is_cancelled, |_| Ok(ScriptOutput::default()))
    }

    fn pull(&self, _: &Fetch, _: &Path, is_cancelled: IsCancelled<'_>, copied: Copied<'_>) -> Answer<()> {
        copied(42);
        self.act_if("pull".to_owned(), is_cancelled, |_| Ok(()))
    }

    fn push(&self, _: &Path, _: &Place, directory: &str, is_cancelled: IsCancelled<'_>) -> Answer<()> {
        self.act_if(format!("push {directory}"), is_cancelled, |_| Ok(()))
    }

    fn credentials(&self, _: &Map<String, Value>) -> Answer<Credentials> {
        conflict("there are none".to_owned())
    }
}

impl Caller for World {
    fn call(&self, _: &Package, call: &Call, library: &dyn Library, control: &dyn Control) -> Result<Reply, Failure> {
        if self.inner.lock().trouble == Trouble::Hang {
            while !control.is_cancelled() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            return Err(Failure::Cancelled);
        }
        if control.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let operation = call.operation().unwrap();
        // A careless plugin.
        library.log(Level::Debug, &format!("{call:?}"));
        let path = path_of(call);
        let run = |seen: &mut Seen, runs: bool| {
            let is_mounted = seen.mounts.keys().any(|(_, mounted)| *mounted == path);
            if !is_mounted && (runs || seen.running.contains(&path)) {
                return conflict(format!("{operation}: nothing is mounted at {path}"));
            }
            if runs {
                seen.running.insert(path.clone())
            } else {
                seen.running.remove(&path)
            };
            Ok(Reply::Done)
        };
        let mut inner_reply = None;
        let outcome = self.act(operation.to_string(), |seen| {
            inner_reply = Some(match call {
                Call::VirtualMountSpecification { source, .. } => {
                    specification(&source.connection.environment, &source.parameters)
                }
                Call::LinkedMountSpecification { source, .. } => {
                    specification(&source.staged_connection.environment, &source.parameters)
                }
                Call::VirtualConfigure { .. } | Call::VirtualInitialize { .. } | Call::VirtualReconfigure { .. } => {
                    run(seen, true)?;
                    Reply::Definition(json!({"name": "configured"}))
                }
                // What a plugin starts on the staging host to bring data stays there.
                Call::LinkedPreSnapshot { .. } if !path.is_empty() => run(seen, true)?,
                Call::LinkedStartStaging(_) | Call::VirtualStart(_) => run(seen, true)?,
                Call::LinkedStopStaging(_) | Call::VirtualStop(_) | Call::VirtualUnconfigure(_) => run(seen, false)?,
                Call::LinkedPostSnapshot { .. } | Call::VirtualPostSnapshot(_) => {
                    Reply::Definition(json!({"lsn": 7, "pin": PIN}))
                }
                Call::VirtualStatus(_) => {
                    let is_active = seen.running.contains(&path);
                    Reply::Status(if is_active { Status::Active } else { Status::Inactive })
                }
                Call::LinkedStatus(_) => Reply::Status(Status::Active),
                Call::LinkedSourceSize(_) | Call::VirtualSourceSize(_) => Reply::Size(42),
                _ => Reply::Done,
            });
            Ok(())
        });
        let told = |problem: Problem| Failure::User {
            message: problem.detail,
            action: "try again".to_owned(),
            output: String::new(),
        };
        outcome.map_err(told)?;
        let fetches_in = {
            let mut inner = self.inner.lock();
            if let Call::LinkedPreSnapshot { snapshot_parameters, .. } = call {
                inner.given.push(snapshot_parameters.clone());
            }
            inner.fetches_in
        };
        if operation == fetches_in && self.package.plugin_type == PluginType::Direct {
            library.run_sync(&Fetch::default()).map_err(|error| Failure::Library { message: error.to_string() })?;
        }
        Ok(inner_reply.unwrap())
    }
}

fn path_of(call: &Call) -> String {
    let first = |mounts: &[Mount]| mounts.first().map_or_else(String::new, |mount| mount.mount_path.clone());
    match call {
        Call::VirtualConfigure { source, .. } | Call::VirtualInitialize { source, .. } => first(&source.mounts),
        Call::VirtualReconfigure { of, .. } => first(&of.source.mounts),
        Call::VirtualUnconfigure(of) | Call::VirtualStart(of) | Call::VirtualStop(of) | Call::VirtualStatus(of) => {
            first(&of.source.mounts)
        }
        Call::LinkedStartStaging(of) | Call::LinkedStopStaging(of) | Call::LinkedPreSnapshot { linked: of, .. } => {
            match &of.source {
                crate::plugins::LinkedSource::Staged(source) => first(&source.mounts),
                crate::plugins::LinkedSource::Direct(_) => String::new(),
            }
        }
        _ => String::new(),
    }
}

/// Mounts at the paths that the parameters name.
fn specification(environment: &Environment, parameters: &Value) -> Reply {
    let paths = parameters["paths"].as_array().cloned().unwrap_or_default();
    let mount = |path: &Value| Mount {
        environment: environment.clone(),
        mount_path: path["path"].as_str().unwrap().to_owned(),
        shared_path: path["shared"].as_str().map(str::to_owned),
    };
    Reply::Mounts(MountSpecification { mounts: paths.iter().map(mount).collect(), owner: None })
}
