//! A request whose route is known: its names, its query, its body.

use std::collections::BTreeMap;

use cow_api::v1::{Code, Problem, path};
use serde::de::DeserializeOwned;

use crate::control::http::Request;
use crate::control::route::Route;

/// A request whose route is known.
pub struct Call {
    parameters: BTreeMap<&'static str, String>,
    query: BTreeMap<&'static str, String>,
    body: Vec<u8>,
    /// Who sends it.
    pub who: String,
    /// The number of the last event that the caller has heard.
    pub last_event: Option<u64>,
}

impl Call {
    /// Reads the names in the path and the query. `parameters` are as they stand in the path.
    pub fn new(
        route: &'static Route,
        parameters: Vec<(&'static str, String)>,
        request: Request,
    ) -> Result<Self, Problem> {
        let mut call = Self {
            who: request.who(),
            parameters: BTreeMap::new(),
            query: BTreeMap::new(),
            body: request.body,
            last_event: request.last_event_id.and_then(|id| id.parse().ok()),
        };
        for (name, value) in parameters {
            let decoded = path::decode(&value).ok_or_else(|| invalid(format!("'{value}' is not well encoded")))?;
            call.parameters.insert(name, decoded);
        }
        for pair in request.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = route.query.iter().find(|known| known.name == name).ok_or_else(|| {
                let names: Vec<&str> = route.query.iter().map(|known| known.name).collect();
                let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                invalid(format!("there is no query parameter '{name}' here")).with_hint(format!("known are: {names}"))
            })?;
            let value = value.replace('+', " ");
            let decoded = path::decode(&value).ok_or_else(|| invalid(format!("'{value}' is not well encoded")))?;
            if call.query.insert(known.name, decoded).is_some() {
                return Err(invalid(format!("the query parameter '{name}' is given twice")));
            }
        }
        Ok(call)
    }

    /// A name in the path.
    pub fn name(&self, parameter: &str) -> &str {
        self.parameters.get(parameter).map_or("", String::as_str)
    }

    /// A number in the path.
    pub fn number(&self, parameter: &str) -> Result<u64, Problem> {
        let text = self.name(parameter);
        text.parse().map_err(|_| Problem::new(Code::NotFound, format!("'{text}' is not a number")))
    }

    /// A value in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A value in the query that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        self.query(name).ok_or_else(|| invalid(format!("the query parameter '{name}' is missing")))
    }

    /// A number in the query.
    pub fn query_number(&self, name: &str, default: u64) -> Result<u64, Problem> {
        let read = |text: &str| text.parse().map_err(|_| invalid(format!("{name}: '{text}' is not a whole number")));
        self.query(name).map_or(Ok(default), read)
    }

    /// A switch in the query: its name alone is `true`.
    pub fn query_switch(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.query(name) {
            None => Ok(default),
            Some("" | "true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(invalid(format!("{name}: '{other}' is neither true nor false"))),
        }
    }

    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body; none at all stands for one without fields.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = if self.body.is_empty() { b"{}" } else { &*self.body };
        serde_json::from_slice(body).map_err(|error| invalid(format!("the request's JSON is wrong: {error}")))
    }

    /// The same of a body with secrets, of which an error must repeat nothing.
    pub fn secret_body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            invalid(format!("the request's JSON is wrong at line {line}, column {column}"))
                .with_hint("/v1/openapi.json has its schema; the text is not repeated, as it may hold a secret")
        })
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(Code::InvalidRequest, detail)
}
