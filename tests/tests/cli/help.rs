//! The help, word by word: it changes only on purpose.

use std::path::Path;
use std::{env, fs};

use crate::{Ended, program};

#[test]
fn the_help_is_what_the_fixture_says() {
    let ask = |words: &[&str]| -> Ended { program().args(words).output().unwrap().into() };
    let overview = ask(&["help"]).stdout;
    let names = overview.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 19, "{names:?}");
    let mut text = format!("$ cowctl help\n{overview}");
    for name in names {
        let help = ask(&["help", name]);
        assert_eq!((help.code, &help.stdout), (0, &ask(&[name, "x", "--help"]).stdout));
        text += &format!("\n$ cowctl help {name}\n{}", help.stdout);
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cowctl-help.txt");
    if env::var_os("COW_BLESS").is_some() {
        fs::write(&fixture, &text).unwrap();
    }
    let expected = fs::read_to_string(&fixture).unwrap_or_default();
    assert!(text == expected, "the help is not as in {}; COW_BLESS=1 writes it anew", fixture.display());
    assert!(text.lines().all(|line| line.chars().count() <= 120 && line.trim_end() == line));
}

#[test]
fn the_version_is_told() {
    let ended: Ended = program().arg("--version").output().unwrap().into();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, concat!("cowctl ", env!("CARGO_PKG_VERSION"), "\n")));
}
