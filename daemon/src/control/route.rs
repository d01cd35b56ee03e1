//! Routes: what they are called, take and answer, and which one a path means.

use cow_api::v1::Problem;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::control::call::Call;
use crate::control::http::{Method, Response};
use crate::virtualization::Verbs;

/// The media type of almost everything.
pub const JSON: &str = "application/json";

/// The schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a query's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKind {
    /// A name or other text.
    Text,
    /// Text that must be there.
    RequiredText,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
}

/// A query parameter.
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: QueryKind,
    /// What it does.
    pub about: &'static str,
}

/// A path and a method, and what is behind them.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; `{name}` stands for any one segment.
    pub path: &'static str,
    /// What it does, in the imperative.
    pub about: &'static str,
    /// What may stand in the query.
    pub query: &'static [Query],
    /// The body's schema, where there is a body.
    pub takes: Option<SchemaOf>,
    /// The status of success.
    pub status: u16,
    /// What success answers: a media type and, of JSON, its schema.
    pub answers: (&'static str, Option<SchemaOf>),
    /// Does it.
    pub handle: fn(&Verbs, &Call) -> Result<Response, Problem>,
}

/// The schema of `T`, for a table.
pub fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An answer of JSON.
pub fn json(status: u16, answer: &impl Serialize) -> Response {
    // Types of the API have text keys and finite numbers, so there is nothing that JSON could not say.
    Response::new(status, JSON, serde_json::to_vec(answer).unwrap_or_default())
}

/// What a path and a method lead to.
pub enum Found {
    /// A route, and what stands in its path's names.
    Route(&'static Route, Vec<(&'static str, String)>),
    /// The path, but with other methods.
    OtherMethods(Vec<Method>),
    /// Nothing.
    Nothing,
}

/// Finds the route of a request.
pub fn find(routes: &[&'static Route], method: Method, path: &str) -> Found {
    let mut others = Vec::new();
    for route in routes {
        let Some(parameters) = matched(route.path, path) else { continue };
        if route.method == method {
            return Found::Route(route, parameters);
        }
        others.push(route.method);
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// What stands in the names of `pattern`, if `path` is one of its paths.
fn matched(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return Some(parameters),
            (Some(pattern), Some(segment)) => match parameter(pattern) {
                Some(_) if segment.is_empty() => return None,
                Some(name) => parameters.push((name, segment.to_owned())),
                None if pattern == segment => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

/// The name in `{name}`.
pub fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_exactly_one_segment() {
        let found = |path| matched("/v1/datasets/{dataset}/rename", path);
        assert_eq!(found("/v1/datasets/a%2Fb/rename"), Some(vec![("dataset", "a%2Fb".to_owned())]));
        for wrong in
            ["/v1/datasets/a/b/rename", "/v1/datasets//rename", "/v1/datasets/a/rename/", "/v1/datasets/a", "", "/"]
        {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        assert_eq!(matched("/metrics", "/metrics"), Some(Vec::new()));
    }
}
