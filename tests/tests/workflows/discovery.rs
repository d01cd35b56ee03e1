//! Discovery: a plugin looks on all hosts when it is installed or upgraded, and what it fails at is told and loses nothing.

use std::fs;

use serde_json::Value;

use crate::workshop::Workshop;

impl Workshop {
    /// What plugins have found on an environment: plugin, repository, whether it is lost, source configs.
    fn discovered(&self, environment: &str) -> String {
        self.site.done(&format!("source discovered {environment} -H"))
    }

    /// The operations that were called, with the environment of each.
    fn looked(&self) -> Vec<String> {
        let shown = |call: &Value| {
            let arguments = call["arguments"].as_object().unwrap();
            let connection = &arguments["source_connection"];
            assert_eq!(connection["is"], "RemoteConnection", "{call:#}");
            let names: Vec<&str> = arguments.keys().map(String::as_str).collect();
            let environment = &connection["says"]["environment"]["says"]["name"];
            format!("{} {} {}", call["operation"].as_str().unwrap(), environment.as_str().unwrap(), names.join(" "))
        };
        let mut looked: Vec<String> = self.calls().iter().map(shown).collect();
        looked.sort();
        looked
    }
}

/// Each operation of discovery, once on each host.
const LOOKED: [&str; 4] = [
    "discovery.repository source source_connection",
    "discovery.repository target source_connection",
    "discovery.source_config source repository source_connection",
    "discovery.source_config target repository source_connection",
];

#[test]
fn a_plugin_that_is_new_looks_on_all_hosts_and_what_it_fails_at_is_told() {
    let Some(workshop) = Workshop::new("discovery") else { return };
    let mut twice = [LOOKED, LOOKED].concat();
    twice.sort_unstable();
    assert_eq!(workshop.looked(), twice, "both plugins, when they were installed");
    let site = &workshop.site;
    let found = workshop.discovered("target");
    assert_eq!(found, "witness-staged\twitness\tyes\tfound\nwitness-direct\twitness\tyes\tfound\n");

    // A failure is told, keeps no other plugin from looking, and takes nothing away.
    for (operation, moment) in [("discovery.repository", "before"), ("discovery.source_config", "after")] {
        workshop.fail(operation, moment);
        site.done("env refresh target");
        let log = site.newest_log();
        assert!(!workshop.takes_failure_back(), "{log}");
        assert!(log.contains(&format!("the spring of {operation} is broken")) && log.contains("wind it up"), "{log}");
        assert_eq!(workshop.discovered("target"), found, "{log}");
    }
    workshop.calls();

    // So does an upgrade, on all hosts.
    let folder = workshop.write_plugin("STAGED");
    let config = fs::read_to_string(folder.join("plugin_config.yml")).unwrap();
    fs::write(folder.join("plugin_config.yml"), config.replace("1.0.0", "1.0.1")).unwrap();
    let upgraded = site.json(&format!("plugin upgrade {}", folder.display()));
    assert_eq!(upgraded["discovery"].as_u64(), Some(site.newest_job()));
    assert_eq!(workshop.looked(), LOOKED);

    site.done("plugin remove witness-direct");
    assert_eq!(workshop.discovered("target"), "witness-staged\twitness\tyes\tfound\n");
}
