//! What a plugin's scripts in other languages than bash do: `run_expect` holds a conversation on a host that has expect, and
//! `run_powershell` says that there is no Windows.

use std::path::Path;

use cow_tests::plugins::fixtures;
use cow_tests::site::Site;
use serde_json::{Value, json};

use crate::workshop::{PROGRAMS, bash};

/// A conversation with a program that asks, with the end of a here-document in it, and the text of no other one.
const CONVERSATION: &str = r#"
set timeout 20
log_user 0
spawn bash -c {read -p "Password: " word; echo "Welcome, $word"}
expect "Password: "
send "$env(WORD)\r"
expect -re {Welcome, ([a-z]+)}
puts "heard $expect_out(1,string) at [pwd]"
set text {
END_OF_EXPECT
$HOME `id`
END_OF_EXPECT_
}
puts [string trim $text]
puts stderr "by the way"
exit 7
"#;

/// Lets the plugin call a function of the library. Returns its answer, or how the job failed.
fn call(site: &Site, function: &str, text: &str, others: Value) -> Result<Value, String> {
    let mut parameters = others;
    parameters["function"] = json!(function);
    parameters["text"] = json!(text);
    let file = site.file("call.json", &parameters.to_string());
    site.ended(&format!("source resync calls --snapshot-param-file {}", file.display()))?;
    let log = site.newest_log();
    let answer = log.lines().find_map(|line| line.split_once("answered: ")).unwrap_or_else(|| panic!("{log}")).1;
    Ok(serde_json::from_str(answer).unwrap())
}

#[test]
fn expect_converses_where_it_is_and_powershell_is_nowhere() {
    let Some(site) = Site::new("scripts", PROGRAMS, &["source"], &[]) else { return };
    site.done(&format!("plugin install {}", fixtures().join("caller").display()));
    site.done("source link calls --plugin caller --env source");

    let said = call(&site, "run_powershell", "Get-Date", json!({})).unwrap_err();
    assert!(said.contains("run_powershell needs a Windows host"), "{said}");

    if Path::new("/usr/bin/expect").exists() {
        let answer = call(&site, "run_expect", CONVERSATION, json!({ "variables": { "WORD": "sesame" } }));
        let right = "heard sesame at /home/deploy\nEND_OF_EXPECT\n$HOME `id`\nEND_OF_EXPECT_\n";
        assert_eq!(answer.unwrap(), json!([7, right, "by the way\n"]));
        // A code of its own that means nothing special.
        let answer = call(&site, "run_expect", "puts stderr no; exit 127", json!({}));
        assert_eq!(answer.unwrap(), json!([127, "", "no\n"]));
        let said = call(&site, "run_expect", "puts stderr no; exit 3", json!({ "check": true })).unwrap_err();
        assert!(said.contains('3'), "{said}");
        bash(site.lab.host(1), "mount --bind /dev/null /usr/bin/expect");
    } else {
        eprintln!("skipped: conversations, as expect is not installed");
    }
    let said = call(&site, "run_expect", "exit 0", json!({})).unwrap_err();
    assert!(said.contains("the host of source has no expect"), "{said}");
    assert_eq!(site.done("fault"), "");
}
