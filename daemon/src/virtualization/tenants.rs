//! What environments and plugins are used by, and the data of a plugin that an upgrade of it rewrites.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::plugins::{Object, ObjectKind, Package};
use crate::service::Answer;
use crate::state::{Edit, Record, View};
use crate::virtualization::discovery::Tenant;
use crate::virtualization::journal;
use crate::virtualization::outside::Packages;
use crate::virtualization::plugins::{PluginRecord, PluginTenants, Plugins};
use crate::virtualization::records::{Point, Repository, Sealed, Source, SourceConfig};
use crate::virtualization::{Code, Problem, Virtualization};

impl Packages for Plugins {
    fn package(&self, id_or_name: &str) -> Answer<Arc<Package>> {
        Ok(Arc::new(self.named(id_or_name)?.record.package))
    }

    fn all(&self) -> Answer<Vec<Arc<Package>>> {
        Ok(self.packages()?.into_iter().map(Arc::new).collect())
    }
}

impl PluginTenants for Tenant {
    fn used_by(&self, plugin: u64) -> Answer<Vec<String>> {
        let (uuid, sources) = self.0.state.read(|view| Ok((uuid(view, plugin)?, view.all::<Source>()?)))?;
        let used = sources.iter().filter(|row| row.record.plugin == uuid);
        Ok(used.map(|row| row.record.describe()).collect())
    }

    fn objects(&self, plugin: u64) -> Answer<Vec<Object>> {
        self.0.state.read(|view| self.0.objects_at_rest(view, &uuid(view, plugin)?))
    }

    fn replace(&self, edit: &Edit<'_>, plugin: u64, before: &[Object], after: &[Object]) -> Answer<()> {
        let uuid = uuid(edit, plugin)?;
        // A job that began since then works by the build that is to go; one that has ended as well left what no migration saw.
        if self.0.objects_at_rest(edit, &uuid)? != before {
            let problem = Problem::new(Code::Busy, "something of the plugin changed while it was upgraded");
            return Err(problem.with_hint("nothing was upgraded: try again"));
        }
        let after: HashMap<(ObjectKind, &str), &Value> =
            after.iter().map(|object| ((object.kind, object.reference.as_str()), &object.value)).collect();
        let new = |kind: ObjectKind, reference: String| -> Answer<Option<Sealed>> {
            after.get(&(kind, reference.as_str())).map(|value| self.0.seal(value)).transpose()
        };
        write_all(edit, &uuid, &new, &self.0)
    }

    fn discover(&self, plugin: u64) -> Answer<Option<u64>> {
        let uuid = self.0.state.read(|view| uuid(view, plugin))?;
        Ok(self.0.discover_by(&uuid)?.map(|job| job.id))
    }

    fn forget(&self, edit: &Edit<'_>, plugin: u64) -> Answer<()> {
        let uuid = uuid(edit, plugin)?;
        if let Some(row) = edit.all::<Source>()?.iter().find(|row| row.record.plugin == uuid) {
            let problem = Problem::new(Code::Conflict, format!("{} uses it by now", row.record.describe()));
            return Err(problem.with_hint("delete or unlink it first"));
        }
        for row in edit.all::<SourceConfig>()?.iter().filter(|row| row.record.0.plugin == uuid) {
            edit.remove::<SourceConfig>(row.id)?;
        }
        for row in edit.all::<Repository>()?.iter().filter(|row| row.record.0.plugin == uuid) {
            edit.remove::<Repository>(row.id)?;
        }
        Ok(())
    }
}

impl Virtualization {
    /// All data of a plugin. `Busy` while a job works on any source of it: none can begin to before the view ends and then
    /// see what was before.
    fn objects_at_rest(&self, view: &View<'_>, uuid: &str) -> Answer<Vec<Object>> {
        let sources = view.all::<Source>()?;
        let busy = self.busy.lock().clone();
        if let Some(row) = sources.iter().find(|row| row.record.plugin == uuid && busy.contains(&row.id)) {
            let problem = Problem::new(Code::Busy, format!("a job works on {}", row.record.name));
            return Err(problem.with_hint("wait for its end: 'cowctl job list' shows it"));
        }
        // A job that has ended may still have to be undone with a source config that no migration would see.
        let owed = journal::to_shut_down(view)?;
        if let Some(row) = sources.iter().find(|row| row.record.plugin == uuid && owed.contains(&row.id)) {
            let detail = format!("what a job had begun with {} is still to be undone", row.record.name);
            return Err(
                Problem::new(Code::Busy, detail).with_hint("'cowctl fault' tells why; it is tried again every minute")
            );
        }
        let mut sealed = Vec::new();
        visit(view, uuid, &mut |kind, reference, value| sealed.push((kind, reference, value.clone())))?;
        let open = |(kind, reference, sealed): (ObjectKind, String, Sealed)| {
            Ok(Object { kind, reference, value: self.unseal(&sealed)? })
        };
        sealed.into_iter().map(open).collect()
    }
}

fn uuid(view: &View<'_>, plugin: u64) -> Answer<String> {
    Ok(view.get::<PluginRecord>(plugin)?.record.package.id)
}

fn reference(kind: &str, id: u64) -> String {
    format!("{kind}-{id}")
}

/// All data of a plugin: of repositories, source configs, dSources, VDBs and snapshots.
fn visit(view: &View<'_>, uuid: &str, each: &mut dyn FnMut(ObjectKind, String, &Sealed)) -> Answer<()> {
    for row in view.all::<Repository>()?.iter().filter(|row| row.record.0.plugin == uuid) {
        each(ObjectKind::Repository, reference("repository", row.id), &row.record.0.parameters);
    }
    for row in view.all::<SourceConfig>()?.iter().filter(|row| row.record.0.plugin == uuid) {
        each(ObjectKind::SourceConfig, reference("config", row.id), &row.record.0.parameters);
    }
    for row in view.all::<Source>()?.iter().filter(|row| row.record.plugin == uuid) {
        each(kind_of(&row.record), reference("source", row.id), &row.record.parameters);
        if let Some(config) = &row.record.config {
            each(ObjectKind::SourceConfig, reference("source-config", row.id), config);
        }
        for point in view.owned::<Point>(row.id)? {
            each(ObjectKind::Snapshot, reference("snapshot", point.id), &point.record.data);
        }
    }
    Ok(())
}

fn kind_of(source: &Source) -> ObjectKind {
    if source.is_virtual() { ObjectKind::VirtualSource } else { ObjectKind::LinkedSource }
}

type New<'n> = &'n dyn Fn(ObjectKind, String) -> Answer<Option<Sealed>>;

fn write_all(edit: &Edit<'_>, uuid: &str, new: New<'_>, on: &Virtualization) -> Answer<()> {
    for mut row in edit.all::<Repository>()?.into_iter().filter(|row| row.record.0.plugin == uuid) {
        if let Some(sealed) = new(ObjectKind::Repository, reference("repository", row.id))? {
            row.record.0.parameters = sealed;
            named_anew(on, edit, uuid, &mut row.record.0, crate::plugins::SchemaKind::Repository)?;
            put(edit, row.id, &row.record)?;
        }
    }
    for mut row in edit.all::<SourceConfig>()?.into_iter().filter(|row| row.record.0.plugin == uuid) {
        if let Some(sealed) = new(ObjectKind::SourceConfig, reference("config", row.id))? {
            row.record.0.parameters = sealed;
            named_anew(on, edit, uuid, &mut row.record.0, crate::plugins::SchemaKind::SourceConfig)?;
            put(edit, row.id, &row.record)?;
        }
    }
    for mut row in edit.all::<Source>()?.into_iter().filter(|row| row.record.plugin == uuid) {
        if let Some(sealed) = new(kind_of(&row.record), reference("source", row.id))? {
            row.record.parameters = sealed;
        }
        if let Some(sealed) = new(ObjectKind::SourceConfig, reference("source-config", row.id))? {
            row.record.config = Some(sealed);
        }
        put(edit, row.id, &row.record)?;
        for mut point in edit.owned::<Point>(row.id)? {
            if let Some(sealed) = new(ObjectKind::Snapshot, reference("snapshot", point.id))? {
                point.record.data = sealed;
                put(edit, point.id, &point.record)?;
            }
        }
    }
    Ok(())
}

fn put<T: Record>(edit: &Edit<'_>, id: u64, record: &T) -> Answer<()> {
    edit.update(id, record)
}

/// The upgraded plugin names and identifies what it had found, so that its next discovery finds it again.
fn named_anew(
    on: &Virtualization,
    edit: &Edit<'_>,
    uuid: &str,
    found: &mut crate::virtualization::records::Found,
    kind: crate::plugins::SchemaKind,
) -> Answer<()> {
    let installed = edit.all::<PluginRecord>()?.into_iter().find(|row| row.record.package.id == uuid);
    let Some(package) = installed.map(|row| row.record.package) else { return Ok(()) };
    let value = on.unseal(&found.parameters)?;
    found.identity = serde_json::Value::Object(package.identity(kind, &value)).to_string();
    found.name = package.named(kind, value).name;
    Ok(())
}
