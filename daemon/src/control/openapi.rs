//! The OpenAPI document, made of the table of routes.

use cow_api::v1::{PROBLEM_MEDIA_TYPE, Problem};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::control::route::{Query, QueryKind, Route, parameter};

/// Where schemas are, within the document.
const SCHEMAS: &str = "/components/schemas";

/// The document of these routes.
pub fn document(routes: &[&'static Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[route.method.as_str().to_lowercase()] = operation(route, &mut schemas);
    }
    let problem = schemas.subschema_for::<Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cow",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The control API of cowd. A name is one segment of a path: its / and @ are percent-encoded.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Over TCP; the unix socket needs none." },
            },
            "responses": {
                "Problem": {
                    "description": "It was not done.",
                    "content": { PROBLEM_MEDIA_TYPE: { "schema": problem } },
                },
            },
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let (media_type, answers) = route.answers;
    let content = match answers {
        Some(schema) => json!({ media_type: { "schema": schema(schemas) } }),
        None => json!({ media_type: {} }),
    };
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "tags": [noun(route)],
        "responses": {
            route.status.to_string(): { "description": "Done.", "content": content },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    let in_path = route
        .path
        .split('/')
        .filter_map(parameter)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let parameters: Vec<Value> = in_path.chain(route.query.iter().map(query)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(takes) = route.takes {
        let schema = takes(schemas);
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn query(query: &Query) -> Value {
    let kind = match query.kind {
        QueryKind::Text | QueryKind::RequiredText => "string",
        QueryKind::Number => "integer",
        QueryKind::Switch => "boolean",
    };
    let required = query.kind == QueryKind::RequiredText;
    json!({
        "name": query.name,
        "in": "query",
        "required": required,
        "description": query.about,
        "schema": { "type": kind },
    })
}

/// The first word of the path behind the version.
fn noun(route: &Route) -> &'static str {
    route.path.split('/').find(|segment| !["", "v1"].contains(segment)).unwrap_or("")
}

/// The method and the words of the path.
fn operation_id(route: &Route) -> String {
    let words = route
        .path
        .split(['/', '.'])
        .filter(|word| !["", "v1"].contains(word))
        .map(|word| word.trim_matches(['{', '}']));
    let words: Vec<&str> = std::iter::once(route.method.as_str()).chain(words).collect();
    words.join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cow_api::v1::Code;

    use crate::control::routes;

    use super::*;

    #[test]
    fn the_document_has_every_route_and_every_reference_leads_somewhere() {
        let routes: Vec<&'static Route> = routes::all().collect();
        let document = document(&routes);
        let mut ids = BTreeSet::new();
        for route in &routes {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            assert_eq!(operation["summary"], route.about, "{}", route.path);
            assert!(ids.insert(operation["operationId"].to_string()), "{} has no id of its own", route.path);
            assert!(route.about.starts_with(char::is_uppercase) && !route.about.ends_with('.'), "{}", route.about);
        }
        let operations = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
        assert_eq!(operations.sum::<usize>(), routes.len());
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > routes.len());
        for reference in references {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn the_documentation_has_every_route_and_every_code() {
        let text = include_str!("../../../docs/control.md");
        for route in routes::all() {
            let row = format!("| `{} {}` |", route.method.as_str(), route.path);
            assert!(text.contains(&row), "docs/control.md lacks {row}");
            let missing = route.query.iter().find(|query| !text.contains(&format!("`?{}", query.name)));
            assert!(missing.is_none(), "docs/control.md lacks a parameter of {row}");
        }
        for code in Code::all().filter(|code| *code != Code::Unknown) {
            let row = format!("| `{}` | {} | {} |", code.as_str(), code.status(), code.exit_code());
            assert!(text.contains(&row), "docs/control.md lacks {row}");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| match value {
                Value::String(reference) if key == "$ref" => references.push(reference.clone()),
                _ => collect(value, references),
            }),
            Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
            _ => {}
        }
    }
}
