//! What is told of dSources and VDBs.

use std::time::{Duration, Instant};

use cow_api::v1::{self, Code, Problem};

use crate::plugins::{Call, Operation, SchemaKind, Status};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::records::{BOOKMARK_TAG, Fault, Kind, Point, Repository, Source, Timeflow, Why};
use crate::virtualization::run::Run;

/// How long whoever asks for a status waits for the plugin, and what it asks its host.
const STATUS_TIME_MAX: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(60) };

impl Virtualization {
    /// All dSources and VDBs.
    pub fn sources(&self) -> Answer<v1::Sources> {
        let rows = self.state.read(|view| view.all::<Source>())?;
        let made = rows.iter().filter(|row| row.record.is_made);
        Ok(v1::Sources { sources: made.map(|row| self.shown(row)).collect::<Answer<_>>()? })
    }

    /// A dSource or VDB.
    pub fn source(&self, name: &str) -> Answer<v1::Source> {
        self.shown(&self.made(name)?)
    }

    fn shown(&self, row: &Row<Source>) -> Answer<v1::Source> {
        let source = &row.record;
        let (points, timeflow, repository) = self.state.read(|view| {
            let timeflow = source.timeflow.map(|id| view.get::<Timeflow>(id)).transpose()?;
            let repository = view.get::<Repository>(source.repository).map(|row| row.record.0.name);
            Ok((view.owned::<Point>(row.id)?, timeflow, repository.unwrap_or_default()))
        })?;
        let mounts = source
            .mounts
            .iter()
            .map(|mounted| Ok(format!("{}:{}", self.ground.name(mounted.place.environment)?, mounted.path)));
        let package = self.packages.package(&source.plugin).ok();
        let config = source.config.as_ref().map(|sealed| self.unseal(sealed)).transpose()?;
        let config = config.zip(package.as_ref());
        let config = config.map(|(value, package)| package.named(SchemaKind::SourceConfig, value).name);
        Ok(v1::Source {
            name: source.name.clone(),
            kind: match source.kind {
                Kind::Staged => v1::SourceKind::Staged,
                Kind::Direct => v1::SourceKind::Direct,
                Kind::Virtual => v1::SourceKind::Virtual,
            },
            plugin: package.map_or_else(|| source.plugin.clone(), |found| found.name.clone()),
            environment: self.ground.name(source.place.environment)?,
            user: source.place.user.clone(),
            repository,
            config: config.filter(|name| !name.is_empty()),
            dataset: timeflow.as_ref().map(|row| row.record.dataset.clone()),
            from: timeflow.and_then(|row| row.record.from),
            is_enabled: source.is_enabled,
            is_stopped: source.is_stopped,
            mounts: mounts.collect::<Answer<_>>()?,
            snapshots: points.len() as u64,
            newest: points.last().map(|row| row.record.created),
        })
    }

    /// What the plugin says of a source.
    pub fn source_status(&self, name: &str) -> Answer<v1::SourceStatus> {
        let row = self.made(name)?;
        let is_enabled = row.record.is_enabled;
        let began = Instant::now();
        let is_over = || began.elapsed() > STATUS_TIME_MAX;
        let asked = self
            .aside(row, &is_over, |run| if is_enabled { Ok((is_active(run)?, size(run)?)) } else { Ok((None, None)) });
        let (is_active, size) = asked.map_err(|problem| if is_over() { too_long(name) } else { problem })?;
        Ok(v1::SourceStatus { name: name.to_owned(), is_enabled, is_active, size })
    }

    /// The timeflows of a source.
    pub fn timeline(&self, name: &str) -> Answer<v1::Timeline> {
        let row = self.made(name)?;
        let (sources, flows, points) = self
            .state
            .read(|view| Ok((view.all::<Source>()?, view.all::<Timeflow>()?, view.owned::<Point>(row.id)?)))?;
        let origin_of = |snapshot: &str| {
            let began = flows.iter().filter(|flow| flow.record.from.as_deref() == Some(snapshot));
            let named = began.filter_map(|flow| {
                let source = sources.iter().find(|source| source.id == flow.record.source)?;
                Some(format!("{} ({})", source.record.name, flow.record.ordinal))
            });
            named.collect()
        };
        let holds = self.store.holds()?;
        let shown_point = |Point { name, created, .. }: &Point| {
            let tags = holds.iter().filter(|(held, _)| held == name).map(|(_, tag)| tag);
            let (bookmarks, holds): (Vec<&String>, Vec<&String>) = tags.partition(|tag| tag.starts_with(BOOKMARK_TAG));
            let bookmarks = bookmarks.into_iter().map(|tag| tag.replacen(BOOKMARK_TAG, "", 1)).collect();
            let (name, created, origin_of) = (name.clone(), *created, origin_of(name));
            v1::TimeflowSnapshot { name, created, origin_of, bookmarks, holds: holds.into_iter().cloned().collect() }
        };
        let shown = |flow: &Row<Timeflow>| v1::Timeflow {
            number: flow.record.ordinal,
            dataset: flow.record.dataset.clone(),
            why: why(flow.record.why).to_owned(),
            from: flow.record.from.clone(),
            created: flow.record.created,
            is_current: row.record.timeflow == Some(flow.id),
            snapshots: points
                .iter()
                .filter(|point| point.record.timeflow == flow.id)
                .map(|point| shown_point(&point.record))
                .collect(),
        };
        let timeflows = flows.iter().filter(|flow| flow.record.source == row.id).map(shown).collect();
        Ok(v1::Timeline { source: row.record.name, timeflows })
    }

    /// Lasting bad states.
    pub fn faults(&self) -> Answer<v1::Faults> {
        let rows = self.state.read(|view| view.all::<Fault>())?;
        let shown = rows.into_iter().map(|row| {
            let Fault { subject, detail, hint, since } = row.record;
            v1::Fault { subject, detail, hint, since }
        });
        Ok(v1::Faults { faults: shown.collect() })
    }
}

fn too_long(name: &str) -> Problem {
    let detail = format!("the status of {name} took longer than {} s and was given up", STATUS_TIME_MAX.as_secs());
    Problem::new(Code::HostFailed, detail).with_hint("its host may hang: 'cowctl env refresh' looks at that")
}

fn is_active(run: &Run<'_>) -> Answer<Option<bool>> {
    let mounts = &run.source.mounts;
    let (operation, call) = match run.source.is_virtual() {
        true => (Operation::VirtualStatus, Call::VirtualStatus(run.as_virtual(mounts)?)),
        false => (Operation::LinkedStatus, Call::LinkedStatus(run.linked(mounts)?)),
    };
    // The SDK gives `linked.status` a staged source.
    if !run.package.has(operation) || run.source.kind == Kind::Direct {
        return Ok(None);
    }
    let status = run.call(call)?.status().map_err(|failure| failure.problem(&run.source.name))?;
    Ok(Some(status == Status::Active))
}

fn size(run: &Run<'_>) -> Answer<Option<u64>> {
    let mounts = &run.source.mounts;
    let (operation, call) = match run.source.is_virtual() {
        true => (Operation::VirtualSourceSize, Call::VirtualSourceSize(run.as_virtual(mounts)?)),
        false => (Operation::LinkedSourceSize, Call::LinkedSourceSize(run.linked(mounts)?)),
    };
    if !run.package.has(operation) {
        return Ok(None);
    }
    run.call(call)?.size().map(Some).map_err(|failure| failure.problem(&run.source.name))
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Link => "link",
        Why::Provision => "provision",
        Why::Empty => "empty",
        Why::Refresh => "refresh",
        Why::Rewind => "rewind",
    }
}
