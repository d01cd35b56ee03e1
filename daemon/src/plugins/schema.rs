//! Plugins' data against their schemas: what may come in and out, and what a user may write.
//!
//! Invariant: nothing is fetched to check a schema, and no message of an error quotes a value, which may be secret.

use cow_api::v1::{Code, Problem};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, Registry, ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::plugins::{Call, Failure, Package, Reply, SchemaKind};

/// Where schemas find what the platform defines.
pub(super) const PLATFORM: &str = "https://delphix.com/platform/api";

/// The platform's definitions: where credentials come from.
pub(super) fn platform() -> Value {
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

/// The suppliers of credentials of the platform that this engine cannot ask.
const VAULTS: [&str; 2] = ["CyberArkVaultCredential", "HashiCorpVaultCredential"];

/// Where in a value credentials are to come from a vault, and from which kind.
fn vault(value: &Value, at: &str) -> Option<(String, &'static str)> {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match value {
        Value::Object(fields) => {
            let kind = VAULTS.into_iter().find(|kind| value["type"] == *kind).map(|kind| (at.to_owned(), kind));
            kind.or_else(|| fields.iter().find_map(|(name, field)| vault(field, &below(name))))
        }
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(number, item)| vault(item, &below(&number.to_string())))
        }
        _ => None,
    }
}

/// Fails unless what a user gave fits the plugin's schema; the problem names the fields.
pub fn check(package: &Package, kind: SchemaKind, value: &Value) -> Result<(), Problem> {
    if let Some((field, supplier)) = vault(value, "") {
        let detail = format!("the {} parameters: {field} is a {supplier}, and vaults are not supported", kind.as_str());
        return Err(Problem::new(Code::Unsupported, detail)
            .with_hint("give a NamedPasswordCredential, or a NamedKeyPairCredential"));
    }
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
}
