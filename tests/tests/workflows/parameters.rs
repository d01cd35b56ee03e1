//! Parameters as users write them: the template that `cowctl plugin schema` prints, as it is and filled in.

use std::process::Command;

use serde_json::{Value, json};

use crate::workshop::{PROGRAMS, Workshop};

impl Workshop {
    /// Has a shell give cowctl what another one prints.
    fn piped(&self, schema: &str, line: &str) {
        let cowctl = format!("'{}' --socket '{}'", PROGRAMS.cowctl, self.site.daemon().socket().display());
        let text = format!("set -o pipefail; {cowctl} plugin schema witness-direct {schema} | {cowctl} {line}");
        let output = Command::new("bash").arg("-c").arg(&text).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}: {told}\n{}", self.site.newest_log());
    }

    /// What the plugin was last given by an operation as a source's parameters.
    fn given(&self, operation: &str, source: &str) -> Value {
        let calls = self.calls();
        let call = calls.iter().rfind(|call| call["operation"] == operation);
        let given = &call.unwrap_or_else(|| panic!("{operation} was not called: {calls:?}"))["arguments"][source];
        given["says"]["parameters"]["says"].clone()
    }
}

#[test]
fn a_template_is_taken_as_it_is_printed_and_as_it_is_filled_in() {
    let Some(workshop) = Workshop::new("parameters") else { return };
    let site = &workshop.site;
    // Nothing in it is required, so that all of it is comments.
    let linked = site.done("plugin schema witness-direct linked_source");
    assert!(linked.contains("#\"password\": \"\"\n") && linked.lines().all(|line| line.starts_with('#')), "{linked}");
    workshop.piped("linked_source", "source link sales --plugin witness-direct --env source --param-file -");
    assert_eq!(workshop.given("linked.pre_snapshot", "direct_source"), json!({}));
    workshop.piped("snapshot_parameters", "source resync sales --snapshot-param-file -");

    workshop.piped("virtual_to_physical", "v2p sales /home/deploy/plain --env source --param-file -");

    let template = site.done("plugin schema witness-direct virtual_source");
    let mounts = "\"mounts\":\n  - path: /home/deploy/copy # where it is to be";
    let filled = template.replace("\"mounts\": []", mounts).replace("#\"tells\": false", "\"tells\": false");
    assert!(filled.contains(mounts) && filled.contains("\n\"tells\": false"), "{template}");
    let file = site.file("filled.yml", &filled).display().to_string();
    workshop.calls();
    site.done(&format!("vdb provision copy sales --env target --param-file {file}"));
    let given = workshop.given("virtual.configure", "virtual_source");
    assert_eq!(given, json!({ "mounts": [{ "path": "/home/deploy/copy" }], "tells": false }));

    let broken = filled.replace("#\"password\": \"\"", "\"password\": \"geheim-7");
    let file = site.file("broken.yml", &broken).display().to_string();
    let said = site.refused(&format!("vdb provision other sales --env target --param-file {file}"));
    assert!(said.contains("neither YAML nor JSON in line") && said.contains("plugin schema"), "{said}");
    assert!(!said.contains("geheim"), "{said}");
}
