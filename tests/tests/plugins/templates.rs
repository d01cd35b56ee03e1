//! The templates of `dvp init`, built by `dvp build`: they install from source and from the artifact, and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cow_tests::plugins::{FakeLibrary, install, settings, tools};
use cow_tests::scratch::Scratch;
use cowd::plugins::{Call, Caller, Cancel, Language, Manifest, Package, PluginType, Reply, Runner, Source};
use serde_json::json;

use crate::arguments::{connection, vdb};

fn run(command: &mut Command) {
    let output = command.output().expect("it can be run");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}

/// Makes a plugin with the SDK's own tool. Returns its folder and its artifact.
pub fn made(dvp: &Path, folder: &Path, kind: &str) -> (PathBuf, PathBuf) {
    fs::create_dir_all(folder).unwrap();
    let dvp = |arguments: &[&str]| {
        run(Command::new(dvp).args(arguments).current_dir(folder).env("HOME", folder));
    };
    dvp(&["init", "-s", kind, "-n", "made", "-t", "UNIX"]);
    dvp(&["build"]);
    (folder.to_owned(), folder.join("artifact.json"))
}

#[test]
fn what_dvp_makes_installs_from_source_and_artifact_alike_and_runs() {
    let scratch = Scratch::new("plugin-templates");
    let (Some(settings), Some(dvp)) = (settings(Language::Python311), tools()) else { return };
    let runner = Runner::new(settings);
    for (kind, plugin_type) in [("STAGED", PluginType::Staged), ("DIRECT", PluginType::Direct)] {
        let (folder, artifact) = made(&dvp, &scratch.path().join(kind), kind);
        let from = |source: &Path, name: &str| install(&runner, source, &scratch.path().join(format!("{kind}-{name}")));
        let (source, artifact) = (from(&folder, "source"), from(&artifact, "artifact"));
        for package in [&source, &artifact] {
            assert_eq!((package.plugin_type, package.language), (plugin_type, Language::Python311));
            exercise(&runner, package);
        }
        assert_eq!(artifact.build_api.as_deref(), Some("1.11.0"));
        let same = Package { build_api: None, root: source.root.clone(), ..artifact };
        assert_eq!(same, source, "{kind}");
    }
}

/// The templates do nothing, but they answer.
fn exercise(runner: &Runner, package: &Package) {
    let call = |call: Call| {
        let library = FakeLibrary::default();
        let answer = runner.call(package, &call, &library, &Cancel::default());
        answer.unwrap_or_else(|failure| panic!("{failure:?} {:?}", library.log()))
    };
    assert!(matches!(call(Call::DiscoveryRepository { source_connection: connection(1) }), Reply::Found(_)));
    let mut of = vdb("");
    of.source.parameters = json!({});
    of.repository.parameters = json!({ "name": "r" });
    of.source_config.parameters = json!({ "name": "c", "path": "/p" });
    assert!(call(Call::VirtualPostSnapshot(of)).definition().is_ok());
}

#[test]
fn older_artifacts_and_broken_ones_are_read_for_what_they_are() {
    let scratch = Scratch::new("plugin-artifacts");
    let definition = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let good = json!({
        "type": "Plugin", "pluginId": "3F6A1D4E-6c0b-4f0e-9a3c-5d2b7e8f9a01", "prettyName": "Old", "language": "PYTHON27",
        "hostTypes": ["UNIX"], "entryPoint": "a:b", "buildNumber": "1", "sourceCode": "",
        "linkedSourceDefinition": { "type": "PluginLinkedDirectSourceDefinition", "parameters": definition },
        "virtualSourceDefinition": { "parameters": definition },
        "discoveryDefinition": {
            "repositorySchema": definition, "repositoryIdentityFields": ["name"], "repositoryNameField": "name",
            "sourceConfigSchema": definition, "sourceConfigIdentityFields": ["name"], "sourceConfigNameField": "name",
        },
        "snapshotSchema": definition, "manifest": { "hasVirtualStart": true },
    });
    let file = scratch.path().join("artifact.json");
    let read = |artifact: &serde_json::Value| {
        fs::write(&file, artifact.to_string()).unwrap();
        Source::read(&file)
    };
    let package = read(&good).unwrap().package;
    assert_eq!((package.name.as_str(), package.root_squash, package.extended_start_stop_hooks), ("Old", true, false));
    assert_eq!(package.manifest.operations.len(), 1);
    assert_eq!(package.manifest, Manifest { migration_ids: Vec::new(), ..package.manifest.clone() });
    for (pointer, value, told) in [
        ("/pluginId", json!("x"), "artifact.json: pluginId: it must be a UUID"),
        ("/sourceCode", json!(null), "sourceCode: it is missing"),
        ("/language", json!("PYTHON4"), "language: 'PYTHON4' is no language"),
        ("/hostTypes", json!("UNIX"), "hostTypes: it must be a list"),
        ("/hostTypes", json!(["VMS"]), "hostTypes: it must be [UNIX] or [WINDOWS]"),
        ("/entryPoint", json!("a"), "entryPoint: it must be MODULE:OBJECT"),
        ("/buildNumber", json!(1), "buildNumber: it must be text"),
        ("/buildNumber", json!("0"), "buildNumber: '0' has no number above 0"),
        ("/manifest", json!([]), "manifest: it must be an object"),
        ("/manifest/hasVirtualStart", json!(3), "manifest: hasVirtualStart: it must be true or false"),
        ("/linkedSourceDefinition/type", json!("x"), "linkedSourceDefinition.type: it is neither"),
        ("/snapshotSchema", json!(null), "snapshotDefinition: it is missing"),
        ("/snapshotSchema", json!({ "type": 5 }), "snapshotDefinition: type"),
        ("/linkedSourceDefinition/parameters/recordSizeInKB", json!(3), "recordSizeInKB: it must be a power of two"),
        ("/discoveryDefinition/repositoryNameField", json!("nom"), "repositoryDefinition.nameField: \"nom\" is none"),
        (
            "/discoveryDefinition/sourceConfigIdentityFields",
            json!([]),
            "sourceConfigDefinition.identityFields: it must",
        ),
    ] {
        let mut bad = good.clone();
        let (outer, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(outer).unwrap()[field] = value;
        let problem = read(&bad).expect_err(pointer);
        assert!(problem.detail.contains(told), "{told}: {}", problem.detail);
    }
}

#[test]
fn every_wrong_field_of_a_description_is_named() {
    let scratch = Scratch::new("plugin-descriptions");
    let fixture = cow_tests::plugins::fixtures().join("recorder");
    let good = fs::read_to_string(fixture.join("plugin_config.yml")).unwrap();
    fs::create_dir(scratch.path().join("src")).unwrap();
    fs::copy(fixture.join("schema.json"), scratch.path().join("schema.json")).unwrap();
    let read = |text: &str| {
        fs::write(scratch.path().join("plugin_config.yml"), text).unwrap();
        Source::read(scratch.path())
    };
    assert_eq!(read(&good).unwrap().package.name, "recorder");
    for (from, to, told) in [
        ("name: recorder", "name:", "plugin_config.yml: name: it is missing"),
        ("name: recorder", "name: [a]", "name: it must be text"),
        ("id: 3f6a", "id: zf6a", "id: it must be a UUID"),
        ("srcDir: src", "srcDir: other", "srcDir: there is no directory"),
        ("schemaFile: schema.json", "schemaFile: other.json", "other.json: No such file"),
        ("pluginType: STAGED", "pluginType: BOTH", "pluginType: it must be STAGED or DIRECT"),
        ("manualDiscovery: true", "manualDiscovery: maybe", "manualDiscovery: it must be true or false"),
        ("manualDiscovery: true", "colour: red", "colour: there is no such field"),
        ("buildNumber: '1.0.0'", "buildNumber: 1.5", "buildNumber: it must be text: put it in quotes"),
        ("hostTypes: [UNIX]", "hostTypes: []", "hostTypes: it must be [UNIX] or [WINDOWS]"),
        ("id: ", "id: : :", "it is no YAML"),
    ] {
        let problem = read(&good.replace(from, to)).expect_err(to);
        assert!(problem.detail.contains(told), "{told}: {}", problem.detail);
    }
}
