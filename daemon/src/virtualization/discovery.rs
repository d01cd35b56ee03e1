//! Discovery: what plugins find on an environment, and what became of what they had found before.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cow_api::v1::{self, Code, JobKind, JobLevel, JobReport, Problem};
use serde_json::Value;

use crate::jobs::Ticket;
use crate::plugins::{Call, Named, Operation, Package, SchemaKind};
use crate::service::Answer;
use crate::state::{Record, Row, View};
use crate::virtualization::Virtualization;
use crate::virtualization::environments::Tenants;
use crate::virtualization::hidden::Hidden;
use crate::virtualization::journal::Journal;
use crate::virtualization::library::Shelf;
use crate::virtualization::outside::Stop;
use crate::virtualization::plugins::PluginRecord;
use crate::virtualization::records::{Found, Hook, Place, Repository, Source, SourceConfig};
use crate::virtualization::run::Job;

/// On how many hosts a plugin looks at once.
const HOSTS_AT_ONCE: usize = 8;
/// How long whoever makes an environment known waits for plugins to look around.
const PATIENCE: Duration = Duration::from_mins(10);

/// A virtualization that environments tell of themselves.
pub struct Tenant(pub Arc<Virtualization>);

impl Tenants for Tenant {
    fn used_by(&self, environment: u64) -> Answer<Vec<String>> {
        let (sources, hooks) = self.0.state.read(|view| Ok((view.all::<Source>()?, view.all::<Hook>()?)))?;
        let uses = |row: &Row<Source>| {
            let hooks = hooks.iter().filter(|hook| hook.record.source == row.id);
            let of_hooks = hooks.filter_map(|hook| hook.record.place.as_ref()).map(|place| place.environment);
            row.record.environments().chain(of_hooks).any(|used| used == environment)
        };
        let used = sources.iter().filter(|row| uses(row));
        Ok(used.map(|row| row.record.describe()).collect())
    }

    fn discover(&self, environment: u64) -> Answer<()> {
        let job = self.0.discover(environment)?;
        self.0.jobs.wait(job.id, PATIENCE).map(drop)
    }
}

/// Fails unless a plugin that has looked is still as it is installed: what another build finds is not for its schema.
fn check_is_current(view: &View<'_>, package: &Package) -> Answer<()> {
    let mut installed = view.all::<PluginRecord>()?.into_iter().map(|row| row.record.package);
    if installed.any(|installed| installed == *package) {
        return Ok(());
    }
    let detail = format!("plugin {} was upgraded or removed while it looked", package.name);
    Err(Problem::new(Code::Busy, detail).with_hint("a newer build looks by itself"))
}

impl Virtualization {
    /// Begins to look for what each plugin can find on an environment.
    pub fn discover(self: &Arc<Self>, environment: u64) -> Answer<v1::Job> {
        let (this, name) = (self.clone(), self.ground.name(environment)?);
        let place = self.ground.place(&name, None)?;
        let work = move |ticket: &Ticket| {
            for package in this.packages.all()? {
                if ticket.is_cancelled() {
                    return Err(ticket.cancelled());
                }
                this.look_if_it_can(ticket, &package, &place);
            }
            Ok(JobReport::Plain)
        };
        self.jobs.start_on([environment].into(), JobKind::Discover, &name, Box::new(work))
    }

    /// Begins to look for what a plugin can find on all environments, if there are any.
    pub fn discover_by(self: &Arc<Self>, plugin: &str) -> Answer<Option<v1::Job>> {
        let (this, package) = (self.clone(), self.packages.package(plugin)?);
        let names = self.ground.environments()?;
        if names.is_empty() {
            return Ok(None);
        }
        let places = names.iter().map(|name| self.ground.place(name, None)).collect::<Answer<Vec<_>>>()?;
        let name = package.name.clone();
        let work = move |ticket: &Ticket| {
            // A host that does not answer holds up those beside it no longer than it takes to notice that.
            for some in places.chunks(HOSTS_AT_ONCE) {
                if ticket.is_cancelled() {
                    return Err(ticket.cancelled());
                }
                thread::scope(|scope| {
                    for place in some {
                        scope.spawn(|| this.look_if_it_can(ticket, &package, place));
                    }
                });
            }
            Ok(JobReport::Plain)
        };
        self.jobs.start(JobKind::Discover, &name, Box::new(work)).map(Some)
    }

    /// What one plugin fails at, or on one host, keeps no other from looking: it is told in the log.
    fn look_if_it_can(&self, ticket: &Ticket, package: &Package, place: &Place) {
        if let Err(problem) = self.look(ticket, package, place) {
            let hint = problem.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
            ticket.note(JobLevel::Error, format!("{}{hint}", problem.detail));
        }
    }

    fn look(&self, ticket: &Ticket, package: &Package, place: &Place) -> Answer<()> {
        if !package.has(Operation::DiscoveryRepository) {
            return Ok(());
        }
        let source_connection = self.ground.connection(place)?;
        let call = Call::DiscoveryRepository { source_connection: source_connection.clone() };
        let host = &source_connection.environment.name;
        let found = self.found(ticket, package, host, call)?;
        ticket.note(JobLevel::Info, format!("{} on {host}: {} repositories", package.name, found.len()));
        self.reconcile_found(package, SchemaKind::Repository, place.environment, found, Repository, |row| &mut row.0)?;
        if !package.has(Operation::DiscoverySourceConfig) {
            return Ok(());
        }
        let known = self.state.read(|view| view.owned::<Repository>(place.environment))?;
        for Row { id, record: Repository(found) } in known {
            if found.plugin != package.id || found.is_lost {
                continue;
            }
            let repository = Named { name: found.name.clone(), parameters: self.unseal(&found.parameters)? };
            let call = Call::DiscoverySourceConfig { source_connection: source_connection.clone(), repository };
            let configs = self.found(ticket, package, host, call)?;
            ticket.note(JobLevel::Info, format!("{} on {host}: {} in {}", package.name, configs.len(), found.name));
            self.reconcile_found(package, SchemaKind::SourceConfig, id, configs, SourceConfig, |row| &mut row.0)?;
        }
        Ok(())
    }

    fn found(&self, ticket: &Ticket, package: &Package, host: &str, call: Call) -> Answer<Vec<Named>> {
        let operation = call.operation().map_or_else(String::new, |operation| operation.to_string());
        ticket.step(format!("plugin {}: {operation} on {host}", package.name));
        let journal = Journal::new(&self.state, ticket.id());
        let is_cancelled = || ticket.is_cancelled();
        let job = Job { on: self, ticket, journal: &journal, is_cancelled: &is_cancelled };
        let hidden = Hidden::default();
        if let Call::DiscoverySourceConfig { repository, .. } = &call {
            hidden.add(package, SchemaKind::Repository, &repository.parameters);
        }
        let shelf = Shelf { job: &job, run: None, hidden: &hidden };
        let reply = self.caller.call(package, &call, &shelf, &Stop(&is_cancelled));
        let act = format!("{operation} of plugin {} on {host} failed", package.name);
        let found = reply.and_then(|reply| reply.found());
        found.map_err(|failure| hidden.mask_problem(failure.problem(&act)))
    }

    /// Brings what is remembered in step with what was found: what is the same by its identity keeps its number.
    fn reconcile_found<T: Record>(
        &self,
        package: &Package,
        kind: SchemaKind,
        on: u64,
        found: Vec<Named>,
        record: fn(Found) -> T,
        inner: fn(&mut T) -> &mut Found,
    ) -> Answer<()> {
        let found: Vec<Found> =
            found.into_iter().map(|named| self.as_found(package, kind, on, named)).collect::<Answer<_>>()?;
        self.state.write(|edit| {
            check_is_current(edit, package)?;
            for mut row in edit.owned::<T>(on)? {
                let known = inner(&mut row.record);
                if known.plugin != package.id || known.is_manual {
                    continue;
                }
                known.is_lost = !found.iter().any(|found| found.identity == known.identity);
                edit.update(row.id, &row.record)?;
            }
            for found in found {
                let record = record(found);
                match edit.find::<T>(on, &record.key())? {
                    Some(row) => edit.update(row.id, &record)?,
                    None => edit.insert(&record).map(drop)?,
                }
            }
            Ok(())
        })
    }

    fn as_found(&self, package: &Package, kind: SchemaKind, on: u64, named: Named) -> Answer<Found> {
        let identity = Value::Object(package.identity(kind, &named.parameters)).to_string();
        let (plugin, parameters) = (package.id.clone(), self.seal(&named.parameters)?);
        Ok(Found { on, plugin, name: named.name, identity, parameters, is_lost: false, is_manual: false })
    }

    /// What plugins have found on an environment.
    pub fn discovered(&self, environment: &str) -> Answer<v1::Discovered> {
        let place = self.ground.place(environment, None)?;
        let (repositories, configs) = self.state.read(|view| {
            let repositories = view.owned::<Repository>(place.environment)?;
            let configs = view.all::<SourceConfig>()?;
            Ok((repositories, configs))
        })?;
        let shown = |Row { id, record: Repository(found) }: Row<Repository>| v1::DiscoveredRepository {
            plugin: self
                .packages
                .package(&found.plugin)
                .map_or_else(|_| found.plugin.clone(), |known| known.name.clone()),
            name: found.name,
            is_lost: found.is_lost,
            configs: configs.iter().filter(|row| row.record.0.on == id).map(|row| row.record.0.name.clone()).collect(),
        };
        Ok(v1::Discovered { repositories: repositories.into_iter().map(shown).collect() })
    }
}
