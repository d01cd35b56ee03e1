//! Paths of the API. A name is one segment: its `/` and `@` are percent-encoded, as in
//! `/v1/datasets/prod%2Fdb`.

/// The daemon's state.
pub const STATUS: &str = "/v1/status";
/// Space, of the pool and of every dataset.
pub const SPACE: &str = "/v1/space";
/// Datasets and snapshots.
pub const DATASETS: &str = "/v1/datasets";
/// Snapshots.
pub const SNAPSHOTS: &str = "/v1/snapshots";
/// Where several datasets and snapshots are destroyed at once.
pub const DESTROY: &str = "/v1/destroy";
/// What was destroyed and can be undeleted.
pub const DESTROYED: &str = "/v1/destroyed";
/// Paths that differ.
pub const DIFF: &str = "/v1/diff";
/// Imports, which are jobs.
pub const IMPORTS: &str = "/v1/imports";
/// Exports, which are jobs.
pub const EXPORTS: &str = "/v1/exports";
/// Verifications, which are jobs.
pub const VERIFICATIONS: &str = "/v1/verifications";
/// Scrubbing.
pub const SCRUB: &str = "/v1/scrub";
/// Mounts on the daemon's host.
pub const MOUNTS: &str = "/v1/mounts";
/// dSources and VDBs.
pub const SOURCES: &str = "/v1/sources";
/// Where a dSource is linked.
pub const LINK: &str = "/v1/sources/link";
/// Where a VDB is provisioned.
pub const PROVISION: &str = "/v1/sources/provision";
/// Lasting bad states.
pub const FAULTS: &str = "/v1/faults";
/// Jobs.
pub const JOBS: &str = "/v1/jobs";
/// What happens, as it happens (server-sent events).
pub const EVENTS: &str = "/v1/events";
/// What clients can mount.
pub const SHARES: &str = "/v1/shares";
/// Locks of bytes of files.
pub const LOCKS: &str = "/v1/locks";
/// Who is connected.
pub const CLIENTS: &str = "/v1/clients";
/// Hosts that data is taken from and mounted on.
pub const ENVIRONMENTS: &str = "/v1/environments";
/// Plugins.
pub const PLUGINS: &str = "/v1/plugins";

/// Names for snapshots of dSources and VDBs.
pub const BOOKMARKS: &str = "/v1/bookmarks";

/// What is done again and again, and what is kept.
pub const POLICIES: &str = "/v1/policies";

/// Who asked for what.
pub const ACTIONS: &str = "/v1/actions";

/// `name` as one segment of a path, or one value of a query.
pub fn encode(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encoded).collect()
}

/// What a segment or a value stands for, if it is well encoded UTF-8.
pub fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => (hexadecimal(rest.next()?)? << 4) | hexadecimal(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// A dataset.
pub fn dataset(name: &str) -> String {
    format!("{DATASETS}/{}", encode(name))
}

/// Something to do with a dataset: `rename`, `rewind`.
pub fn dataset_verb(name: &str, verb: &str) -> String {
    format!("{}/{verb}", dataset(name))
}

/// The share of a dataset.
pub fn share(name: &str) -> String {
    dataset_verb(name, "share")
}

/// The locks of a client, by its address or its name.
pub fn locks_of(client: &str) -> String {
    format!("{LOCKS}/{}", encode(client))
}

/// A snapshot, by its full name `dataset@snapshot`.
pub fn snapshot(name: &str) -> String {
    format!("{SNAPSHOTS}/{}", encode(name))
}

/// Something to do with a snapshot: `rename`, `clone`.
pub fn snapshot_verb(name: &str, verb: &str) -> String {
    format!("{}/{verb}", snapshot(name))
}

/// A hold of a snapshot.
pub fn hold(snapshot_name: &str, tag: &str) -> String {
    format!("{}/holds/{}", snapshot(snapshot_name), encode(tag))
}

/// Where a destroy is taken back.
pub fn undelete(name: &str) -> String {
    format!("{DESTROYED}/{}/undelete", encode(name))
}

/// Something to do with scrubbing: `start`, `pause`, `cancel`.
pub fn scrub_verb(verb: &str) -> String {
    format!("{SCRUB}/{verb}")
}

/// A mount, by its path, or all of a dataset or snapshot, by its name.
pub fn mount(path_or_name: &str) -> String {
    format!("{MOUNTS}/{}", encode(path_or_name))
}

/// An environment.
pub fn environment(name: &str) -> String {
    format!("{ENVIRONMENTS}/{}", encode(name))
}

/// Something to do with an environment: `refresh`, `accept-key`, `users`.
pub fn environment_verb(name: &str, verb: &str) -> String {
    format!("{}/{verb}", environment(name))
}

/// A user of an environment.
pub fn environment_user(name: &str, user: &str) -> String {
    format!("{}/{}", environment_verb(name, "users"), encode(user))
}

/// A plugin; also something to do with plugins: `upgrade`, `setup`.
pub fn plugin(name: &str) -> String {
    format!("{PLUGINS}/{}", encode(name))
}

/// A schema of a plugin.
pub fn plugin_schema(name: &str, kind: &str) -> String {
    format!("{}/schemas/{}", plugin(name), encode(kind))
}

/// A job.
pub fn job(id: u64) -> String {
    format!("{JOBS}/{id}")
}

/// What plugins have found on an environment.
pub fn discovered(environment: &str) -> String {
    format!("/v1/environments/{}/discovered", encode(environment))
}

/// A dSource or VDB.
pub fn source(name: &str) -> String {
    format!("{SOURCES}/{}", encode(name))
}

/// Something of a dSource or VDB: `orders`, `status`, `timeline`, `hooks`.
pub fn source_part(name: &str, part: &str) -> String {
    format!("{}/{part}", source(name))
}

/// A hook of a dSource or VDB.
pub fn hook(source: &str, name: &str) -> String {
    format!("{}/{}", source_part(source, "hooks"), encode(name))
}

/// A bookmark.
pub fn bookmark(name: &str) -> String {
    format!("{BOOKMARKS}/{}", encode(name))
}

/// A policy.
pub fn policy(name: &str) -> String {
    format!("{POLICIES}/{}", encode(name))
}

/// Where a policy is run.
pub fn policy_run(name: &str) -> String {
    format!("{}/run", policy(name))
}

/// What happened in a job.
pub fn job_log(id: u64) -> String {
    format!("{}/log", job(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_being_part_of_a_path() {
        for name in ["", "a", "a/b@c", "50% off?&#+ =", "é\u{0}\n", "..", "%2F"] {
            let encoded = encode(name);
            assert!(!encoded.contains(['/', '?', '#', '&', ' ', '+']), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
        assert_eq!(dataset("a/b"), "/v1/datasets/a%2Fb");
        for wrong in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
