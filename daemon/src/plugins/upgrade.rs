//! What an upgrade of a plugin does to the data of what uses it.
//!
//! Invariant: all objects come out migrated and checked, or none does.

use std::collections::BTreeMap;

use cow_api::v1::{Code, Problem};
use serde_json::{Map, Value};

use crate::plugins::schema::complaints;
use crate::plugins::{
    Call, Caller, Control, Credentials, Level, Library, LibraryError, ObjectKind, Package, Reply, SchemaKind, Script,
    ScriptOutput, Sync,
};

/// Something whose data a plugin's author defined.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// What names it among those of its kind.
    pub reference: String,
    /// The data, with its secrets.
    pub value: Value,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Repository, Self::SourceConfig, Self::LinkedSource, Self::VirtualSource, Self::Snapshot];

    /// The schema of its data.
    pub fn schema(self) -> SchemaKind {
        match self {
            Self::Repository => SchemaKind::Repository,
            Self::SourceConfig => SchemaKind::SourceConfig,
            Self::LinkedSource => SchemaKind::LinkedSource,
            Self::VirtualSource => SchemaKind::VirtualSource,
            Self::Snapshot => SchemaKind::Snapshot,
        }
    }
}

/// The migrations that an upgrade has to run, in order. A lower build, or one that lacks a migration, is refused.
pub fn plan(installed: &Package, new: &Package) -> Result<Vec<String>, Problem> {
    let refused = |why: String, hint: &str| {
        let detail = format!("cannot upgrade plugin '{}': {why}", installed.name);
        Err(Problem::new(Code::Conflict, detail).with_hint(hint))
    };
    if installed.id != new.id {
        return refused(format!("'{}' is another plugin", new.name), "its id in plugin_config.yml must stay the same");
    }
    if new.build_number < installed.build_number {
        let (new, old) = (&new.build_number, &installed.build_number);
        return refused(format!("build {new} is older than {old}, which is installed"), "buildNumber must not go down");
    }
    if new.plugin_type != installed.plugin_type {
        return refused("it is no longer of the same type".to_owned(), "pluginType must stay the same");
    }
    let missing = installed.manifest.migration_ids.iter().find(|id| !new.manifest.migration_ids.contains(id));
    if let Some(missing) = missing {
        return refused(
            format!("the new build lacks migration {missing}, which was run"),
            "a plugin must keep the migrations that it ever had",
        );
    }
    let is_new = |id: &&String| !installed.manifest.migration_ids.contains(id);
    let mut ids: Vec<String> = new.manifest.migration_ids.iter().filter(is_new).cloned().collect();
    ids.sort_by_key(|id| id.split('.').map(|part| part.parse::<u64>().unwrap_or(0)).collect::<Vec<_>>());
    Ok(ids)
}

/// The objects as the migrations of `new` rewrite them; each fits its new schema.
pub fn migrate(
    caller: &dyn Caller,
    new: &Package,
    migration_ids: &[String],
    objects: &[Object],
    control: &dyn Control,
) -> Result<Vec<Object>, Problem> {
    let act = format!("cannot upgrade plugin '{}'", new.name);
    let mut migrated = Vec::new();
    for kind in ObjectKind::ALL {
        let of_kind = objects.iter().filter(|object| object.kind == kind);
        let mut values: BTreeMap<String, Value> =
            of_kind.map(|object| (object.reference.clone(), object.value.clone())).collect();
        if values.is_empty() {
            continue;
        }
        if !migration_ids.is_empty() {
            let count = values.len();
            let call = Call::Upgrade { kind, migration_ids: migration_ids.to_vec(), objects: values };
            let reply = caller.call(new, &call, &Migrating { plugin: &new.name }, control);
            values = reply.and_then(Reply::upgraded).map_err(|failure| failure.problem(&act))?;
            if values.len() != count {
                return Err(Problem::new(Code::PluginFailed, format!("{act}: a migration lost objects")));
            }
        }
        for (reference, value) in values {
            check(new, kind, &reference, &value, &act)?;
            migrated.push(Object { kind, reference, value });
        }
    }
    Ok(migrated)
}

fn check(new: &Package, kind: ObjectKind, reference: &str, value: &Value, act: &str) -> Result<(), Problem> {
    let none = Value::Object(Map::new());
    let found = complaints(new.schemas.get(kind.schema()).unwrap_or(&none), value);
    let why = match found {
        Ok(None) => return Ok(()),
        Ok(Some(found)) => found,
        Err(wrong) => wrong,
    };
    let detail = format!("{act}: {} {reference} would not fit the new schema: {why}", kind.schema().as_str());
    Err(Problem::new(Code::PluginFailed, detail).with_hint("nothing was changed; the plugin lacks a migration"))
}

/// What migrations and imports may ask for: their log, and a supplier for a password.
pub struct Migrating<'p> {
    /// The plugin's name.
    pub plugin: &'p str,
}

fn unavailable<T>() -> Result<T, LibraryError> {
    Err(LibraryError::NonActionable { message: "migrations and imports cannot use hosts or credentials".to_owned() })
}

impl Library for Migrating<'_> {
    fn run_bash(&self, _: &Script) -> Result<ScriptOutput, LibraryError> {
        unavailable()
    }

    fn run_expect(&self, _: &Script) -> Result<ScriptOutput, LibraryError> {
        unavailable()
    }

    fn run_powershell(&self, _: &Script) -> Result<ScriptOutput, LibraryError> {
        unavailable()
    }

    fn run_sync(&self, _: &Sync) -> Result<(), LibraryError> {
        unavailable()
    }

    fn log(&self, level: Level, message: &str) {
        // Not what it says: a migration has passwords in its hands.
        tracing::debug!(plugin = self.plugin, level = ?level, message_len = message.len() as u64, "a plugin logged");
    }

    fn retrieve_credentials(&self, _: &Map<String, Value>) -> Result<Credentials, LibraryError> {
        unavailable()
    }

    fn upgrade_password(&self, password: &str, username: Option<&str>) -> Result<Map<String, Value>, LibraryError> {
        let fields =
            [("type", "NamedPasswordCredential"), ("username", username.unwrap_or_default()), ("password", password)];
        Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
    }
}
