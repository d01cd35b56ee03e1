//! The house rules that a machine can check: floors, crates, headers, lengths and exceptions.
//!
//! Invariant: a rule is a function of the sources' text alone, and `finds_every_broken_rule` has seen
//! each of them fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The text of every Rust source and manifest, by path from the workspace's root.
type Sources = BTreeMap<String, String>;

/// Crates whose `lib.rs` lists floors.
const FLOORED: [&str; 2] = ["storage", "daemon"];
/// All crates of ours.
const OURS: [&str; 6] = ["cow-storage", "cow-api", "cowd", "cowctl", "cow-tests", "cow-benches"];
/// Which of ours a crate may use; crates that are not named may use any.
const CRATES: [(&str, &[&str]); 4] = [
    ("storage/Cargo.toml", &["cow-storage"]),
    ("daemon/api/Cargo.toml", &["cow-api"]),
    ("daemon/Cargo.toml", &["cowd", "cow-api", "cow-storage"]),
    ("tools/cowctl/Cargo.toml", &["cowctl", "cow-api"]),
];
/// What the engine must do without, as it is a function.
const NOT_IN_ENGINE: [&str; 6] =
    ["std::thread", "Instant::now", "SystemTime::now", "std::net", "std::process", "async "];
/// Where the engine's threads get what they share, so that tests can put themselves in its place.
const SHARED_THROUGH: &str = "storage/src/sync";
/// Most lines of a file before its tests.
const LINES_MAX: usize = 450;

#[test]
fn the_house_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut sources = Sources::new();
    read_sources(root, root, &mut sources);
    assert!(sources.contains_key("storage/src/lib.rs"), "the sources were not found");
    let broken = broken_rules(&sources);
    assert!(broken.is_empty(), "{} house rules are broken:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn finds_every_broken_rule() {
    let good = Sources::from(
        [
            ("storage/Cargo.toml", "name = \"cow-storage\"\n[dependencies]\nblake3.workspace = true\n"),
            ("storage/src/lib.rs", "//! Floors.\n\npub mod low;\n\nmod middle;\nmod twin;\n\npub mod high;\n"),
            ("storage/src/low.rs", "//! Low.\n\npub fn low() {}\n"),
            ("storage/src/middle/mod.rs", "//! Middle.\n\nuse crate::low::low;\nuse crate::middle::part;\n"),
            ("storage/src/twin.rs", "//! Twin.\n// See crate::high.\n"),
            ("storage/src/high.rs", "//! High.\n\nuse crate::{low::{high, low}, twin};\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use std::thread;\n}\n"),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned())),
    );
    assert_eq!(broken_rules(&good), Vec::<String>::new());
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(LINES_MAX));
    for (path, text, complaint) in [
        ("storage/src/low.rs", "//! Up.\nuse crate::middle::part;\n", "storage/src/low.rs: low must not import middle"),
        ("storage/src/twin.rs", "//! Neighbour.\nfn f() { crate::middle::part() }\n", "twin must not import middle"),
        ("storage/src/low.rs", "//! In a group.\nuse crate::{low::{self}, high};\n", "low must not import high"),
        ("storage/src/stray.rs", "//! Stray.\n", "storage/src/stray.rs: stray stands on no floor"),
        ("storage/src/low.rs", "//! Above.\nuse super::middle;\n", "storage/src/low.rs:2: `super::`"),
        ("storage/src/low.rs", "//! Outside tests.\nuse super::*;\n", "storage/src/low.rs:2: `super::`"),
        ("storage/src/low.rs", "fn f() {}\n", "storage/src/low.rs: does not say what it is"),
        ("storage/src/low.rs", &long, "storage/src/low.rs: has 451 lines"),
        ("storage/src/low.rs", "//! Lax.\n#[allow(dead_code)]\nfn f() {}\n", "storage/src/low.rs:2: `allow`"),
        ("storage/src/low.rs", "//! Clock.\nfn f() { Instant::now(); }\n", "storage/src/low.rs:2: the engine has no"),
        (
            "storage/src/low.rs",
            "//! Locks.\nuse parking_lot::Mutex;\n",
            "storage/src/low.rs:2: take it from crate::sync",
        ),
        ("storage/src/low.rs", "//! Cells.\nuse std::sync::{Arc, OnceLock};\n", "storage/src/low.rs:2: take it from"),
        ("storage/Cargo.toml", "cow-api.workspace = true\n", "storage/Cargo.toml: must not depend on cow-api"),
    ] {
        let mut bad = good.clone();
        bad.insert(path.to_owned(), text.to_owned());
        let broken = broken_rules(&bad);
        assert!(broken.len() == 1 && broken[0].contains(complaint), "{complaint:?} expected, found {broken:?}");
    }
}

fn read_sources(root: &Path, folder: &Path, sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && !name.starts_with('.') {
                read_sources(root, &entry.path(), sources);
            }
        } else if name.ends_with(".rs") || name == "Cargo.toml" {
            let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            sources.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn broken_rules(sources: &Sources) -> Vec<String> {
    let mut broken = Vec::new();
    for name in FLOORED {
        if let Some(lib) = sources.get(&format!("{name}/src/lib.rs")) {
            check_floors(&format!("{name}/src/"), &floors(lib), sources, &mut broken);
        }
    }
    for (manifest, may) in CRATES {
        let lines = sources.get(manifest).map_or("", String::as_str).lines();
        for ours in OURS.iter().filter(|ours| !may.contains(ours)) {
            if lines.clone().any(|line| line.split(['.', ' ', '=']).next() == Some(ours)) {
                broken.push(format!("{manifest}: must not depend on {ours}"));
            }
        }
    }
    for (path, text) in sources.iter().filter(|(path, _)| path.ends_with(".rs")) {
        check_file(path, text, &mut broken);
    }
    broken
}

/// The modules of each floor, ground floor first: a paragraph of `mod` lines is one.
fn floors(lib: &str) -> Vec<Vec<&str>> {
    let module = |line| -> Option<&str> {
        let line = ["pub(crate) ", "pub "].iter().find_map(|prefix| str::strip_prefix(line, prefix)).unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    };
    let paragraphs = lib.split("\n\n").map(|paragraph| paragraph.lines().filter_map(module).collect::<Vec<_>>());
    paragraphs.filter(|floor| !floor.is_empty()).collect()
}

fn check_floors(src: &str, floors: &[Vec<&str>], sources: &Sources, broken: &mut Vec<String>) {
    let floor_of = |module: &str| floors.iter().position(|floor| floor.contains(&module));
    for (path, text) in sources {
        let Some(inner) = path.strip_prefix(src) else { continue };
        let module = inner.split(['/', '.']).next().unwrap();
        if ["lib", "main", "bin"].contains(&module) {
            continue;
        }
        let Some(floor) = floor_of(module) else {
            broken.push(format!("{path}: {module} stands on no floor of {src}lib.rs"));
            continue;
        };
        for used in crate_paths(&without_comments(text)) {
            if used != module && floor_of(&used).is_none_or(|used| used >= floor) {
                broken.push(format!("{path}: {module} must not import {used}"));
            }
        }
    }
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The first names of all `crate::` paths, also of grouped ones.
fn crate_paths(code: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for path in code.split("crate::").skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            names.push(name(path));
            continue;
        };
        let mut depth = 1;
        let mut starts = true;
        for (at, c) in group.char_indices() {
            if starts && depth == 1 && (c.is_alphabetic() || c == '_') {
                names.push(name(&group[at..]));
                starts = false;
            }
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => starts = true,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn check_file(path: &str, text: &str, broken: &mut Vec<String>) {
    let all_tests = path.ends_with("/tests.rs") || path.contains("/tests/");
    if !text.starts_with("//!") && !path.ends_with("/tests.rs") {
        broken.push(format!("{path}: does not say what it is in a `//!` header"));
    }
    let lines: Vec<&str> = text.lines().collect();
    let tests_at = (0..lines.len())
        .find(|&at| lines[at] == "#[cfg(test)]" && lines.get(at + 1).is_some_and(|next| next.ends_with('{')))
        .unwrap_or(lines.len());
    if tests_at > LINES_MAX && !all_tests {
        broken.push(format!("{path}: has {tests_at} lines before its tests; is there a second idea in it?"));
    }
    for (at, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or("").trim_start();
        let in_tests = all_tests || at > tests_at;
        let place = format!("{path}:{}", at + 1);
        if code.contains("super::") && !code.contains('"') && !(in_tests && code == "use super::*;") {
            broken.push(format!("{place}: `super::` hides which floor is meant"));
        }
        if code.starts_with('#') && (code.contains("[allow(") || code.contains(" allow(")) {
            broken.push(format!("{place}: `allow` does not expire; use `expect` with a reason"));
        }
        if path.starts_with("storage/src/") && !path.starts_with(SHARED_THROUGH) && shares_by_itself(code) {
            broken.push(format!("{place}: take it from crate::sync, else the tests of threads do not see it"));
        }
        if path.starts_with("storage/src/") && !in_tests {
            for word in NOT_IN_ENGINE.iter().filter(|word| code.contains(*word)) {
                broken.push(format!("{place}: the engine has no {}", word.trim()));
            }
        }
    }
}

/// Whether a line names a lock, an atomic or a cell of others. `Arc` and `Weak` only count.
fn shares_by_itself(code: &str) -> bool {
    let may = |rest: &str| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let group = rest.strip_prefix('{').map(|group| group.split('}').next().unwrap_or(group));
        let names = group.unwrap_or_else(|| rest.split(|c| !is_name(c)).next().unwrap_or(rest));
        names.split(',').all(|name| ["Arc", "Weak"].contains(&name.trim()))
    };
    code.contains("parking_lot::") || code.split("std::sync::").skip(1).any(|rest| !may(rest))
}
