//! The verbs of dSources and VDBs: what is asked is checked at once, as far as it can be; a job does it.

use std::sync::Arc;

use cow_api::v1::{self, Code, JobKind, LinkSource, NewHook, Problem, Provision, SourceOrder};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Map, Value};

use crate::plugins::{Operation, Package, PluginType, SchemaKind, schema};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::hooks::insert;
use crate::virtualization::recipes;
use crate::virtualization::records::{Bookmark, Hook, Kind, Place, Repository, Source, SourceConfig};
use crate::virtualization::work::Occupied;

impl Virtualization {
    /// Begins to link a dSource.
    pub fn link(self: &Arc<Self>, request: &LinkSource) -> Answer<v1::Job> {
        let package = self.packages.package(&request.plugin)?;
        let origin = self.ground.place(&request.environment, request.user.as_deref())?;
        let kind = match package.plugin_type {
            PluginType::Staged => Kind::Staged,
            PluginType::Direct => Kind::Direct,
        };
        let place = match (&request.staging_environment, kind) {
            (Some(staging), Kind::Staged) => self.ground.place(staging, request.staging_user.as_deref())?,
            (None, _) => origin.clone(),
            (Some(_), _) => {
                let detail = format!("plugin {} is DIRECT: it has no staging host", package.name);
                return Err(Problem::new(Code::InvalidRequest, detail).with_hint("leave the staging environment out"));
            }
        };
        // What was discovered is on the host that the data comes from; a staging host has its own installation, which is
        // of the same kind where there are several.
        let (config, like) = self.config_for(&package, &origin, request)?;
        let repository = self.repository(&package, &place, request.repository.as_deref(), like.as_deref())?;
        if let Some(by_hand) = &request.config_parameters {
            schema::check(&package, SchemaKind::SourceConfig, by_hand)?;
        }
        schema::check(&package, SchemaKind::LinkedSource, &object(request.parameters.clone()))?;
        let asked = request.snapshot_parameters.clone();
        check_snapshot_parameters(&package, asked.as_ref())?;
        let stored = asked.as_ref().filter(|_| request.store_snapshot_parameters);
        let source = Source {
            config: Some(self.seal(&config)?),
            snapshot_parameters: stored.map(|value| self.seal(value)).transpose()?,
            ..self.new_source(&request.name, kind, &package, repository.id, (origin, place), &request.parameters)?
        };
        let occupied = self.reserve(source, &request.hooks, &package)?;
        self.begin(JobKind::Link, occupied, move |run| recipes::link(run, asked).map(Some))
    }

    /// Begins to provision a VDB.
    pub fn provision(self: &Arc<Self>, request: &Provision) -> Answer<v1::Job> {
        let place = self.ground.place(&request.environment, request.user.as_deref())?;
        let (package, from) = match (&request.from, &request.plugin) {
            (Some(from), None) => {
                let (parent, point) = self.point(from)?;
                // Before what the plugin said of the snapshot, so that both are of one build.
                let package = self.packages.package(&parent.record.plugin)?;
                (package, Some(self.need(&point)?))
            }
            (None, Some(plugin)) => (self.packages.package(plugin)?, None),
            _ => {
                let problem = Problem::new(Code::InvalidRequest, format!("cannot provision {}", request.name));
                return Err(problem.with_hint("give a snapshot to provision from or, for an empty VDB, a plugin"));
            }
        };
        if from.is_none() && !package.has(Operation::VirtualInitialize) {
            let detail = format!("plugin {} cannot make an empty VDB", package.name);
            return Err(Problem::new(Code::Unsupported, detail).with_hint("provision from a snapshot"));
        }
        schema::check(&package, SchemaKind::VirtualSource, &object(request.parameters.clone()))?;
        let repository = self.repository(&package, &place, request.repository.as_deref(), None)?;
        let (name, parameters) = (&request.name, &request.parameters);
        let source =
            self.new_source(name, Kind::Virtual, &package, repository.id, (place.clone(), place), parameters)?;
        let occupied = self.reserve(source, &request.hooks, &package)?;
        self.begin(JobKind::Provision, occupied, move |run| {
            recipes::provision(run, from.as_ref().map(|needed| needed.point.clone())).map(Some)
        })
    }

    /// Begins to do something with a source.
    pub fn order(self: &Arc<Self>, name: &str, order: SourceOrder) -> Answer<v1::Job> {
        let row = self.made(name)?;
        self.check(&row.record, &order)?;
        let occupied = self.occupy(&row)?;
        // Again, now that neither another job nor an upgrade of its plugin changes it.
        let row = occupied.row()?;
        self.check(&row.record, &order)?;
        match order {
            SourceOrder::Sync { snapshot_parameters } => {
                let package = self.packages.package(&row.record.plugin)?;
                check_snapshot_parameters(&package, snapshot_parameters.as_ref())?;
                let stored = row.record.snapshot_parameters.as_ref().map(|sealed| self.unseal(sealed)).transpose()?;
                let parameters = snapshot_parameters.or(stored);
                self.begin(JobKind::Sync, occupied, move |run| recipes::sync(run, parameters).map(Some))
            }
            SourceOrder::Snapshot => self.begin(JobKind::Snapshot, occupied, |run| recipes::snapshot(run).map(Some)),
            SourceOrder::Refresh { to } => {
                let needed = self.refresh_to(&row, to.as_deref())?;
                self.begin(JobKind::Refresh, occupied, move |run| {
                    recipes::refresh(run, &needed.point.0, needed.point.1.clone()).map(Some)
                })
            }
            SourceOrder::Rewind { to } => {
                let needed = self.own_point(&row, to.as_deref())?;
                self.begin(JobKind::Rewind, occupied, move |run| {
                    recipes::rewind(run, &needed.point.0, needed.point.1.clone()).map(Some)
                })
            }
            SourceOrder::Start => self.begin(JobKind::Start, occupied, |run| recipes::start(run).map(|()| None)),
            SourceOrder::Stop => self.begin(JobKind::Stop, occupied, |run| recipes::stop(run).map(|()| None)),
            SourceOrder::Enable => self.begin(JobKind::Enable, occupied, |run| recipes::enable(run).map(|()| None)),
            SourceOrder::Disable => self.begin(JobKind::Disable, occupied, |run| recipes::disable(run).map(|()| None)),
            SourceOrder::Delete { force } => {
                self.check_not_held(&row.record)?;
                self.begin(JobKind::Delete, occupied, move |run| recipes::delete(run, force).map(|()| None))
            }
            SourceOrder::Physical { from, environment, user, directory, parameters } => {
                let snapshot = self.own_point(&row, from.as_deref())?;
                let to = self.ground.place(&environment, user.as_deref())?;
                let parameters = object(parameters);
                let package = self.packages.package(&row.record.plugin)?;
                schema::check(&package, SchemaKind::VirtualToPhysical, &parameters)?;
                self.begin_also_on(Some(to.environment), JobKind::Physical, occupied, move |run| {
                    recipes::physical(run, &snapshot.point, &to, &directory, parameters).map(|()| None)
                })
            }
        }
    }

    /// What can be told at once about an order that cannot be carried out.
    fn check(&self, source: &Source, order: &SourceOrder) -> Answer<()> {
        let name = &source.name;
        let conflict = |detail: String, hint: &str| Err(Problem::new(Code::Conflict, detail).with_hint(hint));
        let wants_virtual = match order {
            SourceOrder::Sync { .. } => Some(false),
            SourceOrder::Enable | SourceOrder::Disable | SourceOrder::Delete { .. } | SourceOrder::Physical { .. } => {
                None
            }
            _ => Some(true),
        };
        match wants_virtual {
            Some(true) if !source.is_virtual() => {
                return conflict(format!("{name} is a dSource, not a VDB"), "'cowctl source' works with dSources");
            }
            Some(false) if source.is_virtual() => {
                return conflict(format!("{name} is a VDB, not a dSource"), "'cowctl vdb' works with VDBs");
            }
            _ => {}
        }
        match (order, source.is_enabled) {
            (SourceOrder::Enable, true) => conflict(format!("{name} is enabled"), "there is nothing to do"),
            (SourceOrder::Enable | SourceOrder::Delete { .. } | SourceOrder::Physical { .. }, _) | (_, true) => Ok(()),
            (SourceOrder::Disable, false) => conflict(format!("{name} is disabled"), "there is nothing to do"),
            (_, false) => conflict(format!("{name} is disabled"), "enable it first"),
        }
    }

    fn new_source(
        &self,
        name: &str,
        kind: Kind,
        package: &Package,
        repository: u64,
        (origin, place): (Place, Place),
        parameters: &Value,
    ) -> Answer<Source> {
        check_name("source", name)?;
        Ok(Source {
            name: name.to_owned(),
            kind,
            guid: new_guid()?,
            plugin: package.id.clone(),
            repository,
            config: None,
            origin,
            place,
            parameters: self.seal(&object(parameters.clone()))?,
            snapshot_parameters: None,
            mounts: Vec::new(),
            timeflow: None,
            is_made: false,
            is_enabled: false,
            is_stopped: false,
        })
    }

    /// Takes a name, until the source is made or forgotten with its hooks. `package` is what it was checked against.
    fn reserve(self: &Arc<Self>, source: Source, hooks: &[NewHook], package: &Package) -> Answer<Occupied> {
        let hooks = hooks.iter().map(|new| self.new_hook(&source, new)).collect::<Answer<Vec<_>>>()?;
        let id = self.state.write(|edit| {
            if edit.find::<Bookmark>(0, &source.name)?.is_some() {
                return Err(Problem::new(Code::Exists, format!("there is a bookmark '{}'", source.name)));
            }
            let id = edit.insert(&source)?;
            let hooks = hooks.into_iter().map(|hook| Hook { source: id, ..hook });
            hooks.into_iter().try_for_each(|hook| insert(edit, &source.name, &hook))?;
            Ok(id)
        })?;
        let occupied = self.occupy_reserved(&Row { id, record: source })?;
        // From here on it is not upgraded.
        if *self.packages.package(&package.id)? != *package {
            let problem = Problem::new(Code::Busy, format!("plugin {} was upgraded at this moment", package.name));
            return Err(problem.with_hint("try again"));
        }
        Ok(occupied)
    }

    /// A source that is not only being made.
    pub(super) fn made(&self, name: &str) -> Answer<Row<Source>> {
        let row = self.state.read(|view| view.named::<Source>(name))?;
        if row.record.is_made {
            return Ok(row);
        }
        Err(Problem::new(Code::Busy, format!("{name} is being made"))
            .with_hint("'cowctl job list' shows how far it is"))
    }

    /// What a plugin has found on an environment and still finds.
    fn repositories(&self, package: &Package, environment: u64) -> Answer<Vec<Row<Repository>>> {
        let mut found = self.state.read(|view| view.owned::<Repository>(environment))?;
        found.retain(|row| row.record.0.plugin == package.id && !row.record.0.is_lost);
        Ok(found)
    }

    /// The repository that is meant: by its name, or the only one, or the only one that is by its identity `like` another.
    fn repository(
        &self,
        package: &Package,
        place: &Place,
        name: Option<&str>,
        like: Option<&str>,
    ) -> Answer<Row<Repository>> {
        let mut found = self.repositories(package, place.environment)?;
        let names: Vec<String> = found.iter().map(|row| row.record.0.name.clone()).collect();
        if let Some(name) = name {
            found.retain(|row| row.record.0.name == name);
        } else if let (Some(like), true) = (like, found.len() > 1) {
            found.retain(|row| row.record.0.identity == like);
        }
        match (found.len(), found.pop()) {
            (1, Some(row)) => Ok(row),
            (0, _) if names.is_empty() => {
                let detail =
                    format!("plugin {} has found nothing on {}", package.name, self.ground.name(place.environment)?);
                Err(Problem::new(Code::NotFound, detail).with_hint("'cowctl env refresh' looks again"))
            }
            _ => {
                let problem = Problem::new(Code::InvalidRequest, "which repository is meant is not clear");
                Err(problem.with_hint(format!("name one of: {}", names.join(", "))))
            }
        }
    }

    /// The source config that is meant, and the identity of the repository in which it was found.
    fn config_for(&self, package: &Package, origin: &Place, request: &LinkSource) -> Answer<(Value, Option<String>)> {
        if let Some(by_hand) = &request.config_parameters {
            return Ok((by_hand.clone(), None));
        }
        let mut repositories = self.repositories(package, origin.environment)?;
        let is_named = |row: &Row<Repository>| request.repository.as_ref() == Some(&row.record.0.name);
        if repositories.iter().any(is_named) {
            repositories.retain(is_named);
        }
        let mut known = Vec::new();
        for repository in &repositories {
            let all = self.state.read(|view| view.owned::<SourceConfig>(repository.id))?;
            let all = all.into_iter().map(|row| row.record.0).filter(|config| !config.is_lost);
            known.extend(all.map(|config| (config, &repository.record.0.identity)));
        }
        let is_wanted = |name: &String| request.config.as_ref().is_none_or(|wanted| wanted == name);
        let found: Vec<_> = known.iter().filter(|(config, _)| is_wanted(&config.name)).collect();
        match found[..] {
            [(config, identity)] => Ok((self.unseal(&config.parameters)?, Some((*identity).clone()))),
            // Plugins that look for nothing want none.
            [] if request.config.is_none() && package.schemas.get(SchemaKind::SourceConfig).is_none() => {
                Ok((Value::Object(Map::new()), None))
            }
            _ if known.is_empty() => {
                let origin = self.ground.name(origin.environment)?;
                let detail = format!("plugin {} has found no source config on {origin}", package.name);
                Err(Problem::new(Code::NotFound, detail)
                    .with_hint("give its parameters; or 'cowctl env refresh' looks again"))
            }
            _ => {
                let names: Vec<&str> = known.iter().map(|(config, _)| config.name.as_str()).collect();
                let problem = Problem::new(Code::InvalidRequest, "which source config is meant is not clear");
                Err(problem.with_hint(format!("name one of: {}; or give its parameters", names.join(", "))))
            }
        }
    }
}

/// Nothing given stands for an object without fields.
fn object(value: Value) -> Value {
    if value.is_null() { Value::Object(Map::new()) } else { value }
}

/// None at all fits any schema: that is what a policy's sync has.
fn check_snapshot_parameters(package: &Package, parameters: Option<&Value>) -> Answer<()> {
    parameters.map_or(Ok(()), |value| schema::check(package, SchemaKind::SnapshotParameters, value))
}

/// A source's name is one part of a dataset's; other names are no different.
pub(super) fn check_name(what: &str, name: &str) -> Answer<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.len() <= 100 && name.chars().all(fits) && name.starts_with(char::is_alphanumeric) {
        return Ok(());
    }
    let problem = Problem::new(Code::InvalidName, format!("'{}' cannot name a {what}", name.escape_default()));
    Err(problem.with_hint("take up to 100 letters, digits, '-', '_' and '.', a letter or digit first"))
}

/// A random UUID (RFC 9562, version 4).
fn new_guid() -> Answer<String> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| Problem::new(Code::Io, format!("cannot draw random bytes: {errno}")))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
