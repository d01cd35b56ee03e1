//! A plugin is upgraded with all data of what uses it, or not at all, also when cowd is killed; and is not removed while
//! anything uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::workshop::Workshop;

/// Whose data migrations rewrite: as they name it, and its definition in the schema and in calls.
const KINDS: [(&str, &str); 5] = [
    ("repository", "RepositoryDefinition"),
    ("source_config", "SourceConfigDefinition"),
    ("linked_source", "LinkedSourceDefinition"),
    ("virtual_source", "VirtualSourceDefinition"),
    ("snapshot", "SnapshotDefinition"),
];

/// Before the migrations: each tells once that it is at work, and is then slow enough to be killed at it.
const MIGRATING: &str = "
import time
seen = []


def migrated(kind, old, era):
    if kind not in seen:
        seen.append(kind)
        with open(control('migrating'), 'w') as file:
            file.write(kind)
        time.sleep(0.3)
    old['era'] = era
    return old
";

/// What must not be told.
const SECRET: &str = "geheim-upgrade-7117";
const PATIENCE: Duration = Duration::from_secs(60);

impl Workshop {
    /// Writes a build by whose schema everything has the number of its era. Each era's migrations follow those before; the
    /// last's makes `snapshot` of the snapshots'.
    fn write_era(&self, era: u64, snapshot: &str) -> String {
        let folder = self.write_plugin("STAGED");
        let change = |file: &str, change: &dyn Fn(String) -> String| {
            let path = folder.join(file);
            fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        };
        change("plugin_config.yml", &|text| text.replace("1.0.0", &format!("1.{era}.0")));
        change("schema.json", &|text| {
            let mut schema: Value = serde_json::from_str(&text).unwrap();
            for (_, class) in KINDS {
                let definition = &mut schema[format!("{}{}", class[..1].to_lowercase(), &class[1..])];
                definition["properties"]["era"] = json!({ "type": "integer" });
                let mut required = definition["required"].as_array().cloned().unwrap_or_default();
                required.push(json!("era"));
                definition["required"] = json!(required);
            }
            schema.to_string()
        });
        change("src/witness.py", &|mut text| {
            for said in ["version=3", "(name=name", "number=number()", "path='/home/deploy/origin'"] {
                assert!(text.contains(said), "{said}");
                text = text.replace(said, &format!("{said}, era={era}"));
            }
            text += MIGRATING;
            for step in 2..=era {
                for (at, (kind, _)) in KINDS.iter().enumerate() {
                    let made = if *kind == "snapshot" && step == era { snapshot } else { &step.to_string() };
                    text += &format!("\n\n@plugin.upgrade.{kind}('{step}.{at}')\ndef {kind}_{step}(old_{kind}):\n");
                    text += &format!("    return migrated('{kind}', old_{kind}, {made})\n");
                }
            }
            text
        });
        format!("plugin upgrade {}", folder.display())
    }

    /// The build that is installed, by its era, while its files and no others are there.
    fn era(&self) -> u64 {
        let installed = self.site.setup.folder.join("pool/state/plugins/installed");
        let folders = fs::read_dir(installed).unwrap().flatten().count();
        assert_eq!(folders, 2, "one for each of both plugins");
        let shown = self.site.json("plugin show witness-staged");
        shown["build_number"].as_str().unwrap().split('.').nth(1).unwrap().parse::<u64>().unwrap().max(1)
    }

    /// Fails unless all that the plugin is given, of what was there before and of what comes, is of this era.
    fn is_of(&self, era: u64, why: &str) {
        self.calls();
        for line in ["vdb refresh copy", "vdb rewind copy", "source sync sales"] {
            self.site.done(line);
        }
        let mut seen = BTreeMap::new();
        self.calls().iter().for_each(|call| eras(call, &mut seen));
        let expected = if era == 1 { Value::Null } else { json!(era) };
        for (_, class) in KINDS {
            let found = seen.get(class).map(|found: &BTreeSet<String>| found.iter().cloned().collect::<Vec<_>>());
            assert_eq!(found, Some(vec![expected.to_string()]), "{class} {why}");
        }
    }

    /// Upgrades, and kills cowd when the migrations have come to this kind of objects and then some time has passed. Returns
    /// whether it had answered by then.
    fn killed_at(&mut self, line: &str, kind: &str, rest: Duration) -> bool {
        let marker = self.site.lab.folder().join("control/migrating");
        let _ = fs::remove_file(&marker);
        let cowd = self.site.daemon().id().to_string();
        let is_answered = thread::scope(|scope| {
            let upgrade = scope.spawn(|| self.site.ended(&format!("{line} --detach")));
            let until = Instant::now() + PATIENCE;
            while fs::read_to_string(&marker).unwrap_or_default() != kind {
                assert!(Instant::now() < until && !upgrade.is_finished(), "it never comes to {kind}");
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(rest);
            assert!(Command::new("kill").args(["-KILL", &cowd]).status().unwrap().success());
            upgrade.join().unwrap().is_ok()
        });
        self.site.crash();
        self.site.restart();
        is_answered
    }
}

/// Adds the eras of all that a plugin defined in a call, by class.
fn eras(value: &Value, seen: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Object(fields) => {
            if let Some(class) = fields.get("is").and_then(Value::as_str).filter(|class| class.ends_with("Definition"))
            {
                seen.entry(class.to_owned()).or_default().insert(fields["says"]["era"].to_string());
            }
            fields.values().for_each(|field| eras(field, seen));
        }
        Value::Array(items) => items.iter().for_each(|item| eras(item, seen)),
        _ => {}
    }
}

/// A workshop with a dSource and a VDB, each with snapshots.
pub fn in_use(name: &str) -> Option<Workshop> {
    let workshop = Workshop::new(name)?;
    workshop.file("linked.json", &json!({ "mounts": [{ "path": "/home/deploy/staged" }], "password": SECRET }));
    workshop.file("virtual.json", &json!({ "mounts": [{ "path": "/home/deploy/copy" }], "password": SECRET }));
    let (site, folder) = (&workshop.site, workshop.site.lab.folder().display());
    site.done(&format!(
        "source link sales --plugin witness-staged --env source --config found --param-file {folder}/linked.json"
    ));
    site.done(&format!("vdb provision copy sales --env target --param-file {folder}/virtual.json"));
    site.done("vdb snapshot copy");
    Some(workshop)
}

#[test]
fn an_upgrade_changes_all_that_uses_the_plugin_or_nothing() {
    let Some(workshop) = in_use("upgrades") else { return };
    let site = &workshop.site;
    workshop.is_of(1, "at first");
    // Its last migration makes what the new schema does not take.
    let said = site.refused(&workshop.write_era(2, "'two'"));
    assert!(said.contains("would not fit the new schema: era its value is not of type"), "{said}");
    assert!(said.contains("nothing was changed") && !said.contains(SECRET), "{said}");
    assert_eq!(workshop.era(), 1);
    workshop.is_of(1, "after a migration that fails");
    site.done(&workshop.write_era(2, "2"));
    assert_eq!(workshop.era(), 2);
    workshop.is_of(2, "after the upgrade");
    // Each migration is run once.
    site.done(&workshop.write_era(2, "'two'"));
    workshop.is_of(2, "after the same build again");

    let said = site.refused("plugin remove witness-staged");
    assert!(said.contains("dSource 'sales', VDB 'copy' use it") && said.contains("unlink"), "{said}");
    site.done("vdb delete copy");
    let said = site.refused("plugin remove witness-staged");
    assert!(said.contains("dSource 'sales' use") && !said.contains("copy"), "{said}");
    assert_eq!(workshop.era(), 2);
    site.done("source unlink sales");
    site.done("plugin remove witness-staged");
    assert_eq!(site.done("plugin list -H").lines().count(), 1);
    assert!(!site.daemon().log().contains(SECRET));
}

#[test]
fn cowd_killed_in_an_upgrade_is_of_the_old_build_or_the_new_one_as_a_whole() {
    let Some(mut workshop) = in_use("upgrades-killed") else { return };
    let mut era = 1;
    let early = KINDS.map(|(kind, _)| (kind, Duration::ZERO));
    // From the last migration on to what follows the answer.
    let late = [350, 400, 450, 550, 800].map(|rest| ("snapshot", Duration::from_millis(rest)));
    for (kind, rest) in early.into_iter().chain(late) {
        let line = workshop.write_era(era + 1, &(era + 1).to_string());
        let is_answered = workshop.killed_at(&line, kind, rest);
        let (now, why) = (workshop.era(), format!("killed {rest:?} after it came to {kind}"));
        assert!(now == era || now == era + 1, "{now} {why}");
        assert!((rest.is_zero() && now == era) || (!rest.is_zero() && (!is_answered || now > era)), "{now} {why}");
        if rest.is_zero() && kind != "snapshot" {
            continue;
        }
        workshop.is_of(now, &why);
        era = now;
    }
    assert!(era > 1, "no upgrade was ever done");
}
