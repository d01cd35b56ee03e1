//! Each exit code, and what is said with it: one line on stderr.

use std::fs;
use std::io::pipe;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cow_tests::daemon::Setup;
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;
use serde_json::json;

use crate::stand_in::StandIn;
use crate::{Ended, done, envelope, program, run, start};

/// Runs cowctl, which must end with `code` and say one line that has `told` in it.
fn refused(socket: &Path, line: &str, code: i32, told: &str) {
    let ended = run(socket, line);
    assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "cowctl {line}: {}", ended.stderr);
    assert!(ended.stderr.starts_with("cowctl: ") && ended.stderr.contains(told), "cowctl {line}: {}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "cowctl {line}: {}", ended.stderr);
    // The same in JSON, for those who read stdout.
    let ended = run(socket, &format!("--json {line}"));
    let (kind, problem) = envelope(&ended.stdout);
    assert_eq!((ended.code, kind.as_str()), (code, "problem"), "cowctl --json {line}");
    assert!(problem["detail"].is_string() && problem["code"].is_string());
}

#[test]
fn every_exit_code_is_met() {
    let (scratch, daemon) = start("cli-ends");
    for line in ["create a", "create a/b", "snapshot a@s", "hold a@s tag", "create small -o quota=64K"] {
        done(&daemon, line);
    }
    let from = scratch.path().join("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("large"), vec![7; 1 << 20]).unwrap();
    let socket = daemon.socket();
    let transfer = |line: &str| line.replace("FROM", from.to_str().unwrap());
    for (line, code, told) in [
        ("set a blocksize=4K", 1, "block size"),
        ("", 2, "no command is given; 'cowctl help' lists them"),
        ("creaet a", 2, "did you mean 'create'?"),
        ("create a@b", 2, "name"),
        ("set a nonsense=1", 2, "no property is called 'nonsense'"),
        ("set a quota", 2, "NAME=VALUE"),
        ("clone a b", 2, "DATASET@SNAPSHOT"),
        ("rewind a", 2, "DATASET@SNAPSHOT"),
        ("rewind a@s --to a@s", 2, "two snapshots"),
        ("rename a@s b@t", 2, "cannot leave its dataset"),
        ("list -o nonsense", 2, "there is no column 'nonsense'"),
        ("list -t nonsense", 2, "give dataset, snapshot or all"),
        ("create b --profile nonsense", 2, "default, postgres, innodb or tree"),
        ("destroy -r a@s", 2, "--recursive is for datasets"),
        ("destroy --now a", 2, "add --yes"),
        ("job follow nonsense", 2, "no job's number"),
        ("--url http://h list", 2, "both --socket and --url"),
        ("get nope", 4, "nope"),
        ("list nope", 4, "nope"),
        ("space nope", 4, "nope"),
        ("clone a@nope c", 4, "nope"),
        ("undelete nope", 4, "nope"),
        ("release a@s nope", 4, "nope"),
        ("job show 99", 4, "99"),
        ("import /nope/nope b", 4, "/nope/nope"),
        ("create a", 5, "already"),
        ("rename a small", 5, "small"),
        ("destroy a", 5, "-r a"),
        ("export a FROM", 5, "not empty"),
        ("destroy a@s", 6, "held"),
        ("import FROM small", 8, "quota"),
    ] {
        refused(&socket, &transfer(line), code, told);
    }
    let folder = scratch.path().join("none.sock");
    refused(&folder, "status", 9, "is it running?");
    fs::write(&folder, "").unwrap();
    refused(&folder, "status", 9, "cannot reach cowd at ");
}

#[test]
fn a_token_opens_the_way_over_tcp() {
    let scratch = Scratch::new("cli-tcp");
    let (token, wrong) = (scratch.path().join("token"), scratch.path().join("wrong"));
    fs::write(&token, "0123456789abcdef\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&wrong, "0123456789abcdeX\n").unwrap();
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    setup.config += &format!("[control]\nhttp = \"127.0.0.1:0\"\ntoken_file = {token:?}\n");
    let daemon = setup.start();
    let url = format!("http://{}", daemon.http());
    let ask = |file: Option<&Path>| -> Ended {
        let mut command = program();
        command.env("COW_URL", &url).arg("status");
        file.map(|file| command.arg("--token-file").arg(file));
        command.output().unwrap().into()
    };
    assert_eq!((ask(Some(&token)).code, ask(Some(&wrong)).code, ask(None).code), (0, 7, 7));
    assert_eq!(ask(Some(Path::new("/nope"))).code, 1);
    assert!(!ask(Some(&wrong)).stderr.contains("0123456789"), "a token is told to nobody");
}

#[test]
fn damage_on_the_disk_is_found_and_named() {
    let scratch = Scratch::new("cli-damage");
    let setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path());
    let daemon = setup.start();
    let from = scratch.path().join("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("file"), Random::new(1).bytes(300_000)).unwrap();
    done(&daemon, &format!("import {} a", from.display()));
    done(&daemon, "snapshot a@s");
    assert!(done(&daemon, "verify").starts_with("All is well: "));
    daemon.stop();
    for entry in fs::read_dir(scratch.path().join("pool")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("data-") {
            let mut bytes = fs::read(entry.path()).unwrap();
            // Not all of it: the other extents are still good, and so is every node.
            bytes.iter_mut().skip(100_000).step_by(4096).take(10).for_each(|byte| *byte ^= 0x10);
            fs::write(entry.path(), bytes).unwrap();
        }
    }
    let daemon = setup.start();
    let ended = run(&daemon.socket(), "verify");
    assert_eq!((ended.code, ended.stderr.as_str()), (10, ""), "{}", ended.stdout);
    assert!(ended.stdout.starts_with("a /file at byte "), "{}", ended.stdout);
    let to = scratch.path().join("to");
    let ended = run(&daemon.socket(), &format!("export a@s {}", to.display()));
    assert!(ended.code == 10 && ended.stderr.contains("file: "), "{}", ended.stderr);
}

#[test]
fn damage_has_its_own_code() {
    let damage = json!([{ "dataset": "a", "path": "/f", "offset": 7, "problem": "the hash is another" }]);
    let report = json!({ "kind": "verify", "objects": 3, "bytes": 4096, "damage": damage });
    let stand_in = StandIn::new(move |method, target| {
        assert!((method, target) == ("POST", "/v1/verifications") || target.starts_with("/v1/jobs/1"));
        (202, crate::stand_in::job("verify", "done", report.clone()))
    });
    let ended = run(stand_in.socket(), "verify");
    let told = "a /f at byte 7: the hash is another\n1 thing is damaged: 3 objects, 4.0 KiB read\n";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (10, told, ""));
    assert_eq!(run(stand_in.socket(), "--json verify").code, 10);
}

#[test]
fn an_answer_that_makes_no_sense_is_a_failure_and_no_panic() {
    for (status, body) in [(200, json!([])), (200, json!("x")), (500, json!({})), (404, json!({ "code": "made_up" }))] {
        let stand_in = StandIn::new(move |_, _| (status, body.clone()));
        let ended = run(stand_in.socket(), "status");
        assert!([1, 4].contains(&ended.code) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    }
    let newer = json!({
        "type": "urn:cow:problem:of_tomorrow", "title": "Tomorrow", "status": 409, "code": "of_tomorrow",
        "detail": "line one\nline \u{1b}[31mtwo", "hint": "wait", "field": 1
    });
    let stand_in = StandIn::new(move |_, _| (409, newer.clone()));
    let ended = run(stand_in.socket(), "status");
    assert_eq!((ended.code, ended.stderr.as_str()), (1, "cowctl: line one line \u{fffd}[31mtwo; wait\n"));
}

#[test]
fn whoever_stops_reading_has_had_enough() {
    for line in ["help", "help list", "--json nonsense"] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = program().args(line.split(' ')).stdout(writer).output().unwrap();
        let code = if line.ends_with("nonsense") { 2 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "cowctl {line}");
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let ended: Ended = program().arg("help").stdout(full).output().unwrap().into();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.starts_with("cowctl: cannot write the output: "), "{}", ended.stderr);
}
