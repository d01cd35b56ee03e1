//! The plugins that come with cow: they install, and their own tests pass, which call each operation on this host.

use std::path::{Path, PathBuf};
use std::process::Command;

use cow_tests::plugins::{install, settings};
use cow_tests::scratch::{Scratch, is_root};
use cowd::plugins::{Language, Runner, SchemaKind};

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/plugins")
}

#[test]
fn they_install_from_their_folders() {
    let Some(settings) = settings(Language::Python311) else { return };
    let (runner, scratch) = (Runner::new(settings), Scratch::new("bundled-plugins"));
    for (name, has_slices) in [("directory", false), ("directory-staged", false), ("postgres", true)] {
        let package = install(&runner, &plugins().join(name), &scratch.path().join(name));
        // A database's pages are 8 KiB, so that its changes cost no more than themselves.
        let schema = package.schemas.get(SchemaKind::LinkedSource).expect("there is a schema").to_string();
        assert_eq!(schema.contains(r#""recordSizeInKB":8"#), has_slices, "{name}");
        assert_eq!(package.block_size(), 8 << 10, "{name}");
    }
}

#[test]
fn their_operations_do_what_they_say() {
    let Some(settings) = settings(Language::Python311) else { return };
    if !is_root() {
        eprintln!("skipped: the plugins' tests mount, which takes root");
        return;
    }
    let environment = settings.environment(Language::Python311).unwrap_or_else(|failure| panic!("{failure:?}"));
    // Ports, mounts and processes of its own: nothing is left, however it ends.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    command.args(["sh", "-c", r#"ip link set lo up && exec "$0" -B -m unittest discover ."#]).arg(&environment.python);
    command.current_dir(plugins().join("tests"));
    let output = command.env("COW_SDK", &environment.sdk).output().expect("the interpreter is there");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("OK"), "{told}");
}
