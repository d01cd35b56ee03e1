//! `cowctl plugin` and `dvp upload` against a daemon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::plugins::{FakeLibrary, fixtures, install, interpreter, settings, tools, wheels};
use cow_tests::scratch::Scratch;
use cowd::plugins::{Call, Caller, Cancel, Language, Reply, Runner, Settings};
use serde_json::{Value, json};

use crate::arguments::vdb;
use crate::templates::made;

/// The password of `dvp upload`.
const TOKEN: &str = "a-token-of-32-characters-or-more";

/// How a daemon is started that has an interpreter, and no SDK.
fn bare(scratch: &Path) -> Option<Setup> {
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch);
    let token = scratch.join("token");
    fs::write(&token, TOKEN).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let python = interpreter(Language::Python311).filter(|_| settings(Language::Python311).is_some())?;
    setup.config += &format!("[plugins]\npython311 = \"{}\"\n", python.display());
    setup.flags = ["--http", "127.0.0.1:0", "--token-file", token.to_str()?].map(str::to_owned).to_vec();
    Some(setup)
}

/// A daemon that can run plugins in Python 3.11, without fetching anything.
fn daemon(scratch: &Path) -> Option<Daemon> {
    let (setup, settings) = (bare(scratch)?, settings(Language::Python311)?);
    let daemon = setup.start();
    let kept = scratch.join("pool/state/plugins/sdk");
    fs::create_dir_all(&kept).unwrap();
    symlink(settings.directory.join("sdk/python311"), kept.join("python311")).unwrap();
    Some(daemon)
}

/// What `cowctl` prints; its error where it fails.
fn cowctl(daemon: &Daemon, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowctl-under-test"));
    let output = command.arg("--socket").arg(daemon.socket()).args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The recorder with another build number and text in its code.
fn build(scratch: &Path, number: &str, change: (&str, &str)) -> PathBuf {
    let (from, to) = (fixtures().join("recorder"), scratch.join(format!("build-{number}")));
    fs::create_dir_all(to.join("src")).unwrap();
    let copy = |file: &str, from_text: &str, to_text: &str| {
        let text = fs::read_to_string(from.join(file)).unwrap();
        fs::write(to.join(file), text.replace(from_text, to_text)).unwrap();
    };
    copy("plugin_config.yml", "1.0.0", number);
    copy("schema.json", "", "");
    copy("src/recorder.py", change.0, change.1);
    to
}

/// The directories of installed plugins.
fn installed(scratch: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(scratch.join("pool/state/plugins/installed")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn plugins_are_installed_shown_upgraded_and_removed() {
    let scratch = Scratch::new("plugin-verbs");
    let Some(daemon) = daemon(scratch.path()) else { return };
    let ask = |words: &[&str]| cowctl(&daemon, words);
    let builds = |number: &str| build(scratch.path(), number, ("", ""));
    let (first, second) = (builds("1.9"), builds("1.10"));
    assert_eq!(ask(&["plugin", "list"]).unwrap(), "");
    let told = ask(&["plugin", "install", first.to_str().unwrap()]).unwrap();
    assert_eq!(told, "Installed plugin recorder, build 1.9\n");
    let told = ask(&["plugin", "list", "-H"]).unwrap();
    assert_eq!(told, "recorder\t1.9\tSTAGED\tPYTHON311\t-\n");
    let shown = ask(&["plugin", "show", "3F6A1D4E-6c0b-4f0e-9a3c-5d2b7e8f9a01"]).unwrap();
    for line in ["block size        16384\n", "virtual.start", "migrations        2020.1, 2020.2, 2020.10\n"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let template = ask(&["plugin", "schema", "recorder", "linked_source"]).unwrap();
    assert!(template.contains("# optional, string, password\n#\"password\": \"\"\n"), "{template}");
    assert!(ask(&["plugin", "schema", "recorder", "colour"]).unwrap_err().contains("give one of repository"));
    let again = ask(&["plugin", "install", second.to_str().unwrap()]).unwrap_err();
    assert!(again.contains("is installed already") && again.contains("cowctl plugin upgrade"), "{again}");
    assert_eq!(
        ask(&["plugin", "upgrade", second.to_str().unwrap()]).unwrap(),
        "Upgraded plugin recorder, build 1.10\n"
    );
    let lower = ask(&["plugin", "upgrade", first.to_str().unwrap()]).unwrap_err();
    assert!(lower.contains("build 1.9 is older than 1.10"), "{lower}");
    let change = ("@plugin.upgrade.repository('2020.10')", "@plugin.upgrade.repository('2020.11')");
    let lacking = build(scratch.path(), "1.11", change);
    let told = ask(&["plugin", "upgrade", lacking.to_str().unwrap()]).unwrap_err();
    assert!(told.contains("lacks migration 2020.10"), "{told}");
    let broken = build(scratch.path(), "1.12", ("plugin = Plugin()", "plugin = Plugin(\n"));
    let told = ask(&["plugin", "upgrade", broken.to_str().unwrap()]).unwrap_err();
    assert!(told.contains("the plugin cannot be imported: SyntaxError"), "{told}");
    assert_eq!(installed(scratch.path()).len(), 1);
    let told = ask(&["plugin", "upgrade", "/nowhere"]).unwrap_err();
    assert!(told.contains("/nowhere: No such file"), "{told}");
    assert_eq!(ask(&["plugin", "remove", "recorder"]).unwrap(), "Removed plugin recorder, build 1.10\n");
    assert_eq!(installed(scratch.path()), Vec::<PathBuf>::new());
    assert!(ask(&["plugin", "show", "recorder"]).unwrap_err().contains("no plugin 'recorder'"));
    let told = ask(&["plugin", "setup", "PYTHON27"]).unwrap_err();
    assert!(told.contains("no interpreter for PYTHON27") && told.contains("plugins.python27"), "{told}");
}

/// A folder that pip takes for a registry, with these wheels.
fn registry(scratch: &Path, wheels: &Path) -> PathBuf {
    let folder = scratch.join("registry");
    for wheel in fs::read_dir(wheels).unwrap().map(|entry| entry.unwrap().path()) {
        let file = wheel.file_name().unwrap().to_str().unwrap();
        let page = folder.join(file.split('-').next().unwrap().replace('_', "-").to_lowercase());
        fs::create_dir_all(&page).unwrap();
        fs::copy(&wheel, page.join(file)).unwrap();
        fs::write(page.join("index.html"), format!("<a href=\"{file}\">{file}</a>")).unwrap();
    }
    folder
}

/// A daemon whose pip knows no registry but this folder.
fn daemon_with_registry(scratch: &Path, registry: &Path) -> Option<Daemon> {
    let mut setup = bare(scratch)?;
    let variables = [
        ("PIP_INDEX_URL", format!("file://{}", registry.display())),
        ("PIP_CONFIG_FILE", "/dev/null".to_owned()),
        ("PIP_CACHE_DIR", scratch.join("pip").display().to_string()),
    ];
    setup.environment = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Some(setup.start())
}

/// An operation of a plugin runs on the SDK that a daemon has; the tests' own is not used.
fn runs_on_its_sdk(scratch: &Path) {
    let runner = Runner::new(Settings {
        directory: scratch.join("pool/state/plugins"),
        ..settings(Language::Python311).expect("it was there a moment ago")
    });
    let package = install(&runner, &fixtures().join("recorder"), &scratch.join("runs"));
    let library = FakeLibrary::default();
    let reply = runner.call(&package, &Call::VirtualStart(vdb("")), &library, &Cancel::default());
    assert!(matches!(reply, Ok(Reply::Done)), "{}", library.log().join("\n"));
    assert_eq!(library.recorded().len(), 1);
}

#[test]
fn the_sdk_is_fetched_from_a_registry_or_from_wheels_alone() {
    let Some(wheels) = wheels(Language::Python311) else { return };
    let scratch = Scratch::new("plugin-setup");
    let recorder = fixtures().join("recorder");
    for (name, has_registry) in [("online", true), ("offline", false)] {
        let scratch = scratch.path().join(name);
        fs::create_dir(&scratch).unwrap();
        let nowhere = scratch.join("nowhere");
        let registry = if has_registry { registry(&scratch, &wheels) } else { nowhere.clone() };
        let Some(daemon) = daemon_with_registry(&scratch, &registry) else { return };
        let ask = |words: &[&str]| cowctl(&daemon, words);
        let installing = ["plugin", "install", recorder.to_str().unwrap()];
        let told = ask(&installing).unwrap_err();
        assert!(told.contains("'cowctl plugin setup PYTHON311' fetches it"), "{told}");
        let ready = Ok("Plugins in PYTHON311 can be run\n".to_owned());
        if has_registry {
            assert_eq!(ask(&["plugin", "setup"]), ready);
        } else {
            let told = ask(&["plugin", "setup", "PYTHON311"]).unwrap_err();
            assert!(told.contains("cannot fetch the SDK for PYTHON311") && told.contains("--wheels"), "{told}");
            // A folder without them is not made good by what was fetched before.
            fs::create_dir(&nowhere).unwrap();
            let told = ask(&["plugin", "setup", "PYTHON311", "--wheels", nowhere.to_str().unwrap()]).unwrap_err();
            assert!(told.contains("No matching distribution found"), "{told}");
            assert!(ask(&installing).is_err());
            assert_eq!(ask(&["plugin", "setup", "PYTHON311", "--wheels", wheels.to_str().unwrap()]), ready);
        }
        assert_eq!(ask(&installing).unwrap(), "Installed plugin recorder, build 1.0.0\n");
        // It may be fetched again, as after an update of cowd.
        assert_eq!(ask(&["plugin", "setup", "PYTHON311", "--wheels", wheels.to_str().unwrap()]), ready);
        runs_on_its_sdk(&scratch);
    }
}

#[test]
fn dvp_uploads_what_it_built_and_builds_again() {
    let scratch = Scratch::new("plugin-upload");
    let (Some(daemon), Some(dvp)) = (daemon(scratch.path()), tools()) else { return };
    let (folder, _) = made(&dvp, &scratch.path().join("made"), "STAGED");
    let upload = |password: &str| {
        let mut command = Command::new(&dvp);
        command.arg("upload").args(["-e", &daemon.http().to_string(), "-u", "admin", "--password", password]);
        let output = command.current_dir(&folder).env("HOME", &folder).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (is_done, told) = upload("a-wrong-password-of-24-letters");
    assert!(!is_done && told.contains("the password is wrong"), "{told}");
    assert_eq!(daemon.done("GET", "/v1/plugins", "")["plugins"], json!([]));
    let (is_done, told) = upload(TOKEN);
    assert!(is_done, "{told}");
    let plugins = daemon.done("GET", "/v1/plugins", "");
    assert_eq!(plugins["plugins"][0]["name"], Value::from("made"), "{plugins}");
    // The same build again is an upgrade that changes nothing; an older one is refused in the tool's own words.
    assert!(upload(TOKEN).0);
    let artifact = folder.join("artifact.json");
    let text = fs::read_to_string(&artifact).unwrap();
    fs::write(&artifact, text.replace("\"buildNumber\": \"0.1\"", "\"buildNumber\": \"0.0.1\"")).unwrap();
    let (is_done, told) = upload(TOKEN);
    assert!(!is_done && told.contains("Action: buildNumber must not go down"), "{told}");
    let left = fs::read_dir(scratch.path().join("pool/state/plugins")).unwrap();
    assert!(left.map(|entry| entry.unwrap().file_name()).all(|name| !name.to_string_lossy().starts_with('.')));
    assert_eq!(daemon.ask_over_tcp("GET", "/resources/json/delphix/action/ACTION-1", "").status, 401);
    assert!(!daemon.log().contains(TOKEN));
}
