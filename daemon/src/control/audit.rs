//! The record that a request leaves, if it is to change something.

use std::collections::BTreeMap;

use cow_api::v1::{Job, PolicyRun, Problem};
use serde_json::Value;

use crate::actions::{Actions, Asked};
use crate::control::call::Call;
use crate::control::http::{Body, Method, Response};
use crate::control::route::Route;

/// Fields of bodies whose texts are names, or say which of several things is to be done. All else stays out: passwords,
/// keys, scripts and plugins' parameters are in bodies too.
const NAMES: [&str; 15] = [
    "at",
    "dataset",
    "do",
    "environment",
    "from",
    "kind",
    "name",
    "names",
    "path",
    "plugin",
    "profile",
    "schedule",
    "snapshot",
    "to",
    "zone",
];
/// Longest text that is taken for a name, in bytes.
const NAME_LEN_MAX: usize = 300;
/// Largest answer that is looked into for a job.
const ANSWER_LEN_MAX: usize = 64 << 10;

/// A request that is recorded.
pub struct Audit<'a> {
    actions: &'a Actions,
    /// Its record, if that could be written.
    id: Option<u64>,
}

impl<'a> Audit<'a> {
    /// Records a request that is to change something; others leave nothing.
    pub fn begin(actions: &'a Actions, route: &Route, call: &Call) -> Option<Self> {
        if route.method == Method::Get || call.query_switch("dry_run", false).unwrap_or(false) {
            return None;
        }
        let asked = Asked {
            who: call.who.clone(),
            what: route.about.to_owned(),
            request: format!("{} {}", route.method.as_str(), path(route, call)),
            details: details(route, call),
        };
        Some(Self { actions, id: actions.begin(asked) })
    }

    /// Records what it was answered.
    pub fn end(self, answer: &Result<Response, Problem>) {
        if let Some(id) = self.id {
            self.actions.end(id, answer.as_ref().map(job));
        }
    }
}

/// The path, with the names that stand in it.
fn path(route: &Route, call: &Call) -> String {
    let segments = route.path.split('/').map(|segment| match crate::control::route::parameter(segment) {
        Some(name) => call.name(name),
        None => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

fn details(route: &Route, call: &Call) -> BTreeMap<String, String> {
    let body: Value = serde_json::from_slice(call.bytes()).unwrap_or_default();
    let of_body = NAMES.into_iter().filter_map(|name| Some((name, text(body.get(name)?)?)));
    let of_query = route.query.iter().filter_map(|query| Some((query.name, call.query(query.name)?.to_owned())));
    let short = of_body.chain(of_query).filter(|(_, value)| value.len() <= NAME_LEN_MAX);
    short.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A text, or as many of a list of them as a record takes.
fn text(value: &Value) -> Option<String> {
    let Some(list) = value.as_array() else { return value.as_str().map(str::to_owned) };
    let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.len() + 2;
        Some(*end)
    });
    // Room for the words that count the others.
    let told = ends.take_while(|end| *end + 40 <= NAME_LEN_MAX).count();
    let others = if told == texts.len() { String::new() } else { format!(" and {} more", texts.len() - told) };
    Some(texts[..told].join(", ") + &others)
}

/// The number of the job that was begun; of a policy's, which may be several, the first.
fn job(answer: &Response) -> Option<u64> {
    let Body::Bytes(bytes) = &answer.body else { return None };
    if answer.status != 202 || bytes.len() > ANSWER_LEN_MAX {
        return None;
    }
    let one = serde_json::from_slice::<Job>(bytes).ok().map(|job| job.id);
    let of_policy = || serde_json::from_slice::<PolicyRun>(bytes).ok()?.sources.into_iter().find_map(|run| run.job);
    one.or_else(|| of_policy().map(|job| job.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_told_as_far_as_there_is_room() {
        let told = |count: usize| text(&(0..count).map(|number| format!("tree@{number:03}")).collect()).unwrap();
        assert_eq!(told(0), "");
        assert_eq!(told(2), "tree@000, tree@001");
        let long = told(1000);
        assert!(long.len() <= NAME_LEN_MAX && long.ends_with("tree@025 and 974 more"), "{long}");
        assert_eq!(text(&Value::from("tree")), Some("tree".to_owned()));
        assert_eq!(text(&Value::from(7)), None);
    }
}
