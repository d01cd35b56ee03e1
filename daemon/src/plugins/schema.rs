//! Plugins' data against their schemas: what may come in and out, what is secret, and what a user may write.
//!
//! Invariant: nothing is fetched to check a schema, and no message of an error quotes a value, which may be secret.

use cow_api::v1::{Code, Problem};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, Registry, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::plugins::{Call, Failure, Package, Reply, SchemaKind};

/// Where schemas find what the platform defines.
const PLATFORM: &str = "https://delphix.com/platform/api";
/// What is shown in place of a secret.
pub const MASK: &str = "********";

/// The platform's definitions: where credentials come from.
fn platform() -> Value {
    let supplier = |kind: &str, required: &[&str], secret: &[&str]| {
        let mut properties = Map::new();
        properties.insert("type".to_owned(), json!({ "const": kind }));
        for name in required {
            let is_secret = secret.contains(name);
            let schema =
                if is_secret { json!({ "type": "string", "format": "password" }) } else { json!({ "type": "string" }) };
            properties.insert((*name).to_owned(), schema);
        }
        let required = [&["type"], required].concat();
        json!({ "type": "object", "properties": properties, "required": required })
    };
    let password = supplier("NamedPasswordCredential", &["username", "password"], &["password"]);
    let keys = supplier("NamedKeyPairCredential", &["username", "privateKey"], &["privateKey"]);
    let cyber_ark = supplier("CyberArkVaultCredential", &["vault", "queryString"], &[]);
    let hashi_corp = supplier("HashiCorpVaultCredential", &["vault", "engine", "path"], &[]);
    let any = |of: &[&Value]| json!({ "type": "object", "anyOf": of });
    json!({
        "$id": PLATFORM,
        "definitions": {
            "credentialsSupplier": any(&[&password, &keys, &cyber_ark, &hashi_corp]),
            "passwordCredentialsSupplier": any(&[&password, &cyber_ark, &hashi_corp]),
            "keyCredentialsSupplier": any(&[&keys, &cyber_ark, &hashi_corp]),
        }
    })
}

/// The validator of a schema; an error says where the schema itself is wrong.
pub fn validator(schema: &Value) -> Result<Validator, String> {
    let registry = Registry::new().draft(Draft::Draft7).add(PLATFORM, platform());
    let registry = registry.and_then(|registry| registry.prepare()).map_err(|error| error.to_string())?;
    let options = jsonschema::options().with_draft(Draft::Draft7).with_registry(&registry);
    options.build(schema).map_err(|error| format!("{}: {error}", place(&error)))
}

fn place(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    if path.is_empty() { "(the whole)".to_owned() } else { path }
}

/// What is wrong with a value, without the value.
fn complaint(error: &ValidationError<'_>) -> String {
    let field = place(error);
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let whole = if field == "(the whole)" { name.to_owned() } else { format!("{field}.{name}") };
            format!("{whole} is missing")
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            format!("{field} does not know {}", unexpected.join(", "))
        }
        ValidationErrorKind::Enum { options } => format!("{field} must be one of {options}"),
        _ => format!("{field} {}", error.masked_with("its value")),
    }
}

/// Every complaint about a value, in one line; `None` when it fits.
pub fn complaints(schema: &Value, value: &Value) -> Result<Option<String>, String> {
    let validator = validator(schema)?;
    let found: Vec<String> = validator.iter_errors(value).take(10).map(|error| complaint(&error)).collect();
    Ok((!found.is_empty()).then(|| found.join("; ")))
}

/// The schema of a kind; one that a plugin does not have admits nothing but an empty object.
fn schema_of(package: &Package, kind: SchemaKind) -> Value {
    let none = || json!({ "type": "object", "additionalProperties": false });
    package.schemas.get(kind).cloned().unwrap_or_else(none)
}

/// Fails unless what a user gave fits the plugin's schema; the problem names the fields.
pub fn check(package: &Package, kind: SchemaKind, value: &Value) -> Result<(), Problem> {
    let found = complaints(&schema_of(package, kind), value).map_err(|error| {
        Problem::new(Code::PluginFailed, format!("the plugin's {} schema is wrong: {error}", kind.as_str()))
    })?;
    match found {
        None => Ok(()),
        Some(found) => Err(Problem::new(Code::InvalidRequest, format!("the {} parameters: {found}", kind.as_str()))
            .with_hint(format!("'cowctl plugin schema {} {}' shows what there is", package.name, kind.as_str()))),
    }
}

/// Fails unless a plugin's answer fits its own schema, and gives what it discovered its names.
pub fn check_reply(package: &Package, call: &Call, reply: &mut Reply) -> Result<(), Failure> {
    let kind = match call {
        Call::DiscoveryRepository { .. } => SchemaKind::Repository,
        Call::LinkedPostSnapshot { .. } | Call::VirtualPostSnapshot(_) => SchemaKind::Snapshot,
        _ => SchemaKind::SourceConfig,
    };
    let schema = schema_of(package, kind);
    let check = |value: &Value, at: &str| match complaints(&schema, value) {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(Failure::Schema { message: format!("{}{at}: {found}", kind.as_str()) }),
        Err(wrong) => {
            Err(Failure::Schema { message: format!("the {} schema itself is wrong: {wrong}", kind.as_str()) })
        }
    };
    match reply {
        Reply::Found(found) => {
            for (at, named) in found.iter_mut().enumerate() {
                check(&named.parameters, &format!(" {}", at + 1))?;
                *named = package.named(kind, std::mem::take(&mut named.parameters));
            }
            Ok(())
        }
        Reply::Definition(value) => check(value, ""),
        _ => Ok(()),
    }
}

/// Whether a value at a place in a schema is a secret, and what its parts are.
fn is_password(schema: &Value) -> bool {
    schema["format"] == "password"
}

/// The schema of a property or item, with what the platform defines in place.
fn inner<'s>(schema: &'s Value, platform: &'s Value) -> Vec<&'s Value> {
    let mut found = vec![schema];
    let mut at = 0;
    while at < found.len() && at < 100 {
        let schema = found[at];
        let named = schema["$ref"].as_str().and_then(|name| name.strip_prefix(PLATFORM)?.strip_prefix('#'));
        found.extend(named.and_then(|pointer| platform.pointer(pointer)));
        for word in ["anyOf", "oneOf", "allOf"] {
            found.extend(schema[word].as_array().into_iter().flatten());
        }
        found.extend(["then", "else"].iter().filter_map(|word| schema.get(*word)));
        at += 1;
    }
    found
}

/// Where the secrets in a value are, as JSON pointers: all that the schema calls `format: password`.
pub fn passwords(schema: &Value, value: &Value) -> Vec<String> {
    let platform = platform();
    let mut found = Vec::new();
    collect(&inner(schema, &platform), &platform, value, "", &mut found);
    found
}

fn collect(schemas: &[&Value], platform: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if schemas.iter().any(|schema| is_password(schema)) && !value.is_null() {
        found.push(at.to_owned());
        return;
    }
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, part)| (name.clone(), part)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(number, part)| (number.to_string(), part)).collect(),
        _ => return,
    };
    for (name, part) in parts {
        let of = |schema: &&'_ Value| {
            let found = match value {
                Value::Array(_) => match &schema["items"] {
                    Value::Array(items) => items.get(name.parse::<usize>().unwrap_or(usize::MAX)),
                    _ => schema.get("items"),
                },
                _ => schema["properties"].get(&name).or_else(|| schema.get("additionalProperties")),
            };
            found.cloned().filter(Value::is_object)
        };
        let below: Vec<Value> = schemas.iter().filter_map(of).collect();
        let below: Vec<&Value> = below.iter().flat_map(|schema| inner(schema, platform)).collect();
        let name = name.replace('~', "~0").replace('/', "~1");
        collect(&below, platform, part, &format!("{at}/{name}"), found);
    }
}

/// The value as it may be shown.
pub fn masked(schema: &Value, value: &Value) -> Value {
    let mut shown = value.clone();
    for place in passwords(schema, value) {
        if let Some(secret) = shown.pointer_mut(&place) {
            *secret = Value::from(MASK);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsource() -> Value {
        json!({
            "type": "object",
            "required": ["name"],
            "additionalProperties": false,
            "ordering": ["name"],
            "properties": {
                "name": { "type": "string", "pattern": "^[a-z]+$" },
                "password": { "type": "string", "format": "password", "minLength": 4 },
                "mode": { "enum": ["fast", "safe"] },
                "port": { "type": "integer", "maximum": 65535 },
                "hosts": {
                    "type": "array",
                    "items": { "type": "object", "properties": { "key~/": { "type": "string", "format": "password" } } },
                },
                "credentials": { "$ref": "https://delphix.com/platform/api#/definitions/credentialsSupplier" },
                "either": { "oneOf": [{ "type": "integer" }, { "type": "string", "format": "password" }] },
            },
        })
    }

    #[test]
    fn complaints_name_the_field_and_quote_no_value() {
        let supplier = json!({ "type": "NamedPasswordCredential", "username": "db", "password": "geheim" });
        for (value, told) in [
            (json!({ "name": "a", "credentials": supplier }), None),
            (json!({ "name": "a", "mode": "fast", "hosts": [{ "key~/": "geheim" }] }), None),
            (json!({}), Some("name is missing")),
            (json!("geheim"), Some("(the whole) its value is not of type")),
            (json!({ "name": "GEHEIM" }), Some("name its value does not match")),
            (json!({ "name": "a", "password": "geh" }), Some("password its value is shorter than 4")),
            (json!({ "name": "a", "password": 12345 }), Some("password its value is not of type")),
            (json!({ "name": "a", "mode": "geheim" }), Some("mode must be one of [\"fast\",\"safe\"]")),
            (json!({ "name": "a", "port": 70000 }), Some("port its value is greater than")),
            (json!({ "name": "a", "hosts": [{}, 5] }), Some("hosts.1 its value is not of type")),
            (json!({ "name": "a", "colour": "geheim" }), Some("(the whole) does not know colour")),
            (json!({ "name": "a", "credentials": { "type": "geheim" } }), Some("credentials its value is not valid")),
        ] {
            let found = complaints(&dsource(), &value).unwrap();
            match told {
                None => assert_eq!(found, None, "{value}"),
                Some(told) => {
                    let found = found.unwrap_or_default();
                    assert!(found.contains(told), "{told}: {found}");
                    let quoted = ["geh", "GEH", "12345", "70000"].iter().any(|secret| found.contains(secret));
                    assert!(!quoted, "{found}");
                }
            }
        }
        assert!(validator(&json!({ "type": "colour" })).is_err());
        // What is elsewhere is not fetched.
        assert!(validator(&json!({ "$ref": "http://127.0.0.1:1/schema.json" })).is_err());
    }

    #[test]
    fn every_secret_is_found_and_masked() {
        let value = json!({
            "name": "a", "password": "geheim1", "either": "geheim2",
            "hosts": [{ "key~/": "geheim3", "other": 1 }, {}, { "key~/": "geheim4" }],
            "credentials": { "type": "NamedKeyPairCredential", "username": "db", "privateKey": "geheim5" },
        });
        let schema = dsource();
        let mut found = passwords(&schema, &value);
        found.sort();
        let expected = ["/credentials/privateKey", "/either", "/hosts/0/key~0~1", "/hosts/2/key~0~1", "/password"];
        assert_eq!(found, expected);
        let shown = masked(&schema, &value).to_string();
        assert!(!shown.contains("geheim") && shown.contains("\"username\":\"db\""), "{shown}");
        assert_eq!(shown.matches(MASK).count(), expected.len());
        assert_eq!(masked(&schema, &json!({ "password": null })), json!({ "password": null }));
    }
}
