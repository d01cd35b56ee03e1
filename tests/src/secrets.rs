//! Where secrets stand that should stand nowhere.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Files below a folder that hold any of these texts, one a line.
pub fn found_in<'s>(folder: &Path, secrets: impl IntoIterator<Item = &'s str>) -> String {
    let patterns: String = secrets.into_iter().map(|secret| format!("{secret}\n")).collect();
    assert!(patterns.lines().all(|secret| secret.len() > 7), "so short a secret is found anywhere");
    let mut command = Command::new("grep");
    // Not as arguments: there they would be seen by who looks for them.
    command.args(["-rlaF", "-f", "-"]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut grep = command.spawn().expect("grep starts");
    let mut input = grep.stdin.take().expect("its input is piped");
    input.write_all(patterns.as_bytes()).expect("it reads what to look for");
    drop(input);
    let output = grep.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
