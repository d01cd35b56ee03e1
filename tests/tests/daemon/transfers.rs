//! Import, export and verify, as jobs of the API.

use std::fs;
use std::time::Duration;

use cow_api::v1::{JobKind, JobReport, JobState, Jobs};
use cow_tests::host_tree::{assert_same, describe, make};
use serde_json::json;

use crate::setup;

#[test]
fn a_tree_goes_in_and_out_and_comes_out_as_it_was() {
    let (scratch, setup) = setup("transfers");
    let (source, out) = (scratch.path().join("source"), scratch.path().join("out"));
    fs::create_dir(&source).unwrap();
    make(&source, 300, 3 << 20, 5);
    let daemon = setup.start();
    let job = daemon.job("/v1/imports", &json!({ "from": source, "dataset": "in", "profile": "tree" }).to_string());
    assert_eq!((job.kind, job.progress.state), (JobKind::Import, JobState::Done), "{job:?}");
    assert_eq!(job.progress.percent, Some(100.0));
    let Some(JobReport::Import(report)) = job.report else { panic!("{job:?}") };
    assert!(report.files >= 300 && report.bytes > 3 << 20, "{report:?}");
    assert_eq!(daemon.done("GET", "/v1/datasets/in", "")["properties"]["extentsize"], 128 << 10);

    // Of a dataset, a passing snapshot is exported, which is gone afterwards.
    let job = daemon.job("/v1/exports", &json!({ "from": "in", "to": out }).to_string());
    assert_eq!(job.progress.state, JobState::Done, "{job:?}");
    assert_same(&describe(&source), &describe(&out));
    assert_eq!(daemon.done("GET", "/v1/datasets", "")["snapshots"], json!([]));
    // Into a directory that is not empty, nothing is exported.
    let job = daemon.job("/v1/exports", &json!({ "from": "in", "to": out }).to_string());
    assert_eq!(job.progress.state, JobState::Failed);
    assert!(job.problem.is_some_and(|problem| !problem.detail.is_empty()));
    // A second import of the same changes nothing.
    let job = daemon.job("/v1/imports", &json!({ "from": source, "dataset": "in" }).to_string());
    assert_eq!(job.progress.state, JobState::Done, "{job:?}");

    let jobs: Jobs = serde_json::from_value(daemon.done("GET", "/v1/jobs", "")).unwrap();
    assert_eq!(jobs.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!(daemon.ask("DELETE", "/v1/jobs/1", "").problem().code.as_str(), "conflict");
}

#[test]
fn a_running_import_can_be_cancelled_and_ends_with_the_daemon() {
    let (scratch, setup) = setup("cancelled");
    let source = scratch.path().join("source");
    fs::create_dir(&source).unwrap();
    make(&source, 20, 1 << 20, 6);
    // A file that never ends within this test: it is a hole, of which only the reading takes time.
    fs::File::create(source.join("endless")).unwrap().set_len(1 << 20).unwrap();
    for number in 0..3000 {
        fs::write(source.join(format!("small{number}")), number.to_string()).unwrap();
    }
    let daemon = setup.start();
    let import = json!({ "from": source, "dataset": "in" }).to_string();
    let began = daemon.done("POST", "/v1/imports", &import);
    let id = began["id"].as_u64().unwrap();
    let cancelled = daemon.ask("DELETE", &format!("/v1/jobs/{id}"), "");
    let ended = daemon.end_of(id);
    if cancelled.status == 202 {
        assert!(matches!(ended.progress.state, JobState::Cancelled | JobState::Done), "{ended:?}");
    }
    daemon.done("POST", "/v1/imports", &import);
    let (status, took) = daemon.stop();
    assert!(status.success() && took < Duration::from_secs(20), "{status} after {took:?}");
}

#[test]
fn a_sound_pool_is_verified() {
    let (_scratch, setup) = setup("verify");
    let daemon = setup.start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"a"}"#);
    for of in [r#"{"of":"a"}"#, ""] {
        let job = daemon.job("/v1/verifications", of);
        let Some(JobReport::Verify(report)) = job.report else { panic!("{job:?}") };
        assert!(report.damage.is_empty() && report.objects > 0, "{report:?}");
    }
}
