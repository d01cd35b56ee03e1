//! A plugin as its author hands it out: a source folder, or the artifact that `dvp build` packs.
//!
//! Invariant: nothing of a plugin's code has run when this is done, and what is wrong is told with file and field.

use std::fs;
use std::path::{Path, PathBuf};

use cow_api::v1::Problem;
use serde_json::{Map, Value, json};

use crate::plugins::fields::{Fields, wrong};
use crate::plugins::{Language, Manifest, Operation, Package, PluginType, SchemaKind, Schemas, schema};

/// The description in a source folder.
const CONFIG: &str = "plugin_config.yml";
/// Most bytes of an artifact, and of a description.
const LEN_MAX: u64 = 256 << 20;

/// Where the code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// In this directory, to be copied. What `dvp build` would generate from schemas is not taken from it.
    Folder(PathBuf),
    /// In this artifact, to be unpacked.
    Artifact(PathBuf),
}

/// A plugin that is not installed yet.
#[derive(Debug)]
pub struct Source {
    /// What it says of itself; the manifest of one from a folder is still empty, and `root` is.
    pub package: Package,
    /// Where its code is.
    pub code: Code,
    /// Its schemas in their author's order.
    pub schema_text: String,
}

impl Source {
    /// Reads a source folder, its `plugin_config.yml`, or an artifact.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        if path.is_dir() {
            return Self::from_folder(&path.join(CONFIG));
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yml" | "yaml") => Self::from_folder(path),
            _ => Self::from_artifact(path),
        }
    }

    fn from_folder(config: &Path) -> Result<Self, Problem> {
        let file = config.display().to_string();
        let value: Value = serde_saphyr::from_str(&read(config)?)
            .map_err(|error| wrong(&file, "", &format!("it is no YAML: {}", first_line(&error.to_string()))))?;
        let fields = Fields::new(&file, value)?;
        let mut package = described(&fields, "id")?;
        package.plugin_type = match fields.required("pluginType")?.to_uppercase().as_str() {
            "STAGED" => PluginType::Staged,
            "DIRECT" => PluginType::Direct,
            _ => return Err(fields.wrong("pluginType", "it must be STAGED or DIRECT")),
        };
        package.manual_discovery = fields.switch("manualDiscovery", true)?;
        let folder = config.parent().unwrap_or(Path::new("."));
        let code = folder.join(fields.required("srcDir")?);
        let schema_file = folder.join(fields.required("schemaFile")?);
        fields.all_known()?;
        if !code.is_dir() {
            return Err(fields.wrong("srcDir", &format!("there is no directory {}", code.display())));
        }
        let schema_text = read(&schema_file)?;
        package.schemas = schemas(&schema_file, &schema_text)?;
        Ok(Self { package, code: Code::Folder(code), schema_text })
    }

    fn from_artifact(path: &Path) -> Result<Self, Problem> {
        let file = path.display().to_string();
        let value: Value = serde_json::from_str(&read(path)?)
            .map_err(|error| wrong(&file, "", &format!("it is no artifact of 'dvp build': {error}")))?;
        let fields = Fields::new(&file, value)?;
        if !fields.value("sourceCode").is_some_and(Value::is_string) {
            return Err(fields.wrong("sourceCode", "it is missing"));
        }
        let mut package = described(&fields, "pluginId")?;
        package.name = fields.text("name")?.or(fields.text("prettyName")?).unwrap_or_else(|| package.id.clone());
        package.plugin_type = match fields.object("linkedSourceDefinition")?.required("type")?.as_str() {
            "PluginLinkedStagedSourceDefinition" => PluginType::Staged,
            "PluginLinkedDirectSourceDefinition" => PluginType::Direct,
            _ => return Err(fields.wrong("linkedSourceDefinition.type", "it is neither staged nor direct")),
        };
        let api = fields.value("buildApi").and_then(Value::as_object);
        package.build_api = api.map(|api| {
            let part = |name: &str| api.get(name).and_then(Value::as_u64).unwrap_or(0);
            format!("{}.{}.{}", part("major"), part("minor"), part("micro"))
        });
        package.manual_discovery = fields.object("discoveryDefinition")?.switch("manualSourceConfigDiscovery", true)?;
        let definitions = artifact_schemas(&fields)?;
        package.schemas = checked_schemas(&file, &definitions)?;
        package.manifest = manifest(&fields.object("manifest")?)?;
        let schema_text = Value::Object(definitions).to_string();
        Ok(Self { package, code: Code::Artifact(path.to_owned()), schema_text })
    }
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it is empty").trim()
}

fn read(path: &Path) -> Result<String, Problem> {
    let file = path.display().to_string();
    let len = fs::metadata(path).map_err(|error| wrong(&file, "", &error.to_string()))?.len();
    if len > LEN_MAX {
        return Err(wrong(&file, "", &format!("it has more than {} MiB", LEN_MAX >> 20)));
    }
    fs::read_to_string(path).map_err(|error| wrong(&file, "", &error.to_string()))
}

/// What both kinds of description say.
fn described(fields: &Fields, id: &str) -> Result<Package, Problem> {
    let uuid = fields.required(id)?;
    let is_uuid = uuid.len() == 36
        && uuid
            .char_indices()
            .all(|(at, c)| if [8, 13, 18, 23].contains(&at) { c == '-' } else { c.is_ascii_hexdigit() });
    if !is_uuid {
        return Err(fields.wrong(id, "it must be a UUID, as 16bef554-9470-11e9-b2e3-8c8590d4a42c"));
    }
    let entry_point = fields.required("entryPoint")?;
    if entry_point.split(':').filter(|part| !part.is_empty()).count() != 2 || entry_point.matches(':').count() != 1 {
        return Err(fields.wrong("entryPoint", "it must be MODULE:OBJECT"));
    }
    let host_types = fields.texts("hostTypes")?;
    if host_types.is_empty() || !host_types.iter().all(|kind| ["UNIX", "WINDOWS"].contains(&kind.as_str())) {
        return Err(fields.wrong("hostTypes", "it must be [UNIX] or [WINDOWS]"));
    }
    for other in ["defaultLocale", "luaName", "minimumLuaVersion"] {
        fields.text(other)?;
    }
    Ok(Package {
        id: uuid.to_lowercase(),
        name: if id == "id" { fields.required("name")? } else { String::new() },
        build_number: fields.parsed("buildNumber")?,
        external_version: fields.text("externalVersion")?,
        plugin_type: PluginType::Staged,
        language: fields.parsed::<Language>("language")?,
        host_types,
        entry_point,
        build_api: None,
        root_squash: fields.switch("rootSquashEnabled", true)?,
        extended_start_stop_hooks: fields.switch("extendedStartStopHooks", false)?,
        manual_discovery: true,
        schemas: Schemas::default(),
        manifest: Manifest::default(),
        root: PathBuf::new(),
    })
}

fn schemas(path: &Path, text: &str) -> Result<Schemas, Problem> {
    let file = path.display().to_string();
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(&file, "", &format!("it is no JSON: {error}")))?;
    match value {
        Value::Object(definitions) => checked_schemas(&file, &definitions),
        _ => Err(wrong(&file, "", "it must be an object of definitions")),
    }
}

/// The schemas of an artifact as they stand in a `schema.json`.
fn artifact_schemas(fields: &Fields) -> Result<Map<String, Value>, Problem> {
    let discovery = fields.object("discoveryDefinition")?;
    let discovered = |prefix: &str| -> Option<Value> {
        let mut schema = discovery.value(&format!("{prefix}Schema"))?.clone();
        for (suffix, name) in [("IdentityFields", "identityFields"), ("NameField", "nameField")] {
            if let Some(value) = discovery.value(&format!("{prefix}{suffix}")) {
                schema[name] = value.clone();
            }
        }
        Some(schema)
    };
    let part = |outer: &str, inner: &str| fields.value(outer).and_then(|outer| outer.get(inner)).cloned();
    let found = [
        (SchemaKind::Repository, discovered("repository")),
        (SchemaKind::SourceConfig, discovered("sourceConfig")),
        (SchemaKind::LinkedSource, part("linkedSourceDefinition", "parameters")),
        (SchemaKind::VirtualSource, part("virtualSourceDefinition", "parameters")),
        (SchemaKind::Snapshot, fields.value("snapshotSchema").cloned()),
        (SchemaKind::SnapshotParameters, part("snapshotParametersDefinition", "schema")),
        (SchemaKind::VirtualToPhysical, part("virtualToPhysicalDefinition", "parameters")),
    ];
    let found = found.into_iter().filter_map(|(kind, schema)| Some((kind.definition().to_owned(), schema?)));
    Ok(found.filter(|(_, schema)| !schema.is_null()).collect())
}

fn checked_schemas(file: &str, definitions: &Map<String, Value>) -> Result<Schemas, Problem> {
    let mut schemas = Schemas::default();
    for kind in SchemaKind::all() {
        let name = kind.definition();
        let Some(schema) = definitions.get(name) else {
            if matches!(kind, SchemaKind::SnapshotParameters | SchemaKind::VirtualToPhysical) {
                continue;
            }
            return Err(wrong(file, name, "it is missing"));
        };
        if !schema.is_object() {
            return Err(wrong(file, name, "it must be a schema"));
        }
        schema::validator(schema).map_err(|error| wrong(file, name, &error))?;
        if matches!(kind, SchemaKind::Repository | SchemaKind::SourceConfig) {
            check_identity(file, name, schema)?;
        }
        if let Some(size) = schema.get("recordSizeInKB") {
            let fits = size.as_u64().is_some_and(|size| size.is_power_of_two() && size <= 16384);
            if !fits {
                return Err(wrong(file, &format!("{name}.recordSizeInKB"), "it must be a power of two up to 16384"));
            }
        }
        schemas.set(kind, schema.clone());
    }
    Ok(schemas)
}

/// Names and identities are made of properties of the schema.
fn check_identity(file: &str, name: &str, schema: &Value) -> Result<(), Problem> {
    let identity = schema.get("identityFields").cloned().unwrap_or(json!([]));
    let identity =
        identity.as_array().ok_or_else(|| wrong(file, &format!("{name}.identityFields"), "it must be a list"))?;
    if identity.is_empty() {
        return Err(wrong(file, &format!("{name}.identityFields"), "it must name at least one property"));
    }
    let named = schema.get("nameField").into_iter().map(|field| ("nameField", field));
    for (word, field) in named.chain(identity.iter().map(|field| ("identityFields", field))) {
        let is_known = field.as_str().is_some_and(|field| schema["properties"].get(field).is_some());
        if !is_known {
            return Err(wrong(file, &format!("{name}.{word}"), &format!("{field} is none of its properties")));
        }
    }
    Ok(())
}

fn manifest(fields: &Fields) -> Result<Manifest, Problem> {
    let mut manifest = Manifest::default();
    for operation in Operation::all() {
        if fields.switch(operation.flag(), false)? {
            manifest.operations.insert(operation);
        }
    }
    if fields.value("migrationIdList").is_some() {
        manifest.migration_ids = fields.texts("migrationIdList")?;
    }
    Ok(manifest)
}
