//! Where the secrets in a plugin's data are, by its schema.
//!
//! Invariant: what any part of a schema that may count for a value calls `format: password` is a secret, whether or not that
//! part turns out to count: of an alternative, of a condition, of what a reference leads to.

use serde_json::{Value, json};

use crate::plugins::schema::{PLATFORM, platform};

/// Where the secrets in a value are, as JSON pointers: all that the schema calls `format: password`.
pub fn passwords(schema: &Value, value: &Value) -> Vec<String> {
    let known = Known { root: schema, platform: &platform() };
    let mut found = Vec::new();
    known.collect(&known.all(vec![schema]), value, "", &mut found);
    found
}

/// What references lead to.
struct Known<'s> {
    root: &'s Value,
    platform: &'s Value,
}

impl<'s> Known<'s> {
    /// These schemas of one value, with all within them that are of the same value. References may lead in circles.
    fn all(&self, schemas: Vec<&'s Value>) -> Vec<&'s Value> {
        let (mut found, mut at): (Vec<&'s Value>, usize) = (Vec::new(), 0);
        let add = |found: &mut Vec<&'s Value>, more: &mut dyn Iterator<Item = &'s Value>| {
            for schema in more {
                if !found.iter().any(|known| std::ptr::eq(*known, schema)) {
                    found.push(schema);
                }
            }
        };
        add(&mut found, &mut schemas.into_iter());
        while let Some(schema) = found.get(at).copied() {
            add(&mut found, &mut schema["$ref"].as_str().and_then(|name| self.referred(name)).into_iter());
            for word in ["anyOf", "oneOf", "allOf"] {
                add(&mut found, &mut schema[word].as_array().into_iter().flatten());
            }
            add(&mut found, &mut ["if", "then", "else"].iter().filter_map(|word| schema.get(*word)));
            let dependencies = schema["dependencies"].as_object();
            add(
                &mut found,
                &mut dependencies.into_iter().flat_map(|all| all.values()).filter(|value| value.is_object()),
            );
            at += 1;
        }
        found
    }

    fn referred(&self, name: &str) -> Option<&'s Value> {
        if let Some(pointer) = name.strip_prefix(PLATFORM).and_then(|rest| rest.strip_prefix('#')) {
            return self.platform.pointer(pointer);
        }
        let by_pointer = name.strip_prefix('#').and_then(|pointer| self.root.pointer(&unescaped(pointer)));
        by_pointer.or_else(|| identified(self.root, name))
    }

    fn collect(&self, schemas: &[&'s Value], value: &Value, at: &str, found: &mut Vec<String>) {
        if schemas.iter().any(|schema| schema["format"] == "password") && !value.is_null() {
            found.push(at.to_owned());
            return;
        }
        let mut part = |name: &str, below: Vec<&'s Value>, part: &Value| {
            let name = name.replace('~', "~0").replace('/', "~1");
            self.collect(&self.all(below), part, &format!("{at}/{name}"), found);
        };
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    part(name, schemas.iter().flat_map(|schema| of_field(schema, name)).collect(), field);
                }
            }
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    part(
                        &number.to_string(),
                        schemas.iter().flat_map(|schema| of_item(schema, number)).collect(),
                        item,
                    );
                }
            }
            _ => {}
        }
    }
}

/// A schema's schemas of a field.
fn of_field<'s>(schema: &'s Value, name: &str) -> Vec<&'s Value> {
    let patterns = schema["patternProperties"].as_object().into_iter().flatten();
    let matching = patterns.filter(|(pattern, _)| matches(pattern, name)).map(|(_, schema)| schema);
    let mut found: Vec<&Value> = schema["properties"].get(name).into_iter().chain(matching).collect();
    if found.is_empty() {
        found.extend(schema.get("additionalProperties"));
    }
    found
}

/// A schema's schemas of an item of a list.
fn of_item(schema: &Value, number: usize) -> Vec<&Value> {
    let own = match schema.get("items") {
        Some(Value::Array(items)) => items.get(number).or_else(|| schema.get("additionalItems")),
        items => items,
    };
    own.into_iter().chain(schema.get("contains")).collect()
}

/// Whether a pattern is one for this name; one that cannot be read may be.
fn matches(pattern: &str, name: &str) -> bool {
    jsonschema::draft7::new(&json!({ "pattern": pattern })).map_or(true, |schema| schema.is_valid(&Value::from(name)))
}

/// The part of a schema that has this `$id`.
fn identified<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    match schema {
        Value::Object(fields) if schema["$id"] == name => Some(schema).filter(|_| !fields.is_empty()),
        Value::Object(fields) => fields.values().find_map(|field| identified(field, name)),
        Value::Array(items) => items.iter().find_map(|item| identified(item, name)),
        _ => None,
    }
}

/// The fragment of a URI as it is meant: with `%2F` and the like in clear.
fn unescaped(fragment: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), fragment.as_bytes());
    while let [first, behind @ ..] = rest {
        let digits = behind.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &behind[2..]).1,
            None => (bytes.push(*first), rest = behind).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A schema, a value, and where the secrets in it are.
    fn cases() -> Vec<(Value, Value, &'static [&'static str])> {
        let password = || json!({ "type": "string", "format": "password" });
        let of = |name: &str| json!({ "properties": { name: password() } });
        let supplier = json!({ "$ref": "https://delphix.com/platform/api#/definitions/credentialsSupplier" });
        let secret = json!({ "s": "geheim", "other": "open" });
        vec![
            (of("s"), secret.clone(), &["/s"]),
            (of("s"), json!({ "s": null }), &[]),
            (
                json!({ "properties": { "s": { "type": "integer", "format": "password" } } }),
                json!({ "s": 471147 }),
                &["/s"],
            ),
            (json!({ "items": of("key~/") }), json!([{ "key~/": "geheim", "other": 1 }, {}]), &["/0/key~0~1"]),
            (
                json!({ "properties": { "c": supplier } }),
                json!({ "c": { "type": "NamedKeyPairCredential", "username": "db", "privateKey": "geheim" } }),
                &["/c/privateKey"],
            ),
            (json!({ "oneOf": [{ "type": "integer" }, password()] }), json!("geheim"), &[""]),
            (json!({ "allOf": [{ "anyOf": [of("s")] }] }), secret.clone(), &["/s"]),
            (json!({ "if": of("s") }), secret.clone(), &["/s"]),
            (json!({ "if": true, "then": of("s"), "else": of("other") }), secret.clone(), &["/other", "/s"]),
            (json!({ "dependencies": { "a": of("s"), "b": ["s"] } }), secret.clone(), &["/s"]),
            (json!({ "patternProperties": { "^.$": password() } }), secret.clone(), &["/s"]),
            (json!({ "patternProperties": { "(": password() } }), secret.clone(), &["/other", "/s"]),
            (json!({ "properties": { "other": {} }, "additionalProperties": password() }), secret.clone(), &["/s"]),
            (
                json!({ "properties": { "other": {} }, "patternProperties": { "s": {} }, "additionalProperties": password() }),
                secret.clone(),
                &[],
            ),
            (
                json!({ "items": [{}, password()], "additionalItems": of("s") }),
                json!([1, "geheim", { "s": "geheim" }]),
                &["/1", "/2/s"],
            ),
            (json!({ "items": {}, "additionalItems": password() }), json!(["open"]), &[]),
            (json!({ "contains": of("s") }), json!([1, { "s": "geheim" }]), &["/1/s"]),
            (json!({ "definitions": { "a b/c": of("s") }, "$ref": "#/definitions/a%20b~1c" }), secret.clone(), &["/s"]),
            (
                json!({ "definitions": { "x": { "$id": "#named", "format": "password" } }, "items": { "$ref": "#named" } }),
                json!(["geheim"]),
                &["/0"],
            ),
            // In circles: of a value, and of what is in it.
            (
                json!({ "definitions": { "a": { "$ref": "#/definitions/b" }, "b": { "allOf": [{ "$ref": "#/definitions/a" }, of("s")] } },
                    "$ref": "#/definitions/a" }),
                secret.clone(),
                &["/s"],
            ),
            (
                json!({ "properties": { "s": password(), "in": { "$ref": "#" } } }),
                json!({ "in": { "in": { "s": "geheim" }, "s": "geheim" } }),
                &["/in/in/s", "/in/s"],
            ),
            (
                json!({ "$ref": "#/nowhere", "properties": { "x": { "$ref": "http://elsewhere/y" } } }),
                json!({ "x": 1 }),
                &[],
            ),
            (json!({ "format": "password" }), json!({ "any": ["geheim"] }), &[""]),
        ]
    }

    #[test]
    fn every_secret_is_found_wherever_the_schema_calls_it_one() {
        for (schema, value, expected) in cases() {
            let mut found = passwords(&schema, &value);
            found.sort();
            assert_eq!(found, expected, "{schema} of {value}");
        }
    }
}
