//! What an operation is to be given, compared with what the plugin says that it was.

use serde_json::{Value, json};

/// The arguments of each operation, by the contract. S is the source.
const ARGUMENTS: &[(&str, &str)] = &[
    ("discovery.repository", "source_connection"),
    ("discovery.source_config", "source_connection repository"),
    ("linked.mount_specification", "S repository"),
    ("linked.pre_snapshot", "S repository source_config optional_snapshot_parameters"),
    ("linked.post_snapshot", "S repository source_config optional_snapshot_parameters"),
    ("linked.start_staging", "S repository source_config"),
    ("linked.stop_staging", "S repository source_config"),
    ("linked.status", "S repository source_config"),
    ("linked.worker", "S repository source_config"),
    ("linked.source_size", "S repository source_config"),
    ("linked.pre_source_to_physical", "S repository source_config snapshot physical_source"),
    ("linked.source_to_physical", "S repository source_config snapshot physical_source"),
    ("virtual.mount_specification", "S repository"),
    ("virtual.configure", "S repository snapshot"),
    ("virtual.reconfigure", "S repository source_config snapshot"),
    ("virtual.initialize", "S repository"),
    ("virtual.unconfigure", "S repository source_config"),
    ("virtual.cleanup", "S repository source_config"),
    ("virtual.start", "S repository source_config"),
    ("virtual.stop", "S repository source_config"),
    ("virtual.pre_snapshot", "S repository source_config"),
    ("virtual.post_snapshot", "S repository source_config"),
    ("virtual.status", "S repository source_config"),
    ("virtual.source_size", "S repository source_config"),
    ("virtual.pre_source_to_physical", "S repository source_config snapshot physical_source"),
    ("virtual.source_to_physical", "S repository source_config snapshot physical_source"),
];

/// What a plugin is told of a repository.
fn repository() -> Value {
    json!({ "is": "RepositoryDefinition", "says": { "name": "witness", "version": 3 } })
}

/// A source as it should be known to its plugin, as the workflow goes on.
pub struct Subject {
    /// Its name.
    pub name: &'static str,
    /// `staged_source`, `direct_source` or `virtual_source`.
    pub kind: &'static str,
    /// The environments of its connections: where it comes from, and where it is.
    pub places: [u64; 2],
    /// Its parameters, as they were given.
    pub parameters: Value,
    /// Who owns what is mounted.
    pub owner: &'static str,
    /// Its source config, once it has one.
    pub config: Value,
    /// Whether it is mounted, by what the engine says.
    pub is_mounted: bool,
    guid: Option<Value>,
}

/// What one order is about.
#[derive(Default)]
pub struct About {
    /// The snapshot that the plugin is given, by the number that it said of it.
    pub snapshot: Option<u64>,
    /// The snapshot parameters.
    pub sync: Value,
    /// The environment and the parameters of a V2P.
    pub physical: Option<(u64, Value)>,
}

impl Subject {
    /// A source of which nothing has been made yet.
    pub fn new(name: &'static str, kind: &'static str, places: [u64; 2], parameters: Value) -> Self {
        let config = match kind {
            "virtual_source" => Value::Null,
            _ => json!({ "name": "found", "path": "/home/deploy/origin" }),
        };
        let owner = "1500:1500";
        Self { name, kind, places, parameters, owner, config, is_mounted: false, guid: None }
    }

    fn parts(&self) -> Vec<Value> {
        self.parameters["mounts"].as_array().cloned().unwrap_or_default()
    }

    /// The mounts as the SDK shows them: on this host where no other is named.
    fn mounts(&self) -> Vec<Value> {
        let mount = |part: &Value| {
            let here = format!("UNIX_HOST_ENVIRONMENT-{}", self.places[1]);
            let environment = part["environment"].as_str().unwrap_or(&here);
            json!([environment, part["path"], part["shared"].as_str().unwrap_or_default()])
        };
        self.parts().iter().map(mount).collect()
    }

    /// Compares a call with what is right now. Learns what the plugin answered.
    pub fn check(&mut self, call: &Value, about: &About) {
        let operation = call["operation"].as_str().unwrap();
        let name = self.name;
        let told = || format!("{operation} of {name}: {call:#}");
        let (_, names) = ARGUMENTS.iter().find(|(name, _)| *name == operation).unwrap();
        let mut names: Vec<&str> = names.split(' ').map(|name| if name == "S" { self.kind } else { name }).collect();
        names.sort_unstable();
        let given = call["arguments"].as_object().unwrap();
        let mut found: Vec<&str> = given.keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, names, "{}", told());
        for (name, value) in given {
            match name.as_str() {
                "repository" => assert_eq!(*value, repository(), "{}", told()),
                "source_config" => {
                    let config = json!({ "is": "SourceConfigDefinition", "says": self.config });
                    assert_eq!(*value, config, "{}", told());
                }
                "snapshot" => {
                    let snapshot = json!({ "is": "SnapshotDefinition", "says": { "number": about.snapshot } });
                    assert_eq!(*value, snapshot, "{}", told());
                }
                "optional_snapshot_parameters" => {
                    let right = match &about.sync {
                        Value::Null => Value::Null,
                        sync => json!({ "is": "SnapshotParametersDefinition", "says": sync }),
                    };
                    assert_eq!(*value, right, "{}", told());
                }
                "physical_source" => check_physical(value, about, &told()),
                _ => self.check_source(operation, value, &told()),
            }
        }
        let right: Vec<String> = match self.is_mounted {
            // What is on another host is not looked at.
            true => {
                let here = self.parts().into_iter().filter(|part| part["environment"].is_null());
                here.map(|part| format!("{} {}", part["path"].as_str().unwrap(), self.owner)).collect()
            }
            false => Vec::new(),
        };
        assert_eq!(call["seen"], json!(right), "{}", told());
        match operation {
            "virtual.configure" => self.config = json!({ "name": "made" }),
            "virtual.reconfigure" => self.config = json!({ "name": "again" }),
            "virtual.initialize" => self.config = json!({ "name": "empty" }),
            _ => {}
        }
    }

    fn check_source(&mut self, operation: &str, value: &Value, told: &str) {
        let class = match self.kind {
            "staged_source" => "StagedSource",
            "direct_source" => "DirectSource",
            _ => "VirtualSource",
        };
        assert_eq!(value["is"], class, "{told}");
        let said = &value["says"];
        let guid = self.guid.get_or_insert_with(|| said["guid"].clone()).clone();
        assert!(guid.as_str().is_some_and(|guid| guid.len() == 36) && guid == said["guid"], "{told}");
        assert_eq!(said["parameters"]["says"], self.parameters, "{told}");
        let connections = match self.kind {
            "staged_source" => vec![("source_connection", self.places[0]), ("staged_connection", self.places[1])],
            _ => vec![("connection", self.places[1])],
        };
        for (name, place) in connections {
            check_connection(&said[name], place, told);
        }
        if self.kind == "direct_source" {
            return;
        }
        let one = |mount: &Value| {
            let mount = &mount["says"];
            json!([mount["remote_environment"]["says"]["reference"], mount["mount_path"], mount["shared_path"]])
        };
        let mut mounts: Vec<Value> = match (&said["mounts"], &said["mount"]) {
            (Value::Array(mounts), _) => mounts.iter().map(one).collect(),
            (_, mount) => vec![one(mount)],
        };
        // A dSource that is not mounted has a mount without a path, whose environment is the staging host.
        if self.kind == "staged_source" && mounts[0][1] == "" {
            assert_eq!(mounts[0][0], format!("UNIX_HOST_ENVIRONMENT-{}", self.places[1]), "{told}");
            mounts.clear();
        }
        let is_asked = operation.ends_with("mount_specification");
        assert!(mounts == self.mounts() || mounts.is_empty() && (is_asked || !self.is_mounted), "{told}");
    }
}

fn check_connection(connection: &Value, place: u64, told: &str) {
    assert_eq!(connection["is"], "RemoteConnection", "{told}");
    let environment = &connection["says"]["environment"];
    assert_eq!(environment["says"]["reference"], format!("UNIX_HOST_ENVIRONMENT-{place}"), "{told}");
    assert_eq!(environment["says"]["name"], ["", "source", "target"][place as usize], "{told}");
    let host = &environment["says"]["host"];
    assert_eq!((&host["is"], &environment["is"]), (&json!("RemoteHost"), &json!("RemoteEnvironment")), "{told}");
    assert_eq!(host["says"]["reference"], format!("UNIX_HOST-{place}"), "{told}");
    assert_eq!(connection["says"]["user"]["says"]["name"], "deploy", "{told}");
}

fn check_physical(physical: &Value, about: &About, told: &str) {
    let (place, parameters) = about.physical.as_ref().unwrap();
    let said = &physical["says"];
    check_connection(&said["connection"], *place, told);
    assert_eq!(said["target_directory"], "/home/deploy/plain", "{told}");
    assert_eq!(said["parameters"]["says"], *parameters, "{told}");
}
