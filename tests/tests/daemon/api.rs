//! The API's manners: problems, tokens, events, metrics, its own description.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cow_api::v1::{Event, Happening};
use cow_tests::daemon::Daemon;

use crate::setup;

fn furnish(daemon: &Daemon) {
    for name in ["a", "a/b", "other"] {
        daemon.done("POST", "/v1/datasets", &format!(r#"{{"name":"{name}"}}"#));
    }
    daemon.done(
        "POST",
        "/v1/snapshots",
        r#"{"snapshots":[{"dataset":"a","name":"s"},{"dataset":"other","name":"s"}]}"#,
    );
    daemon.done("PUT", "/v1/snapshots/a%40s/holds/keep", "");
}

#[test]
fn what_cannot_be_done_is_a_problem_with_a_code() {
    let (_scratch, setup) = setup("problems");
    let daemon = setup.start();
    furnish(&daemon);
    for (method, path, body, status, code) in [
        ("GET", "/", "", 404, "no_such_route"),
        ("GET", "/v2/status", "", 404, "no_such_route"),
        ("GET", "/v1/status/", "", 404, "no_such_route"),
        ("GET", "/v1/datasets/a/b", "", 404, "no_such_route"),
        ("PUT", "/v1/datasets", "{}", 405, "method_not_allowed"),
        ("GET", "/v1/datasets/a/rename", "", 405, "method_not_allowed"),
        ("GET", "/v1/datasets/%zz", "", 400, "invalid_request"),
        ("GET", "/v1/datasets/%ff", "", 400, "invalid_request"),
        ("GET", "/v1/datasets?undr=a", "", 400, "invalid_request"),
        ("GET", "/v1/datasets?under=a&under=a", "", 400, "invalid_request"),
        ("GET", "/v1/datasets?snapshots=maybe", "", 400, "invalid_request"),
        ("GET", "/v1/datasets?under=missing", "", 404, "not_found"),
        ("GET", "/v1/datasets/missing", "", 404, "not_found"),
        ("GET", "/v1/datasets/A%20%2f..%2f", "", 404, "not_found"),
        ("POST", "/v1/datasets", "", 400, "invalid_request"),
        ("POST", "/v1/datasets", "{", 400, "invalid_request"),
        ("POST", "/v1/datasets", "[]", 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"x","nmae":"y"}"#, 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"x","properties":{"blocksize":5000}}"#, 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"x","properties":{"blocksize":99999999999}}"#, 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"x","properties":{"compression":"lz4"}}"#, 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"x y"}"#, 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"../x"}"#, 400, "invalid_request"),
        ("POST", "/v1/datasets", r#"{"name":"a"}"#, 409, "exists"),
        ("POST", "/v1/datasets", r#"{"name":"missing/x"}"#, 404, "not_found"),
        ("PATCH", "/v1/datasets/a", r#"{"blocksize":8192}"#, 422, "unsupported"),
        ("PATCH", "/v1/datasets/missing", "{}", 404, "not_found"),
        ("DELETE", "/v1/datasets/missing", "", 404, "not_found"),
        ("DELETE", "/v1/datasets/a", "", 409, "conflict"),
        ("DELETE", "/v1/datasets/a?recursive=true", "", 409, "held"),
        ("DELETE", "/v1/snapshots/a%40s", "", 409, "held"),
        ("DELETE", "/v1/snapshots/a", "", 400, "invalid_request"),
        ("DELETE", "/v1/snapshots/a%40missing", "", 404, "not_found"),
        ("DELETE", "/v1/datasets/a%40s", "", 404, "not_found"),
        ("POST", "/v1/destroy", r#"{"names":[]}"#, 400, "invalid_request"),
        ("POST", "/v1/destroy", r#"{"names":["other","missing"]}"#, 404, "not_found"),
        ("POST", "/v1/datasets/a/rename", r#"{"to":"other"}"#, 409, "exists"),
        ("POST", "/v1/datasets/a/rename", r#"{"to":"a/b/c"}"#, 400, "invalid_request"),
        ("POST", "/v1/snapshots", r#"{"snapshots":[]}"#, 400, "invalid_request"),
        ("POST", "/v1/snapshots", r#"{"snapshots":[{"dataset":"a","name":"s"}]}"#, 409, "exists"),
        ("POST", "/v1/snapshots/a%40s/rename", r#"{"to":"other@x"}"#, 400, "invalid_request"),
        ("POST", "/v1/snapshots/a%40s/clone", r#"{"name":"a"}"#, 409, "exists"),
        ("POST", "/v1/snapshots/a%40x/clone", r#"{"name":"c"}"#, 404, "not_found"),
        ("POST", "/v1/snapshots/a%40s/clone", r#"{"name":"c","properties":{"blocksize":8192}}"#, 422, "unsupported"),
        ("POST", "/v1/datasets/a/rewind", r#"{"to":"a@missing"}"#, 404, "not_found"),
        ("PUT", "/v1/snapshots/a%40s/holds/keep", "", 409, "exists"),
        ("DELETE", "/v1/snapshots/a%40s/holds/missing", "", 404, "not_found"),
        ("POST", "/v1/destroyed/a/undelete", "", 404, "not_found"),
        ("GET", "/v1/diff?older=a%40s", "", 400, "invalid_request"),
        ("GET", "/v1/space?under=missing", "", 404, "not_found"),
        ("GET", "/v1/jobs/1", "", 404, "not_found"),
        ("GET", "/v1/jobs/x", "", 404, "not_found"),
        ("DELETE", "/v1/jobs/1", "", 404, "not_found"),
        ("POST", "/v1/imports", r#"{"from":"/nonexistent","dataset":"new"}"#, 404, "not_found"),
        ("POST", "/v1/imports", r#"{"from":"relative","dataset":"new"}"#, 400, "invalid_request"),
        ("POST", "/v1/exports", r#"{"from":"missing","to":"/tmp/x"}"#, 404, "not_found"),
        ("POST", "/v1/exports", r#"{"from":"a@missing","to":"/tmp/x"}"#, 404, "not_found"),
        ("POST", "/v1/verifications", r#"{"of":"missing"}"#, 404, "not_found"),
    ] {
        let answer = daemon.ask(method, path, body);
        let problem = answer.problem();
        let found = (answer.status, problem.status, problem.code.as_str());
        assert_eq!(found, (status, status, code), "{method} {path} {body}: {problem:?}");
        assert!(!problem.detail.is_empty() && !problem.detail.contains('\n'), "{problem:?}");
        assert_eq!(problem.kind, format!("urn:cow:problem:{code}"));
    }
    // None of it has changed anything, and nothing of it is worth a line in the log.
    assert_eq!(daemon.done("GET", "/v1/datasets?snapshots=false", "")["datasets"].as_array().unwrap().len(), 3);
    assert!(!daemon.log().contains("WARN") && !daemon.log().contains("ERROR"));
}

#[test]
fn over_tcp_only_the_token_opens() {
    let (scratch, mut setup) = setup("token");
    let token = scratch.path().join("token");
    fs::write(&token, "0123456789abcdef0123\n").unwrap();
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    setup.flags = ["--http", "127.0.0.1:0", "--token-file", token.to_str().unwrap()].map(str::to_owned).to_vec();
    let daemon = setup.start();
    for (headers, status) in [
        ("", 401),
        ("Authorization: Bearer 0123456789abcdef012\r\n", 401),
        ("Authorization: Basic 0123456789abcdef0123\r\n", 401),
        ("Authorization: Bearer 0123456789abcdef0123\r\n", 200),
    ] {
        for path in ["/v1/status", "/metrics", "/v1/openapi.json"] {
            let answer = daemon.ask_over_tcp("GET", path, headers);
            assert_eq!(answer.status, status, "{path} {headers}");
            assert_eq!(answer.head.contains("www-authenticate: bearer"), status == 401);
        }
    }
    // What does not exist is not told to strangers either.
    assert_eq!(daemon.ask_over_tcp("GET", "/v1/nothing", "").status, 401);
    assert_eq!(daemon.ask("GET", "/v1/status", "").json()["http"], daemon.http().to_string());
}

#[test]
fn events_tell_what_happens() {
    let (_scratch, setup) = setup("events");
    let daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"before"}"#);
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nLast-Event-ID: 0\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head[0].contains("200") && head.iter().any(|line| line == "Content-Type: text/event-stream"), "{head:?}");
    daemon.done("POST", "/v1/datasets", r#"{"name":"a"}"#);
    daemon.done("POST", "/v1/snapshots", r#"{"snapshots":[{"dataset":"a","name":"s"}]}"#);
    daemon.done("DELETE", "/v1/datasets/before", "");
    let data = lines.by_ref().filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    let events: Vec<Event> = data.take(4).map(|data| serde_json::from_str(&data).unwrap()).collect();
    let told = events.iter().map(|event| match &event.happening {
        Happening::Dataset { name, change } | Happening::Snapshot { name, change } => format!("{name} {change:?}"),
        Happening::Scrub { scrub } => format!("scrub {:?}", scrub.state),
        Happening::Job { job } => format!("job {}", job.id),
        Happening::Mount { name, path, change } => format!("{name} at {path} {change:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), ["before Created", "a Created", "a@s Created", "before Destroyed"]);
    assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // A listener does not hold the end up.
    let (status, took) = daemon.stop();
    assert!(status.success() && took < Duration::from_secs(4), "{status} after {took:?}");
    assert_eq!(lines.filter(|line| line.starts_with("data")).count(), 0);
}

#[test]
fn metrics_are_as_prometheus_wants_them() {
    let (_scratch, setup) = setup("metrics");
    let daemon = setup.start();
    furnish(&daemon);
    daemon.job("/v1/exports", &format!(r#"{{"from":"a","to":"{}"}}"#, setup.folder.join("out").display()));
    let mut client = cow_tests::nfs_client::Client::connect(daemon.nfs()).unwrap();
    client.mount("/a").unwrap();
    let answer = daemon.ask("GET", "/metrics", "");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"));
    let text = answer.text();
    let mut kinds = BTreeMap::new();
    let mut seen = HashSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none(), "{name} comes twice");
            assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert!(!["_ms", "_kb", "_micros", "_percent"].iter().any(|unit| name.contains(unit)), "{name}");
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(sample), "{sample} comes twice");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            let name = sample.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = family.filter(|family| kinds.contains_key(family)).unwrap_or(name);
            assert!(kinds.contains_key(family), "{name} has no type");
        }
    }
    for expected in [
        "cow_datasets 3",
        "cow_jobs_ended_total{kind=\"export\",state=\"done\"} 1",
        "cow_nfs_calls_total{program=\"mount\",procedure=\"mnt\"} 1",
        "cow_nfs_connections 1",
        "cow_pool_poisoned 0",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} is missing in {text}");
    }
    assert!(
        ["cow_commits_total", "cow_backlog_reclaims", "cow_backlog_hidden", "process_resident_memory_bytes"]
            .iter()
            .all(|name| kinds.contains_key(name))
    );
}

#[test]
fn the_api_describes_itself() {
    let (_scratch, setup) = setup("openapi");
    let daemon = setup.start();
    let document = daemon.done("GET", "/v1/openapi.json", "");
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    // Everything that needs nothing to exist can be asked for right away.
    for path in paths.keys().filter(|path| !path.contains('{') && !path.contains("events")) {
        if let Some(operation) = paths[path].get("get") {
            let required = |parameter: &serde_json::Value| parameter["required"] == true;
            if !operation["parameters"].as_array().is_some_and(|parameters| parameters.iter().any(required)) {
                assert_eq!(daemon.ask("GET", path, "").status, 200, "{path}");
                assert_eq!(daemon.ask("HEAD", path, "").body, b"", "{path}");
            }
        }
    }
}
