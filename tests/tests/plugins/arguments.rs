//! Every operation of the recorder is given what the SDK's objects then say, in each language that is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cow_tests::plugins::{FakeLibrary, fixtures, install, settings};
use cow_tests::scratch::Scratch;
use cowd::plugins::{
    Call, Caller, Cancel, Connection, DirectSource, Environment, Host, Language, Level, Linked, LinkedSource, Mount,
    MountSpecification, Named, ObjectKind, Operation, Package, PhysicalSource, Reply, Runner, StagedSource, Status,
    User, Virtual, VirtualSource,
};
use serde_json::{Value, json};

fn environment(number: u32) -> Environment {
    Environment {
        name: format!("env {number}"),
        reference: format!("UNIX_HOST_ENVIRONMENT-{number}"),
        host: Host {
            name: format!("host{number}"),
            reference: format!("UNIX_HOST-{number}"),
            binary_path: format!("/toolkit/Delphix_COMMON_{number}_host/scripts/bin"),
            scratch_path: format!("/toolkit/{number}/scratch"),
        },
    }
}

pub fn connection(number: u32) -> Connection {
    let user = User { name: format!("üser{number}"), reference: format!("HOST_USER-{number}") };
    Connection { environment: environment(number), user }
}

/// A connection as the recorder shows it.
fn connection_shown(number: u32) -> Value {
    serde_json::to_value(connection(number)).unwrap()
}

fn named(name: &str) -> Named {
    Named { name: name.to_owned(), parameters: json!({ "name": name }) }
}

fn mount(number: u32, path: &str, shared: Option<&str>) -> Mount {
    Mount { environment: environment(number), mount_path: path.to_owned(), shared_path: shared.map(str::to_owned) }
}

/// A mount as the recorder shows it; in the messages no path and an empty one are the same.
fn mount_shown(mount: &Mount) -> Value {
    json!({
        "remote_environment": mount.environment,
        "mount_path": mount.mount_path,
        "shared_path": mount.shared_path.clone().unwrap_or_default(),
    })
}

fn staged(mounts: Vec<Mount>) -> StagedSource {
    StagedSource {
        guid: "guid-s".to_owned(),
        source_connection: connection(1),
        staged_connection: connection(2),
        mounts,
        parameters: json!({ "password": "geheim" }),
    }
}

fn staged_shown(source: &StagedSource) -> Value {
    let nowhere = Mount { environment: environment(2), ..Mount::default() };
    let (mount, mounts) = match &source.mounts[..] {
        [] => (mount_shown(&nowhere), Value::Null),
        [one] if one.shared_path.is_none() => (mount_shown(one), Value::Null),
        parts => (Value::Null, parts.iter().map(mount_shown).collect()),
    };
    json!({
        "guid": "guid-s", "source_connection": connection_shown(1), "staged_connection": connection_shown(2),
        "mount": mount, "mounts": mounts, "parameters": source.parameters,
    })
}

pub fn vdb(fault: &str) -> Virtual {
    let mut parameters = json!({ "mounts": [{ "path": "/a" }] });
    if !fault.is_empty() {
        parameters["fault"] = fault.into();
    }
    let mounts = vec![mount(3, "/v", None), mount(4, "/w", Some("sub"))];
    let source = VirtualSource { guid: "guid-v".to_owned(), connection: connection(3), mounts, parameters };
    Virtual { source, repository: named("repo"), source_config: named("config") }
}

fn vdb_shown(of: &Virtual) -> Value {
    let mounts: Vec<Value> = of.source.mounts.iter().map(mount_shown).collect();
    json!({
        "guid": "guid-v", "connection": connection_shown(3), "mounts": mounts, "parameters": of.source.parameters,
    })
}

/// The recorder in a language and of a type; `None` where the language is not there.
pub fn recorder(scratch: &Path, language: Language, plugin_type: &str) -> Option<(Runner, Package)> {
    let runner = Runner::new(settings(language)?);
    let folder = scratch.join(format!("recorder-{language}-{plugin_type}"));
    fs::create_dir_all(folder.join("src")).unwrap();
    let fixture = fixtures().join("recorder");
    let config = fs::read_to_string(fixture.join("plugin_config.yml")).unwrap();
    let config = config.replace("PYTHON311", language.as_str()).replace("STAGED", plugin_type);
    fs::write(folder.join("plugin_config.yml"), config).unwrap();
    for file in ["schema.json", "src/recorder.py"] {
        fs::copy(fixture.join(file), folder.join(file)).unwrap();
    }
    let package = install(&runner, &folder, &scratch.join(format!("installed-{language}-{plugin_type}")));
    Some((runner, package))
}

/// A call, what the recorder then records beside the operation's name, and the reply.
type Case = (Call, Value, Reply);

fn linked_cases(source: &LinkedSource, shown: &Value) -> Vec<Case> {
    let linked = Linked { source: source.clone(), repository: named("repo"), source_config: named("config") };
    let common = json!({ "source": shown, "repository": { "name": "repo" }, "source_config": { "name": "config" } });
    let with = |name: &str, value: Value| {
        let mut shown = common.clone();
        shown[name] = value;
        shown
    };
    let physical = physical();
    let to_physical = {
        let mut shown = with("snapshot", json!({ "number": 3 }));
        shown["physical_source"] = physical_shown();
        shown
    };
    let mut cases = vec![
        (
            Call::LinkedPreSnapshot { linked: linked.clone(), snapshot_parameters: None },
            with("snapshot_parameters", Value::Null),
            Reply::Done,
        ),
        (
            Call::LinkedPostSnapshot { linked: linked.clone(), snapshot_parameters: Some(json!({ "resync": true })) },
            with("snapshot_parameters", json!({ "resync": true })),
            Reply::Definition(json!({ "number": 7 })),
        ),
        (
            Call::LinkedPostSnapshot { linked: linked.clone(), snapshot_parameters: Some(json!({})) },
            with("snapshot_parameters", json!({})),
            Reply::Definition(json!({ "number": 7 })),
        ),
        (Call::LinkedSourceSize(linked.clone()), common.clone(), Reply::Size(0)),
        (
            Call::LinkedPreSourceToPhysical {
                linked: linked.clone(),
                snapshot: json!({ "number": 3 }),
                physical: physical.clone(),
            },
            to_physical.clone(),
            Reply::Done,
        ),
        (
            Call::LinkedSourceToPhysical { linked: linked.clone(), snapshot: json!({ "number": 3 }), physical },
            to_physical,
            Reply::Done,
        ),
    ];
    if let LinkedSource::Staged(source) = source {
        let mounts = vec![mount(2, "/staged", None)];
        let specification = MountSpecification { mounts, owner: Some((0, 5)) };
        cases.extend([
            (
                Call::LinkedMountSpecification { source: (**source).clone(), repository: named("repo") },
                json!({ "source": shown, "repository": { "name": "repo" } }),
                Reply::Mounts(specification),
            ),
            (Call::LinkedStartStaging(linked.clone()), common.clone(), Reply::Done),
            (Call::LinkedStopStaging(linked.clone()), common.clone(), Reply::Done),
            (Call::LinkedStatus(linked.clone()), common.clone(), Reply::Status(Status::Active)),
            (Call::LinkedWorker(linked), common, Reply::Done),
        ]);
    }
    cases
}

fn physical() -> PhysicalSource {
    PhysicalSource {
        guid: "guid-p".to_owned(),
        connection: connection(5),
        target_directory: "/out".to_owned(),
        parameters: json!({ "note": "n" }),
    }
}

fn physical_shown() -> Value {
    json!({
        "guid": "guid-p", "connection": connection_shown(5), "target_directory": "/out",
        "parameters": { "note": "n" },
    })
}

fn virtual_cases() -> Vec<Case> {
    let of = vdb("");
    let (repository, source) = (named("repo"), of.source.clone());
    let snapshot = json!({ "number": 3 });
    let shown = |names: &[&str]| {
        let all = json!({
            "source": vdb_shown(&of), "repository": { "name": "repo" }, "source_config": { "name": "config" },
            "snapshot": snapshot, "physical_source": physical_shown(),
        });
        names.iter().map(|name| ((*name).to_owned(), all[*name].clone())).collect::<Value>()
    };
    let common = shown(&["source", "repository", "source_config"]);
    let definition = |value: Value| Reply::Definition(value);
    let environment_alone = |number: u32| Environment {
        name: "dummy name".to_owned(),
        reference: format!("UNIX_HOST_ENVIRONMENT-{number}"),
        host: Host {
            name: "dummy host".to_owned(),
            reference: "dummy reference".to_owned(),
            binary_path: "dummy binary path".to_owned(),
            scratch_path: "dummy scratch path".to_owned(),
        },
    };
    let mounts = vec![
        mount(3, "/v/a", Some("part/a")),
        Mount { environment: environment_alone(9), mount_path: "/v/b".to_owned(), shared_path: None },
    ];
    let to_physical = shown(&["source", "repository", "source_config", "snapshot", "physical_source"]);
    vec![
        (
            Call::VirtualConfigure {
                source: source.clone(),
                repository: repository.clone(),
                snapshot: snapshot.clone(),
            },
            shown(&["source", "repository", "snapshot"]),
            definition(json!({ "name": "made", "dataPath": "/v" })),
        ),
        (
            Call::VirtualReconfigure { of: of.clone(), snapshot: snapshot.clone() },
            shown(&["source", "repository", "source_config", "snapshot"]),
            definition(json!({ "name": "config" })),
        ),
        (
            Call::VirtualInitialize { source: source.clone(), repository: repository.clone() },
            shown(&["source", "repository"]),
            definition(json!({ "name": "empty" })),
        ),
        (Call::VirtualUnconfigure(of.clone()), common.clone(), Reply::Done),
        (Call::VirtualCleanup(of.clone()), common.clone(), Reply::Done),
        (Call::VirtualStart(of.clone()), common.clone(), Reply::Done),
        (Call::VirtualStop(of.clone()), common.clone(), Reply::Done),
        (Call::VirtualPreSnapshot(of.clone()), common.clone(), Reply::Done),
        (Call::VirtualPostSnapshot(of.clone()), common.clone(), definition(json!({ "number": 8 }))),
        (
            Call::VirtualMountSpecification { source, repository },
            shown(&["source", "repository"]),
            Reply::Mounts(MountSpecification { mounts, owner: None }),
        ),
        (Call::VirtualStatus(of.clone()), common.clone(), Reply::Status(Status::Inactive)),
        (Call::VirtualSourceSize(of.clone()), common, Reply::Size(1 << 40)),
        (
            Call::VirtualPreSourceToPhysical { of: of.clone(), snapshot: snapshot.clone(), physical: physical() },
            to_physical.clone(),
            Reply::Done,
        ),
        (
            Call::VirtualSourceToPhysical { of: of.clone(), snapshot: snapshot.clone(), physical: physical() },
            to_physical,
            Reply::Done,
        ),
    ]
}

fn discovery_cases() -> Vec<Case> {
    let found = |name: &str, parameters: Value| Named { name: name.to_owned(), parameters };
    vec![
        (
            Call::DiscoveryRepository { source_connection: connection(1) },
            json!({ "source_connection": connection_shown(1) }),
            Reply::Found(vec![
                found("répo", json!({ "name": "répo", "installPath": "/opt/r" })),
                found("other", json!({ "name": "other" })),
            ]),
        ),
        (
            Call::DiscoverySourceConfig { source_connection: connection(1), repository: named("repo") },
            json!({ "source_connection": connection_shown(1), "repository": { "name": "repo" } }),
            Reply::Found(vec![found("found", json!({ "name": "found" }))]),
        ),
    ]
}

/// Calls what the package has, and compares what arrived. Returns the operations that were called.
fn compare(runner: &Runner, package: &Package, cases: Vec<Case>) -> Vec<Operation> {
    let mut called = Vec::new();
    for (call, shown, reply) in cases {
        let operation = call.operation().expect("it is an operation");
        if !package.has(operation) {
            continue;
        }
        let library = FakeLibrary::default();
        let answer = runner.call(package, &call, &library, &Cancel::default());
        let told = || format!("{operation} in {}: {:?}", package.language, library.log());
        assert_eq!(answer, Ok(reply), "{}", told());
        let recorded = library.recorded();
        assert_eq!(recorded.len(), 1, "{}", told());
        let mut expected = shown;
        expected["operation"] = operation.to_string().into();
        // Before SDK 4.1 a dSource had no list of mounts.
        if recorded[0]["source"].get("mounts").is_none()
            && let Some(source) = expected.get_mut("source").and_then(Value::as_object_mut)
            && source.get("mounts").is_some_and(Value::is_null)
        {
            source.remove("mounts");
        }
        assert_eq!(recorded[0], expected, "{}", told());
        called.push(operation);
    }
    called.sort();
    called.dedup();
    called
}

#[test]
fn every_operation_arrives_as_it_was_given_in_every_language() {
    let scratch = Scratch::new("plugin-arguments");
    for language in Language::ALL {
        let Some((runner, staged_package)) = recorder(scratch.path(), language, "STAGED") else { continue };
        let (_, direct_package) = recorder(scratch.path(), language, "DIRECT").expect("it was there a moment ago");
        assert_eq!(staged_package.block_size(), 16 << 10);
        let mut called = Vec::new();
        let mut mounts = vec![vec![], vec![mount(2, "/m", None)]];
        if language != Language::Python27 {
            mounts.push(vec![mount(2, "/m", Some("a")), mount(2, "/n", Some("b"))]);
        }
        for mounts in mounts {
            let source = staged(mounts);
            let shown = staged_shown(&source);
            called.extend(compare(
                &runner,
                &staged_package,
                linked_cases(&LinkedSource::Staged(Box::new(source)), &shown),
            ));
        }
        let source = DirectSource {
            guid: "guid-d".to_owned(),
            connection: connection(1),
            parameters: json!({ "credentials": { "type": "NamedPasswordCredential", "username": "db", "password": "12345" } }),
        };
        let shown = json!({ "guid": "guid-d", "connection": connection_shown(1), "parameters": source.parameters });
        compare(&runner, &direct_package, linked_cases(&LinkedSource::Direct(Box::new(source)), &shown));
        called.extend(compare(&runner, &staged_package, virtual_cases()));
        called.extend(compare(&runner, &staged_package, discovery_cases()));
        called.sort();
        called.dedup();
        let has: Vec<Operation> = staged_package.manifest.operations.iter().copied().collect();
        assert_eq!(called, has, "{language}");
        if language == Language::Python311 {
            assert_eq!(has, Operation::all().collect::<Vec<_>>());
        }
    }
}

#[test]
fn the_library_is_asked_what_the_plugin_asks() {
    let scratch = Scratch::new("plugin-library");
    for language in Language::ALL {
        let Some((runner, package)) = recorder(scratch.path(), language, "DIRECT") else { continue };
        let supplier = json!({ "type": "NamedPasswordCredential", "username": "db", "password": "12345" });
        let source = DirectSource {
            guid: "guid-d".to_owned(),
            connection: connection(1),
            parameters: json!({ "credentials": supplier }),
        };
        let linked = Linked {
            source: LinkedSource::Direct(Box::new(source)),
            repository: named("repo"),
            source_config: named("config"),
        };
        let library = FakeLibrary::default();
        let call = Call::LinkedPreSnapshot { linked, snapshot_parameters: None };
        assert_eq!(runner.call(&package, &call, &library, &Cancel::default()), Ok(Reply::Done), "{:?}", library.log());
        let expected = [
            json!({ "function": "retrieve_credentials", "supplier": supplier }),
            json!({
                "function": "run_bash", "environment": "UNIX_HOST_ENVIRONMENT-1", "user": "üser1",
                "command": "cat $FILE", "variables": { "FILE": "/tést" }, "use_login_shell": true,
            }),
            json!({
                "function": "run_sync", "environment": "UNIX_HOST_ENVIRONMENT-1", "source_directory": "/data",
                "rsync_user": "db", "exclude_paths": ["log"], "sym_links_to_follow": ["link"],
            }),
        ];
        assert_eq!(library.asked(), expected);
        assert_eq!(library.level("credentials of db: 5"), Some(Level::Info));
        assert_eq!(library.level("bash 0 büsh"), Some(Level::Debug));
    }
}

#[test]
fn migrations_run_in_the_order_given_over_all_objects() {
    let scratch = Scratch::new("plugin-migrations");
    for language in Language::ALL {
        let Some((runner, package)) = recorder(scratch.path(), language, "STAGED") else { continue };
        assert_eq!(package.manifest.migration_ids, ["2020.1", "2020.2", "2020.10"]);
        let upgrade = |kind, objects: &[(&str, Value)]| {
            let objects = objects.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let call = Call::Upgrade { kind, migration_ids: package.manifest.migration_ids.clone(), objects };
            let upgraded = runner.call(&package, &call, &FakeLibrary::default(), &Cancel::default());
            upgraded.and_then(Reply::upgraded).unwrap_or_else(|failure| panic!("{failure:?}"))
        };
        let objects = [("R-1", json!({ "name": "a" })), ("R-2", json!({ "name": "b" }))];
        let expected = BTreeMap::from([
            ("R-1".to_owned(), json!({ "name": "a+1+10" })),
            ("R-2".to_owned(), json!({ "name": "b+1+10" })),
        ]);
        assert_eq!(upgrade(ObjectKind::Repository, &objects), expected);
        if language != Language::Python27 {
            let upgraded = upgrade(ObjectKind::LinkedSource, &[("L", json!({ "password": "p" }))]);
            let supplier = json!({ "type": "NamedPasswordCredential", "username": "db", "password": "p" });
            assert_eq!(upgraded["L"], json!({ "credentials": supplier }));
        }
        assert_eq!(upgrade(ObjectKind::Snapshot, &[("S", json!({ "number": 1 }))])["S"], json!({ "number": 1 }));
    }
}
