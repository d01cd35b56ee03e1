//! A template of parameters that a user fills in, with what the schema says of each.

use serde_json::{Map, Value};

/// YAML with a comment above each field. Fields that need not be there are comments too.
pub fn template(schema: &Value) -> String {
    let mut text = String::new();
    if let Some(description) = schema["description"].as_str() {
        description.lines().for_each(|line| text += &format!("# {line}\n"));
    }
    if !write_fields(schema, 0, false, &mut text) {
        text += "# There is nothing to say.\n{}\n";
    }
    text
}

/// The names of fields, as the schema wants them ordered.
fn ordered<'s>(schema: &'s Value, properties: &'s Map<String, Value>) -> Vec<&'s String> {
    let order = schema["ordering"].as_array().map_or(&[][..], Vec::as_slice);
    let mut names: Vec<&String> = properties.keys().collect();
    names.sort_by_key(|name| order.iter().position(|wanted| wanted == *name).unwrap_or(usize::MAX));
    names
}

/// Writes the fields of an object. Returns whether there are any.
fn write_fields(schema: &Value, depth: usize, is_comment: bool, text: &mut String) -> bool {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return false;
    };
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for name in ordered(schema, properties) {
        let property = &properties[name];
        let is_required = required.iter().any(|wanted| wanted == name);
        let indent = "  ".repeat(depth);
        for line in about(property, is_required) {
            *text += &format!("{indent}# {line}\n");
        }
        let is_comment = is_comment || !is_required;
        let mark = if is_comment { "#" } else { "" };
        let key = Value::from(name.as_str());
        if property["type"] == "object" && property["properties"].is_object() {
            *text += &format!("{mark}{indent}{key}:\n");
            write_fields(property, depth + 1, is_comment, text);
        } else {
            *text += &format!("{mark}{indent}{key}: {}\n", example(property));
        }
    }
    true
}

/// What a schema says of a field.
fn about(property: &Value, is_required: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let words = [&property["prettyName"], &property["description"]].into_iter().filter_map(Value::as_str);
    lines.extend(words.flat_map(str::lines).map(str::to_owned));
    let mut facts = vec![if is_required { "required".to_owned() } else { "optional".to_owned() }];
    facts.extend(property["type"].as_str().map(str::to_owned));
    facts.extend(property["format"].as_str().map(|format| match property["referenceType"].as_str() {
        Some(kind) => format!("{format} to {kind}"),
        None => format.to_owned(),
    }));
    facts.extend(property["$ref"].as_str().and_then(|name| Some(name.rsplit_once('/')?.1.to_owned())));
    for (word, name) in [("minimum", "at least"), ("maximum", "at most"), ("pattern", "like"), ("enum", "one of")] {
        facts.extend(property.get(word).map(|value| format!("{name} {value}")));
    }
    lines.push(facts.join(", "));
    lines
}

/// A value to begin with.
fn example(property: &Value) -> String {
    let given = property.get("default").or_else(|| property["enum"].as_array()?.first());
    if let Some(value) = given {
        return value.to_string();
    }
    match property["type"].as_str() {
        Some("string") => "\"\"",
        Some("integer" | "number") => "0",
        Some("boolean") => "false",
        Some("array") => "[]",
        _ => "{}",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_shows_each_field_and_can_be_read_back() {
        let parameters = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
        let schema = json!({
            "type": "object", "description": "A dSource", "required": ["name", "port", "inner"],
            "ordering": ["port", "name"],
            "properties": {
                "name": { "type": "string", "prettyName": "Name" },
                "port": { "type": "integer", "minimum": 1, "default": 5432, "description": "Where it listens" },
                "mode": { "type": "string", "enum": ["fast", "safe"] },
                "password": { "type": "string", "format": "password" },
                "inner": { "type": "object", "required": ["a"], "properties": { "a": { "type": "array" }, "b": {} } },
            },
        });
        let text = template(&schema);
        assert!(
            text.starts_with("# A dSource\n# Where it listens\n# required, integer, at least 1\n\"port\": 5432\n"),
            "{text}"
        );
        assert!(text.contains("# optional, string, one of [\"fast\",\"safe\"]\n#\"mode\": \"fast\"\n"), "{text}");
        assert_eq!(parameters(&text), json!({ "port": 5432, "name": "", "inner": { "a": [] } }));
        assert_eq!(parameters(&template(&json!({ "type": "object" }))), json!({}));
    }
}
