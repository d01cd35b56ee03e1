//! Calls and replies as the Python host has them: the fields of the SDK's protobuf messages, in JSON.
//!
//! Invariant: this alone knows the messages' names and fields. What a plugin's own data is travels as text in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::plugins::{
    Call, DirectSource, Failure, Linked, LinkedSource, Mount, MountSpecification, Named, ObjectKind, PhysicalSource,
    Reply, SnapshotParameters, StagedSource, Status, Virtual, VirtualSource,
};

/// A call as the host takes it.
pub struct Request {
    /// The plugin's group of operations.
    pub group: &'static str,
    /// The SDK's function in it.
    pub function: String,
    /// The class of its request.
    pub class: String,
    /// The fields of that.
    pub fields: Value,
}

/// The request that a call is.
pub fn request(call: &Call) -> Request {
    let (group, name, class) = names(call);
    Request { group, function: format!("_internal_{name}"), class: format!("{class}Request"), fields: fields(call) }
}

/// The group, the SDK's own name of the operation, and that of its messages.
fn names(call: &Call) -> (&'static str, String, String) {
    let linked = |source: &LinkedSource, name: &str, class: &str| match source {
        LinkedSource::Staged(_) => ("linked", format!("staged_{name}"), format!("Staged{class}")),
        LinkedSource::Direct(_) => ("linked", format!("direct_{name}"), format!("Direct{class}")),
    };
    let plain = |group, name: &str, class: &str| (group, name.to_owned(), class.to_owned());
    match call {
        Call::DiscoveryRepository { .. } => plain("discovery", "repository", "RepositoryDiscovery"),
        Call::DiscoverySourceConfig { .. } => plain("discovery", "source_config", "SourceConfigDiscovery"),
        Call::LinkedPreSnapshot { linked: of, .. } => linked(&of.source, "pre_snapshot", "PreSnapshot"),
        Call::LinkedPostSnapshot { linked: of, .. } => linked(&of.source, "post_snapshot", "PostSnapshot"),
        Call::LinkedMountSpecification { .. } => plain("linked", "mount_specification", "StagedMountSpec"),
        Call::LinkedStartStaging(_) => plain("linked", "start_staging", "StartStaging"),
        Call::LinkedStopStaging(_) => plain("linked", "stop_staging", "StopStaging"),
        Call::LinkedStatus(_) => plain("linked", "status", "StagedStatus"),
        Call::LinkedWorker(_) => plain("linked", "worker", "StagedWorker"),
        Call::LinkedSourceSize(of) => linked(&of.source, "source_size", "SourceSize"),
        Call::LinkedPreSourceToPhysical { linked: of, .. } => {
            linked(&of.source, "pre_source_to_physical", "PreSourceToPhysical")
        }
        Call::LinkedSourceToPhysical { linked: of, .. } => linked(&of.source, "source_to_physical", "SourceToPhysical"),
        Call::VirtualConfigure { .. } => plain("virtual", "configure", "Configure"),
        Call::VirtualReconfigure { .. } => plain("virtual", "reconfigure", "Reconfigure"),
        Call::VirtualInitialize { .. } => plain("virtual", "initialize", "Initialize"),
        Call::VirtualUnconfigure(_) => plain("virtual", "unconfigure", "Unconfigure"),
        Call::VirtualCleanup(_) => plain("virtual", "cleanup", "VirtualCleanup"),
        Call::VirtualStart(_) => plain("virtual", "start", "Start"),
        Call::VirtualStop(_) => plain("virtual", "stop", "Stop"),
        Call::VirtualPreSnapshot(_) => plain("virtual", "pre_snapshot", "VirtualPreSnapshot"),
        Call::VirtualPostSnapshot(_) => plain("virtual", "post_snapshot", "VirtualPostSnapshot"),
        Call::VirtualMountSpecification { .. } => plain("virtual", "mount_specification", "VirtualMountSpec"),
        Call::VirtualStatus(_) => plain("virtual", "status", "VirtualStatus"),
        Call::VirtualSourceSize(_) => plain("virtual", "virtual_source_size", "VirtualSourceSize"),
        Call::VirtualPreSourceToPhysical { .. } => {
            plain("virtual", "virtual_pre_source_to_physical", "VirtualPreSourceToPhysical")
        }
        Call::VirtualSourceToPhysical { .. } => {
            plain("virtual", "virtual_source_to_physical", "VirtualSourceToPhysical")
        }
        Call::Upgrade { kind, .. } => plain("upgrade", object_kind(*kind).0, "Upgrade"),
    }
}

/// The name of a kind of object as a function of migrations has it, and as its message does.
fn object_kind(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Repository => ("repository", "REPOSITORY"),
        ObjectKind::SourceConfig => ("source_config", "SOURCECONFIG"),
        ObjectKind::LinkedSource => ("linked_source", "LINKEDSOURCE"),
        ObjectKind::VirtualSource => ("virtual_source", "VIRTUALSOURCE"),
        ObjectKind::Snapshot => ("snapshot", "SNAPSHOT"),
    }
}

fn fields(call: &Call) -> Value {
    match call {
        Call::DiscoveryRepository { source_connection } => json!({ "source_connection": source_connection }),
        Call::DiscoverySourceConfig { source_connection, repository } => {
            json!({ "source_connection": source_connection, "repository": named(repository) })
        }
        Call::LinkedPreSnapshot { linked: of, snapshot_parameters }
        | Call::LinkedPostSnapshot { linked: of, snapshot_parameters } => {
            with(linked(of), "snapshot_parameters", parameters_of_sync(snapshot_parameters))
        }
        Call::LinkedMountSpecification { source, repository } => {
            json!({ "staged_source": staged(source), "repository": named(repository) })
        }
        Call::LinkedStartStaging(of)
        | Call::LinkedStopStaging(of)
        | Call::LinkedStatus(of)
        | Call::LinkedWorker(of)
        | Call::LinkedSourceSize(of) => linked(of),
        Call::LinkedPreSourceToPhysical { linked: of, snapshot, physical }
        | Call::LinkedSourceToPhysical { linked: of, snapshot, physical } => {
            to_physical(linked(of), snapshot, physical)
        }
        Call::VirtualConfigure { source, repository, snapshot } => json!({
            "virtual_source": virtual_source(source),
            "repository": named(repository),
            "snapshot": { "parameters": defined(snapshot) },
        }),
        Call::VirtualReconfigure { of, snapshot } => {
            with(virtual_of(of), "snapshot", json!({ "parameters": defined(snapshot) }))
        }
        Call::VirtualInitialize { source, repository } | Call::VirtualMountSpecification { source, repository } => {
            json!({ "virtual_source": virtual_source(source), "repository": named(repository) })
        }
        Call::VirtualUnconfigure(of)
        | Call::VirtualCleanup(of)
        | Call::VirtualStart(of)
        | Call::VirtualStop(of)
        | Call::VirtualPreSnapshot(of)
        | Call::VirtualPostSnapshot(of)
        | Call::VirtualStatus(of)
        | Call::VirtualSourceSize(of) => virtual_of(of),
        Call::VirtualPreSourceToPhysical { of, snapshot, physical }
        | Call::VirtualSourceToPhysical { of, snapshot, physical } => to_physical(virtual_of(of), snapshot, physical),
        Call::Upgrade { kind, migration_ids, objects } => {
            let objects: Map<String, Value> =
                objects.iter().map(|(reference, value)| (reference.clone(), value.to_string().into())).collect();
            json!({
                "type": object_kind(*kind).1,
                "migration_ids": migration_ids,
                "pre_upgrade_parameters": objects,
            })
        }
    }
}

/// A plugin's own data.
fn defined(value: &Value) -> Value {
    json!({ "json": value.to_string() })
}

fn named(object: &Named) -> Value {
    json!({ "name": object.name, "parameters": defined(&object.parameters) })
}

/// None at all is the text `null`, which differs from empty parameters.
fn parameters_of_sync(parameters: &SnapshotParameters) -> Value {
    json!({ "parameters": defined(parameters.as_ref().unwrap_or(&Value::Null)) })
}

fn with(mut fields: Value, name: &str, value: Value) -> Value {
    fields[name] = value;
    fields
}

fn to_physical(fields: Value, snapshot: &Value, physical: &PhysicalSource) -> Value {
    let physical = json!({
        "guid": physical.guid,
        "connection": physical.connection,
        "target_directory": physical.target_directory,
        "parameters": defined(&physical.parameters),
    });
    with(with(fields, "snapshot", json!({ "parameters": defined(snapshot) })), "physical_source", physical)
}

fn linked(of: &Linked) -> Value {
    let (name, source) = match &of.source {
        LinkedSource::Staged(source) => ("staged_source", staged(source)),
        LinkedSource::Direct(source) => ("direct_source", direct(source)),
    };
    json!({ name: source, "repository": named(&of.repository), "source_config": named(&of.source_config) })
}

fn linked_source(guid: &str, parameters: &Value) -> Value {
    json!({ "guid": guid, "parameters": defined(parameters) })
}

/// The whole mounted in one place is another field than parts mounted in some. One that is mounted nowhere has an
/// empty mount, which still names the staging environment: plugins read that to say where to mount.
fn staged(source: &StagedSource) -> Value {
    let mut fields = json!({
        "linked_source": linked_source(&source.guid, &source.parameters),
        "source_connection": source.source_connection,
        "staged_connection": source.staged_connection,
    });
    let nowhere = Mount { environment: source.staged_connection.environment.clone(), ..Mount::default() };
    match &source.mounts[..] {
        [] => fields["staged_mount"] = json!(nowhere),
        [one] if one.shared_path.is_none() => fields["staged_mount"] = json!(one),
        parts => fields["mounts"] = json!(parts),
    }
    fields
}

fn direct(source: &DirectSource) -> Value {
    json!({
        "connection": source.connection,
        "linked_source": linked_source(&source.guid, &source.parameters),
    })
}

fn virtual_source(source: &VirtualSource) -> Value {
    json!({
        "guid": source.guid,
        "connection": source.connection,
        "mounts": source.mounts,
        "parameters": defined(&source.parameters),
    })
}

fn virtual_of(of: &Virtual) -> Value {
    json!({
        "virtual_source": virtual_source(&of.source),
        "repository": named(&of.repository),
        "source_config": named(&of.source_config),
    })
}

/// The reply in the fields of a call's result.
pub fn reply(call: &Call, fields: &Value) -> Result<Reply, Failure> {
    match call {
        Call::DiscoveryRepository { .. } => list(fields, "repositories").map(Reply::Found),
        Call::DiscoverySourceConfig { .. } => list(fields, "source_configs").map(Reply::Found),
        Call::LinkedPostSnapshot { .. } | Call::VirtualPostSnapshot(_) => {
            data(&fields["snapshot"]).map(Reply::Definition)
        }
        Call::VirtualConfigure { .. } | Call::VirtualReconfigure { .. } | Call::VirtualInitialize { .. } => {
            data(&fields["source_config"]).map(Reply::Definition)
        }
        Call::LinkedMountSpecification { .. } | Call::VirtualMountSpecification { .. } => {
            mounts(fields).map(Reply::Mounts)
        }
        Call::LinkedStatus(_) | Call::VirtualStatus(_) => status(fields).map(Reply::Status),
        Call::LinkedSourceSize(_) | Call::VirtualSourceSize(_) => size(fields).map(Reply::Size),
        Call::Upgrade { .. } => upgraded(fields).map(Reply::Upgraded),
        _ => Ok(Reply::Done),
    }
}

fn protocol(detail: impl Into<String>) -> Failure {
    Failure::Protocol { detail: detail.into() }
}

fn parsed(text: &Value) -> Result<Value, Failure> {
    let text = text.as_str().ok_or_else(|| protocol("the answer lacks the plugin's data"))?;
    serde_json::from_str(text).map_err(|error| protocol(format!("the plugin's data is no JSON: {error}")))
}

fn data(object: &Value) -> Result<Value, Failure> {
    parsed(&object["parameters"]["json"])
}

fn list(fields: &Value, name: &str) -> Result<Vec<Named>, Failure> {
    let objects = fields[name].as_array().map_or(&[][..], Vec::as_slice);
    let read = |object: &Value| {
        Ok(Named { name: object["name"].as_str().unwrap_or_default().to_owned(), parameters: data(object)? })
    };
    objects.iter().map(read).collect()
}

/// A field that is empty or absent is the same in the messages.
fn mounts(fields: &Value) -> Result<MountSpecification, Failure> {
    let whole = fields.get("staged_mount").filter(|mount| mount["mount_path"].is_string());
    let parts = fields["mounts"].as_array().map_or(&[][..], Vec::as_slice);
    let read = |mount: &Value| -> Result<Mount, Failure> {
        let mount: Mount = serde_json::from_value(mount.clone()).map_err(|error| protocol(error.to_string()))?;
        Ok(Mount { shared_path: mount.shared_path.filter(|path| !path.is_empty()), ..mount })
    };
    let mounts = whole.into_iter().chain(parts).map(read).collect::<Result<_, _>>()?;
    let owner = fields.get("ownership_spec").map(|owner| (&owner["uid"], &owner["gid"]));
    let id = |id: &Value| match id {
        Value::Null => Ok(0),
        id => id
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| Failure::Schema { message: format!("ownership_specification: {id} is no user or group") }),
    };
    let owner = owner.map(|(uid, gid)| Ok((id(uid)?, id(gid)?))).transpose()?;
    Ok(MountSpecification { mounts, owner })
}

/// ACTIVE is 0, and what is 0 is left out.
fn status(fields: &Value) -> Result<Status, Failure> {
    match &fields["status"] {
        Value::Null => Ok(Status::Active),
        Value::String(text) if text == "ACTIVE" => Ok(Status::Active),
        Value::String(text) if text == "INACTIVE" => Ok(Status::Inactive),
        other => Err(protocol(format!("{other} is no status"))),
    }
}

/// Numbers of 64 bits are text in JSON.
fn size(fields: &Value) -> Result<u64, Failure> {
    match &fields["database_size"] {
        Value::Null => Ok(0),
        Value::Number(number) => number.as_u64().ok_or_else(|| protocol(format!("{number} is no size"))),
        Value::String(text) => text.parse().map_err(|_| protocol(format!("'{text}' is no size"))),
        other => Err(protocol(format!("{other} is no size"))),
    }
}

fn upgraded(fields: &Value) -> Result<BTreeMap<String, Value>, Failure> {
    let objects = fields["post_upgrade_parameters"].as_object();
    let read = |(reference, text): (&String, &Value)| Ok((reference.clone(), parsed(text)?));
    objects.into_iter().flatten().map(read).collect()
}
