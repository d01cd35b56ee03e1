//! Plugins: which are installed, and the verbs that change that.
//!
//! Invariant: a plugin that is remembered has its files, and an upgrade changes the plugin and all data of it as a
//! whole or not at all. Files that no plugin is remembered for are removed at start.

mod record;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cow_api::v1::{self, Code, Problem};
use parking_lot::Mutex;
use serde_json::json;

use crate::clock;
use crate::plugins::{
    Cancel, Language, Migrating, Object, Package, Runner, SchemaKind, Source, migrate, plan, template,
};
use crate::service::Answer;
use crate::state::{Edit, Row, State};
use crate::virtualization::hidden::Hidden;
pub use crate::virtualization::plugins::record::PluginRecord;

/// Where installed plugins are, in the directory of plugins.
const INSTALLED: &str = "installed";

/// What uses plugins.
pub trait PluginTenants: Send + Sync {
    /// What uses a plugin, as in `dSource 'prod'`: while anything does it cannot be removed.
    fn used_by(&self, plugin: u64) -> Answer<Vec<String>>;
    /// The data that a plugin's author defined, with its secrets. `Busy` while an operation of the plugin is under way.
    fn objects(&self, plugin: u64) -> Answer<Vec<Object>>;
    /// Puts upgraded data in place of what [`PluginTenants::objects`] gave, as a part of the write that upgrades the plugin.
    /// `Busy` if the data is not as it was then, or an operation is under way by now.
    fn replace(&self, edit: &Edit<'_>, plugin: u64, before: &[Object], after: &[Object]) -> Answer<()>;
    /// Begins to look for what a plugin that was installed or upgraded can find. The job's number, if there is one.
    fn discover(&self, plugin: u64) -> Answer<Option<u64>>;
    /// Forgets what a plugin had found, as a part of the write that removes it. Fails if anything uses the plugin by now.
    fn forget(&self, edit: &Edit<'_>, plugin: u64) -> Answer<()>;
}

/// The plugins that are installed.
pub struct Plugins {
    state: Arc<State>,
    runner: Arc<Runner>,
    tenants: OnceLock<Arc<dyn PluginTenants>>,
    /// Held while one is installed, upgraded or removed.
    changing: Mutex<()>,
}

impl Plugins {
    /// What the state remembers. Files that an interrupted change left are removed.
    pub fn new(state: Arc<State>, runner: Arc<Runner>) -> Self {
        let plugins = Self { state, runner, tenants: OnceLock::new(), changing: Mutex::new(()) };
        plugins.sweep();
        plugins
    }

    /// Tells what uses plugins. Only the first call counts.
    pub fn set_tenants(&self, tenants: Arc<dyn PluginTenants>) {
        let _ = self.tenants.set(tenants);
    }

    /// What runs them.
    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// A plugin by its number.
    pub fn get(&self, id: u64) -> Answer<Row<PluginRecord>> {
        self.state.read(|view| view.get(id))
    }

    /// A plugin by its name or its UUID.
    pub fn named(&self, name: &str) -> Answer<Row<PluginRecord>> {
        match self.with_id(&name.to_lowercase())? {
            Some(row) => Ok(row),
            None => self.state.read(|view| view.named(name)),
        }
    }

    fn with_id(&self, id: &str) -> Answer<Option<Row<PluginRecord>>> {
        let rows = self.state.read(|view| view.all::<PluginRecord>())?;
        Ok(rows.into_iter().find(|row| row.record.package.id == id))
    }

    /// What each of them is.
    pub fn packages(&self) -> Answer<Vec<Package>> {
        let rows = self.state.read(|view| view.all::<PluginRecord>())?;
        Ok(rows.into_iter().map(|row| row.record.package).collect())
    }

    /// All of them.
    pub fn list(&self) -> Answer<v1::Plugins> {
        let mut rows = self.state.read(|view| view.all::<PluginRecord>())?;
        rows.sort_by(|left, right| left.record.package.name.cmp(&right.record.package.name));
        let plugins = rows.iter().map(|row| self.shown(row)).collect::<Answer<_>>()?;
        Ok(v1::Plugins { plugins })
    }

    /// One of them.
    pub fn show(&self, name: &str) -> Answer<v1::Plugin> {
        self.shown(&self.named(name)?)
    }

    fn shown(&self, row: &Row<PluginRecord>) -> Answer<v1::Plugin> {
        Ok(record::shown(&row.record, self.used_by(row.id)?))
    }

    fn used_by(&self, id: u64) -> Answer<Vec<String>> {
        self.tenants.get().map_or_else(|| Ok(Vec::new()), |tenants| tenants.used_by(id))
    }

    /// Installs a plugin from a source folder or an artifact on this host.
    pub fn install(&self, path: &Path) -> Answer<v1::Plugin> {
        let _changing = self.changing.lock();
        let source = read(path)?;
        let name = &source.package.name;
        if let Some(row) = self.with_id(&source.package.id)? {
            let detail = format!("plugin '{}' is installed already, as '{}'", name, row.record.package.name);
            return Err(Problem::new(Code::Exists, detail).with_hint("'cowctl plugin upgrade' takes a newer build"));
        }
        if self.state.read(|view| view.find::<PluginRecord>(0, name))?.is_some() {
            return Err(Problem::new(Code::Exists, format!("there is another plugin of the name '{name}'")));
        }
        let package = self.place(&source)?;
        let record = PluginRecord { package, installed: clock::time(clock::now()) };
        let id = self.state.write(|edit| edit.insert(&record)).inspect_err(|_| self.discard(&record.package))?;
        tracing::info!(plugin = record.package.name, build = %record.package.build_number, "installed a plugin");
        self.looking(&Row { id, record })
    }

    /// A plugin that is new or changed looks at all environments; that it cannot yet is no failure of that change.
    fn looking(&self, row: &Row<PluginRecord>) -> Answer<v1::Plugin> {
        let begun = self.tenants.get().map_or(Ok(None), |tenants| tenants.discover(row.id));
        let discovery = begun.unwrap_or_else(|problem| {
            tracing::warn!(plugin = row.record.package.name, %problem, "cannot look for what a plugin finds");
            None
        });
        Ok(v1::Plugin { discovery, ..self.shown(row)? })
    }

    /// Puts a newer build in the place of a plugin that is installed, and migrates the data of what uses it.
    pub fn upgrade(&self, path: &Path) -> Answer<v1::Plugin> {
        let _changing = self.changing.lock();
        let source = read(path)?;
        let Some(mut row) = self.with_id(&source.package.id)? else {
            let detail = format!("plugin '{}' is not installed", source.package.name);
            return Err(Problem::new(Code::NotFound, detail).with_hint("'cowctl plugin install' installs it"));
        };
        let package = self.place(&source)?;
        let record = PluginRecord { package, installed: clock::time(clock::now()) };
        if let Err(problem) = self.migrate(row.id, &row.record.package, &record) {
            self.discard(&record.package);
            return Err(problem);
        }
        self.discard(&row.record.package);
        row.record = record;
        tracing::info!(plugin = row.record.package.name, build = %row.record.package.build_number, "upgraded a plugin");
        self.looking(&row)
    }

    /// Upgrades a plugin, or installs it where it is not: what `dvp upload` asks for.
    pub fn upload(&self, path: &Path) -> Answer<v1::Plugin> {
        let id = read(path)?.package.id;
        if self.with_id(&id)?.is_some() { self.upgrade(path) } else { self.install(path) }
    }

    fn migrate(&self, id: u64, installed: &Package, new: &PluginRecord) -> Answer<()> {
        let migration_ids = plan(installed, &new.package)?;
        let Some(tenants) = self.tenants.get() else {
            return self.state.write(|edit| edit.update(id, new));
        };
        let objects = tenants.objects(id)?;
        let hidden = Hidden::default();
        objects.iter().for_each(|object| hidden.add(installed, object.kind.schema(), &object.value));
        let migrated = migrate(&*self.runner, &new.package, &migration_ids, &objects, &Cancel::default())
            .map_err(|problem| hidden.mask_problem(problem))?;
        self.state.write(|edit| {
            edit.update(id, new)?;
            tenants.replace(edit, id, &objects, &migrated)
        })
    }

    /// Forgets a plugin that nothing uses.
    pub fn remove(&self, name: &str) -> Answer<v1::Plugin> {
        let _changing = self.changing.lock();
        let row = self.named(name)?;
        let shown = self.shown(&row)?;
        if !shown.used_by.is_empty() {
            let detail = format!("cannot remove plugin '{name}': {} use it", shown.used_by.join(", "));
            return Err(Problem::new(Code::Conflict, detail).with_hint("delete or unlink them first"));
        }
        self.state.write(|edit| {
            self.tenants.get().map_or(Ok(()), |tenants| tenants.forget(edit, row.id))?;
            edit.remove::<PluginRecord>(row.id)
        })?;
        self.discard(&row.record.package);
        Ok(shown)
    }

    /// Fetches what plugins of a language need.
    pub fn set_up(&self, language: Language, wheels: Option<&Path>) -> Answer<v1::PluginLanguage> {
        let settings = self.runner.settings();
        settings.set_up(language, wheels).map_err(|failure| failure.problem("cannot set up plugins"))?;
        Ok(v1::PluginLanguage { language: language.to_string(), is_set_up: settings.is_set_up(language) })
    }

    /// A template of parameters of a plugin.
    pub fn schema(&self, name: &str, kind: SchemaKind) -> Answer<v1::PluginSchema> {
        let row = self.named(name)?;
        let none = json!({ "type": "object", "properties": {} });
        let schema = row.record.package.schemas.get(kind).unwrap_or(&none);
        Ok(v1::PluginSchema { kind: kind.as_str().to_owned(), template: template(schema), schema: schema.to_string() })
    }

    /// Where uploads may be put for as long as they are looked at.
    pub fn directory(&self) -> &Path {
        &self.runner.settings().directory
    }

    /// Puts a plugin's files in a directory of their own.
    fn place(&self, source: &Source) -> Answer<Package> {
        let package = &source.package;
        let number = clock::time(clock::now());
        let name = format!("{}-{}-{}", package.id, package.build_number, number.to_string().replace([':', '.'], ""));
        let target = self.directory().join(INSTALLED).join(name);
        self.runner.install(source, &target, &Migrating { plugin: &package.name }, &Cancel::default())
    }

    /// Removes the files of a plugin that is not remembered.
    fn discard(&self, package: &Package) {
        if let Err(error) = self.runner.uninstall(package) {
            tracing::warn!(plugin = package.name, %error, "cannot remove a plugin's files; the next start tries again");
        }
    }

    /// Removes what an interrupted change left.
    fn sweep(&self) {
        let Ok(rows) = self.state.read(|view| view.all::<PluginRecord>()) else { return };
        let known: BTreeSet<PathBuf> =
            rows.iter().filter_map(|row| row.record.package.root.parent().map(Path::to_owned)).collect();
        let installed = self.directory().join(INSTALLED);
        for folder in [installed.clone(), self.directory().join("sdk"), self.directory().to_owned()] {
            for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
                let is_draft = entry.file_name().to_string_lossy().starts_with('.');
                if is_draft || (folder == installed && !known.contains(&entry.path())) {
                    let path = entry.path();
                    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                }
            }
        }
    }
}

fn read(path: &Path) -> Answer<Source> {
    if !path.is_absolute() {
        let detail = format!("'{}' is not an absolute path on cowd's host", path.display());
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    Source::read(path)
}
