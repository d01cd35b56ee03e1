//! A recipe at work on one source: its plugin, its hooks, its mounts.
//!
//! Invariant: what is mounted or shared here is promised to be undone first.

use std::net::IpAddr;
use std::sync::Arc;

use cow_api::time::Time;
use cow_api::v1::{Code, Problem};
use serde_json::Value;

use crate::clock;
use crate::jobs::Ticket;
use crate::plugins::{
    Call, Connection, DirectSource, Linked, LinkedSource, Mount, MountSpecification, Named, Operation, Package, Reply,
    SchemaKind, StagedSource, Virtual, VirtualSource,
};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::act::Act;
use crate::virtualization::hidden::Hidden;
use crate::virtualization::journal::Journal;
use crate::virtualization::library::Shelf;
use crate::virtualization::outside::{IsCancelled, Stop};
use crate::virtualization::records::{Kind, Mounted, Place, Point, Repository, Source, Timeflow};

/// A job and its journal.
pub struct Job<'j> {
    /// Whose verbs.
    pub on: &'j Virtualization,
    /// Its log, and whether to stop.
    pub ticket: &'j Ticket,
    /// What it owes.
    pub journal: &'j Journal<'j>,
    /// Whether to stop: never while it is undone.
    pub is_cancelled: IsCancelled<'j>,
}

/// Whose a dataset's directory is to be: a user and a group, or the environment's user.
type Owner = Option<(u32, u32)>;

/// A recipe at work.
pub struct Run<'r> {
    /// Its job.
    pub job: &'r Job<'r>,
    /// The source's number.
    pub id: u64,
    /// The source, as it will be remembered.
    pub source: Source,
    /// Its plugin.
    pub package: Arc<Package>,
    repository: Named,
}

impl<'j> Job<'j> {
    /// Begins to work on a source.
    pub fn run(&'j self, row: Row<Source>) -> Answer<Run<'j>> {
        let Row { id, record: source } = row;
        let package = self.on.packages.package(&source.plugin)?;
        let repository = self.on.state.read(|view| view.get::<Repository>(source.repository))?.record.0;
        let repository = Named { name: repository.name, parameters: self.on.unseal(&repository.parameters)? };
        Ok(Run { job: self, id, source, package, repository })
    }
}

impl Run<'_> {
    /// Begins a step, unless the job is cancelled.
    pub fn step(&self, text: impl Into<String>) -> Answer<()> {
        self.job.ticket.step(text);
        if (self.job.is_cancelled)() { Err(self.job.ticket.cancelled()) } else { Ok(()) }
    }

    /// Calls an operation of the plugin.
    pub fn call(&self, call: Call) -> Answer<Reply> {
        let operation = call.operation().map_or_else(|| "upgrade".to_owned(), |operation| operation.to_string());
        self.step(format!("plugin {}: {operation}", self.package.name))?;
        let act = format!("{operation} of {} failed", self.source.name);
        let hidden = self.hidden(&call)?;
        let shelf = Shelf { job: self.job, run: Some(self), hidden: &hidden };
        let reply = self.job.on.caller.call(&self.package, &call, &shelf, &Stop(self.job.is_cancelled));
        reply.map_err(|failure| hidden.mask_problem(failure.problem(&act)))
    }

    /// The secrets that the plugin is given with a call.
    fn hidden(&self, call: &Call) -> Answer<Hidden> {
        let (hidden, package) = (Hidden::default(), &self.package);
        let kind = if self.source.is_virtual() { SchemaKind::VirtualSource } else { SchemaKind::LinkedSource };
        hidden.add(package, kind, &self.parameters()?);
        hidden.add(package, SchemaKind::Repository, &self.repository.parameters);
        if let Some(config) = &self.source.config {
            hidden.add(package, SchemaKind::SourceConfig, &self.job.on.unseal(config)?);
        }
        if let Some(snapshot) = call.snapshot() {
            hidden.add(package, SchemaKind::Snapshot, snapshot);
        }
        match call {
            Call::LinkedPreSnapshot { snapshot_parameters: Some(value), .. }
            | Call::LinkedPostSnapshot { snapshot_parameters: Some(value), .. } => {
                hidden.add(package, SchemaKind::SnapshotParameters, value);
            }
            Call::LinkedPreSourceToPhysical { physical, .. }
            | Call::LinkedSourceToPhysical { physical, .. }
            | Call::VirtualPreSourceToPhysical { physical, .. }
            | Call::VirtualSourceToPhysical { physical, .. } => {
                hidden.add(package, SchemaKind::VirtualToPhysical, &physical.parameters);
            }
            _ => {}
        }
        Ok(hidden)
    }

    /// Calls an operation if the plugin has it.
    pub fn call_if(&self, operation: Operation, call: impl FnOnce() -> Answer<Call>) -> Answer<()> {
        if self.package.has(operation) { self.call(call()?).map(drop) } else { Ok(()) }
    }

    /// Has the plugin take a VDB out of use, where it has to do anything about that.
    pub fn unconfigure(&self) -> Answer<()> {
        let call = || Ok(Call::VirtualUnconfigure(self.as_virtual(&self.source.mounts)?));
        self.call_if(Operation::VirtualUnconfigure, call)
    }

    /// The dataset of the current timeflow.
    pub fn dataset(&self) -> Answer<String> {
        self.timeflow().map(|row| row.record.dataset)
    }

    /// The current timeflow.
    pub fn timeflow(&self) -> Answer<Row<Timeflow>> {
        let missing = || Problem::new(Code::Conflict, format!("{} has no timeflow yet", self.source.name));
        let id = self.source.timeflow.ok_or_else(missing)?;
        self.job.on.state.read(|view| view.get(id))
    }

    /// What the plugin said of the newest snapshot.
    pub fn newest_data(&self) -> Answer<Value> {
        let points = self.job.on.state.read(|view| view.owned::<Point>(self.id))?;
        let newest = points.iter().rfind(|point| Some(point.record.timeflow) == self.source.timeflow);
        newest.map_or(Ok(Value::Object(Default::default())), |point| self.job.on.unseal(&point.record.data))
    }

    fn parameters(&self) -> Answer<Value> {
        self.job.on.unseal(&self.source.parameters)
    }

    fn config(&self) -> Answer<Named> {
        let none = || Named { name: String::new(), parameters: Value::Object(Default::default()) };
        let value = self.source.config.as_ref().map(|config| self.job.on.unseal(config)).transpose()?;
        Ok(value.map_or_else(none, |value| self.package.named(SchemaKind::SourceConfig, value)))
    }

    /// How a plugin is told of a place.
    pub fn connection(&self, place: &Place) -> Answer<Connection> {
        self.job.on.ground.connection(place)
    }

    fn shown(&self, mounts: &[Mounted]) -> Answer<Vec<Mount>> {
        let shown = |mounted: &Mounted| {
            let environment = self.connection(&mounted.place)?.environment;
            Ok(Mount { environment, mount_path: mounted.path.clone(), shared_path: mounted.shared_path.clone() })
        };
        mounts.iter().map(shown).collect()
    }

    /// The VDB as its plugin sees it, mounted there.
    pub fn virtual_source(&self, mounts: &[Mounted]) -> Answer<VirtualSource> {
        Ok(VirtualSource {
            guid: self.source.guid.clone(),
            connection: self.connection(&self.source.place)?,
            mounts: self.shown(mounts)?,
            parameters: self.parameters()?,
        })
    }

    /// The VDB with what it runs on.
    pub fn as_virtual(&self, mounts: &[Mounted]) -> Answer<Virtual> {
        let source = self.virtual_source(mounts)?;
        Ok(Virtual { source, repository: self.repository.clone(), source_config: self.config()? })
    }

    fn staged(&self, mounts: &[Mounted]) -> Answer<StagedSource> {
        Ok(StagedSource {
            guid: self.source.guid.clone(),
            source_connection: self.connection(&self.source.origin)?,
            staged_connection: self.connection(&self.source.place)?,
            mounts: self.shown(mounts)?,
            parameters: self.parameters()?,
        })
    }

    /// The dSource with what was discovered.
    pub fn linked(&self, mounts: &[Mounted]) -> Answer<Linked> {
        let source = match self.source.kind {
            Kind::Direct => LinkedSource::Direct(Box::new(DirectSource {
                guid: self.source.guid.clone(),
                connection: self.connection(&self.source.origin)?,
                parameters: self.parameters()?,
            })),
            _ => LinkedSource::Staged(Box::new(self.staged(mounts)?)),
        };
        Ok(Linked { source, repository: self.repository.clone(), source_config: self.config()? })
    }

    /// What the source runs on.
    pub fn repository(&self) -> Named {
        self.repository.clone()
    }

    /// Asks the plugin where to mount.
    pub fn specification(&self) -> Answer<(Vec<Mounted>, Owner)> {
        let (mounts, repository) = (&self.source.mounts, self.repository());
        let call = match self.source.kind {
            Kind::Direct => return Ok((Vec::new(), None)),
            Kind::Staged => Call::LinkedMountSpecification { source: self.staged(mounts)?, repository },
            Kind::Virtual => Call::VirtualMountSpecification { source: self.virtual_source(mounts)?, repository },
        };
        let act = format!("mount_specification of {} failed", self.source.name);
        let MountSpecification { mounts, owner } =
            self.call(call)?.mounts().map_err(|failure| failure.problem(&act))?;
        let mounts: Vec<Mounted> = mounts.into_iter().map(|mount| self.mounted(mount)).collect::<Answer<_>>()?;
        Ok((mounts, owner))
    }

    fn mounted(&self, mount: Mount) -> Answer<Mounted> {
        let wrong = |what: &str| {
            let detail = format!("{}: the plugin wants to mount at '{}', {what}", self.source.name, mount.mount_path);
            Err(Problem::new(Code::InvalidRequest, detail).with_hint("this is a mistake in the plugin"))
        };
        if !mount.mount_path.starts_with('/') || mount.mount_path.split('/').any(|part| part == "..") {
            return wrong("which is no absolute path without '..'");
        }
        if mount.shared_path.as_ref().is_some_and(|path| path.split('/').any(|part| part == "..")) {
            return wrong("with a shared path that has '..'");
        }
        if mount.shared_path.is_some() && self.source.kind == Kind::Staged {
            return wrong("with a shared path, which only VDBs have");
        }
        let environment = self.job.on.ground.environment(&mount.environment.reference)?;
        let place = Place { environment, user: self.source.place.user.clone() };
        Ok(Mounted { place, path: mount.mount_path, shared_path: mount.shared_path })
    }

    /// Shares a dataset with the hosts of its mounts and mounts it there, as its plugin wants it.
    pub fn mount(&self, dataset: &str, mounts: &[Mounted], owner: Owner) -> Answer<()> {
        if mounts.is_empty() {
            return Ok(());
        }
        let (on, is_cancelled) = (self.job.on, self.job.is_cancelled);
        let owner = owner.map_or_else(|| on.ground.ids(&self.source.place, is_cancelled), Ok)?;
        let mut hosts: Vec<IpAddr> =
            mounts.iter().map(|mounted| on.ground.address(&mounted.place, is_cancelled)).collect::<Answer<_>>()?;
        hosts.sort_unstable();
        hosts.dedup();
        // A root that owns the files and is nobody could do nothing with them.
        let root_squash = self.package.root_squash && owner.0 != 0;
        self.job.journal.promise(Act::Share { dataset: dataset.to_owned(), hosts: Vec::new(), root_squash })?;
        on.store.share(dataset, &hosts, root_squash)?;
        for mounted in mounts {
            on.store.own(dataset, mounted.shared_path.as_deref().unwrap_or("/"), owner)?;
            self.step(format!("mount {dataset} at {}", mounted.path))?;
            let act = Act::Unmount { mounted: mounted.clone(), dataset: dataset.to_owned() };
            self.job.journal.promise(act)?;
            on.ground.mount(mounted, &mounted.export(dataset), is_cancelled)?;
        }
        Ok(())
    }

    /// Has the plugin put the source in use, where it is mounted now, and promises to shut it down. Until that is done
    /// nobody knows how far the plugin came: then what was known of it before is all there is to shut it down by.
    pub fn put_in_use(&mut self, put: impl FnOnce(&Self) -> Answer<Option<Value>>) -> Answer<()> {
        // Of a VDB that was never configured there is nothing that its plugin could be told.
        let is_known = self.source.config.is_some();
        let promise = self.job.journal.promise(if is_known { self.shut_down(true) } else { Act::Nothing })?;
        if let Some(config) = put(self)? {
            self.source.config = Some(self.job.on.seal(&config)?);
        }
        self.source.is_stopped = false;
        self.job.journal.replace(promise, self.shut_down(false))
    }

    /// Promises to have the plugin shut down what it is about to put in use, if it does.
    pub fn promise_shut_down(&self) -> Answer<()> {
        self.job.journal.promise(self.shut_down(true)).map(drop)
    }

    fn shut_down(&self, is_try: bool) -> Act {
        let (mounts, config) = (self.source.mounts.clone(), self.source.config.clone());
        Act::ShutDown { source: self.id, mounts, config, is_try }
    }

    /// Unmounts a dataset from the source's hosts, and promises to mount it again.
    pub fn unmount(&self, dataset: &str) -> Answer<()> {
        for mounted in &self.source.mounts {
            self.step(format!("unmount {dataset} from {}", mounted.path))?;
            self.job.journal.promise(Act::Mount { mounted: mounted.clone(), dataset: dataset.to_owned() })?;
            self.job.on.ground.unmount(mounted, &mounted.export(dataset), self.job.is_cancelled)?;
        }
        Ok(())
    }

    /// Takes a snapshot of a dataset, and promises to destroy it. Returns its full name.
    pub fn snapshot(&self, dataset: &str) -> Answer<String> {
        let name = self.free_name(dataset)?;
        self.step(format!("snapshot {name}"))?;
        self.job.journal.promise(Act::Destroy { name: name.clone() })?;
        self.job.on.store.snapshot(&name)?;
        Ok(name)
    }

    /// A snapshot is named with its second and what follows, as far as it takes to be told from others.
    fn free_name(&self, dataset: &str) -> Answer<String> {
        loop {
            let now = clock::time(clock::now());
            for unit in [1_000_000_000, 1_000_000, 1] {
                let name = format!("{dataset}@{}", Time { nanoseconds: now.nanoseconds / unit * unit, ..now });
                if !self.job.on.store.exists(&name)? {
                    return Ok(name);
                }
            }
        }
    }

    /// A snapshot, to be remembered.
    pub fn point(&self, timeflow: u64, name: &str, data: &Value) -> Answer<Point> {
        let (created, data) = (clock::time(clock::now()), self.job.on.seal(data)?);
        Ok(Point { source: self.id, timeflow, name: name.to_owned(), created, data })
    }

    /// What a plugin's operation defined.
    pub fn definition(&self, call: Call) -> Answer<Value> {
        let act = format!("{} failed", self.source.name);
        self.call(call)?.definition().map_err(|failure| failure.problem(&act))
    }
}
