//! The table of all keys.

use crate::config::Config;
use crate::config::value::Value;
use crate::shares::parse_rule;

/// A section of the file.
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key.
pub struct Key {
    /// Its name in its section.
    pub name: &'static str,
    /// The flag that sets it too, and what the flag's value is called.
    pub flag: Option<(&'static str, &'static str)>,
    /// The default, as it stands in a file; empty where there is none.
    pub default: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    /// Takes a value over, or says in one line why not.
    pub set: fn(&mut Config, &Value) -> Result<(), String>,
}

/// All sections.
pub const SECTIONS: [Section; 8] = [
    Section {
        name: "pool",
        about: "Where everything is stored.",
        keys: &[
            Key {
                name: "path",
                flag: Some(("--pool", "DIR")),
                default: "\"/var/lib/cow/pool\"",
                about: "The directory of the pool, on a file system with room. The pool is made at the first start.",
                set: |config, value| value.text().map(|path| config.pool = path.into()),
            },
            Key {
                name: "segment_size",
                flag: None,
                default: "\"64 MiB\"",
                about: "Bytes in each file of the pool: 1 MiB to 64 MiB. Counts only when the pool is made.",
                set: |config, value| value.size().map(|size| config.segment_size = size),
            },
            Key {
                name: "intent_size",
                flag: None,
                default: "\"256 MiB\"",
                about: "Bytes of the log of what was promised since the last commit. Counts only when the pool is made.",
                set: |config, value| value.size().map(|size| config.intent_size = size),
            },
        ],
    },
    Section {
        name: "memory",
        about: "What may be kept in memory, in bytes. Together with some 250 MiB this is what cowd takes.",
        keys: &[
            Key {
                name: "dirty",
                flag: None,
                default: "\"256 MiB\"",
                about: "Data that is not written yet. When it is full, writers wait.",
                set: |config, value| budget(value).map(|size| config.memory.dirty = size),
            },
            Key {
                name: "nodes",
                flag: None,
                default: "\"192 MiB\"",
                about: "Nodes of trees: where everything is.",
                set: |config, value| budget(value).map(|size| config.memory.nodes = size),
            },
            Key {
                name: "blocks",
                flag: None,
                default: "\"256 MiB\"",
                about: "Data that was read. Clones share it.",
                set: |config, value| budget(value).map(|size| config.memory.blocks = size),
            },
            Key {
                name: "slots",
                flag: None,
                default: "\"128 MiB\"",
                about: "Pages of the table that says where each extent lies.",
                set: |config, value| budget(value).map(|size| config.memory.slots = size),
            },
            Key {
                name: "dedup",
                flag: None,
                default: "\"128 MiB\"",
                about: "The index of what is stored already. When it is full, less is found to be equal; nothing breaks.",
                set: |config, value| budget(value).map(|size| config.memory.dedup = size),
            },
        ],
    },
    Section {
        name: "maintenance",
        about: "What is done in the background.",
        keys: &[
            Key {
                name: "commit_interval",
                flag: None,
                default: "\"5s\"",
                about: "Most time between two commits. What a client was promised is durable at once, whatever this is.",
                set: |config, value| value.duration().map(|interval| config.commit_interval = interval),
            },
            Key {
                name: "undelete_window",
                flag: None,
                default: "\"24h\"",
                about: "How long what was destroyed can be undeleted. Until then its space does not come back.",
                set: |config, value| value.duration().map(|window| config.undelete_window = window),
            },
            Key {
                name: "quiet_after",
                flag: None,
                default: "\"5m\"",
                about: "When nothing has been asked for so long, caches shrink to a sixty-fourth and their memory goes back to the \
                        system; they fill again as they are used. 0s is never.",
                set: |config, value| value.duration().map(|after| config.quiet_after = after),
            },
            Key {
                name: "scrub_interval",
                flag: None,
                default: "\"0s\"",
                about: "All that is stored is read and checked bit by bit in the background, and again when so long has passed \
                        since it was done, restarts or not. As in \"30d\"; 0s is only when 'cowctl scrub start' says so.",
                set: |config, value| value.duration().map(|interval| config.scrub_interval = interval),
            },
            Key {
                name: "scrub_rate",
                flag: None,
                default: "\"50 MiB\"",
                about: "Most bytes that scrubbing reads in a second; less while others read or write.",
                set: |config, value| budget(value).map(|rate| config.scrub_rate = rate),
            },
        ],
    },
    Section {
        name: "nfs",
        about: "The NFS server: every dataset can be mounted at / and its name.",
        keys: &[
            Key {
                name: "listen",
                flag: Some(("--nfs", "ADDR:PORT")),
                default: "\":2049\"",
                about: "Where NFS and MOUNT listen. Without an address, at all of them; port 0 is any free port.",
                set: |config, value| value.address().map(|address| config.nfs = address),
            },
            Key {
                name: "rpcbind",
                flag: None,
                default: "false",
                about: "Whether the host's rpcbind is told where NFS, MOUNT and NLM listen. Then clients need not be told the port, \
                        and 'showmount -e' works. Without rpcbind on the host there is a warning.",
                set: |config, value| value.switch().map(|on| config.rpcbind = on),
            },
            Key {
                name: "connections_max",
                flag: None,
                default: "2048",
                about: "Most connections. Further ones are closed at once; one client has a quarter of them at most.",
                set: |config, value| value.number(1).map(|most| config.connections_max = clamped(most)),
            },
            Key {
                name: "grace_period",
                flag: None,
                default: "\"45s\"",
                about: "How long clients have after a restart to take back the locks that they held, before others get any. If \
                        nobody held locks it ends at once.",
                set: |config, value| value.duration().map(|period| config.grace_period = period),
            },
            Key {
                name: "portmapper",
                flag: None,
                default: "",
                about: "Where cowd stands in for rpcbind, on a host that has none; as in \":111\". Clients that lock files \
                        look there for the lock manager.",
                set: |config, value| value.address().map(|address| config.portmapper = Some(address)),
            },
        ],
    },
    Section {
        name: "exports",
        about: "Who may mount the datasets that 'cowctl share set' says nothing of. NFS believes what a client says about its users: admit hosts, not people.",
        keys: &[
            Key {
                name: "rules",
                flag: None,
                default: "[\"127.0.0.0/8 rw no_root_squash\", \"::1/128 rw no_root_squash\"]",
                about: "One text for each network: rw or ro (the default), and root_squash (the default: the client's root \
                        is nobody here), no_root_squash or all_squash. The most particular network counts. A client in \
                        none is refused. As in \"10.1.0.0/16 rw root_squash\".",
                set: |config, value| {
                    let rules = value.list()?.iter().map(|rule| parse_rule(rule)).collect::<Result<_, _>>();
                    rules.map(|rules| config.exports.rules = rules)
                },
            },
            Key {
                name: "anonymous_uid",
                flag: None,
                default: "65534",
                about: "The user that squashed ones become.",
                set: |config, value| id(value).map(|id| config.exports.anonymous_uid = id),
            },
            Key {
                name: "anonymous_gid",
                flag: None,
                default: "65534",
                about: "The group that squashed ones become.",
                set: |config, value| id(value).map(|id| config.exports.anonymous_gid = id),
            },
            Key {
                name: "privileged_port",
                flag: None,
                default: "false",
                about: "Whether calls must come from ports below 1024, which only root of the client can use.",
                set: |config, value| value.switch().map(|on| config.exports.privileged_port = on),
            },
        ],
    },
    Section {
        name: "control",
        about: "The API that cowctl calls.",
        keys: &[
            Key {
                name: "socket",
                flag: Some(("--control", "SOCKET")),
                default: "\"/run/cow/control.sock\"",
                about: "The unix socket of the API. Whoever may write to it may do everything.",
                set: |config, value| value.text().map(|path| config.control = path.into()),
            },
            Key {
                name: "socket_mode",
                flag: None,
                default: "\"0660\"",
                about: "Permission bits of the socket: by default its owner and group.",
                set: |config, value| value.mode().map(|mode| config.control_mode = mode),
            },
            Key {
                name: "http",
                flag: Some(("--http", "ADDR:PORT")),
                default: "",
                about: "Where the API listens for HTTP over TCP as well. As in \"127.0.0.1:7373\"; it is not encrypted, so \
                        keep it on the loopback or behind a proxy that is.",
                set: |config, value| value.address().map(|address| config.http = Some(address)),
            },
            Key {
                name: "token_file",
                flag: Some(("--token-file", "FILE")),
                default: "",
                about: "The file with the token that callers over TCP must send. One line of at least 16 characters, \
                        readable only by cowd; the header is \"Authorization: Bearer TOKEN\".",
                set: |config, value| value.text().map(|path| config.token_file = Some(path.into())),
            },
            Key {
                name: "jobs_running_max",
                flag: None,
                default: "4",
                about: "Most jobs that run at once: imports, exports, verifications, and what is done with dSources, VDBs and \
                        discovery. Others wait. Those of one host never take the last place, unless there is only one: \
                        commands that hang there stop no other host's.",
                set: |config, value| value.number(1).map(|most| config.jobs_running_max = clamped(most)),
            },
            Key {
                name: "jobs_kept_max",
                flag: None,
                default: "1000",
                about: "Most jobs that are remembered after they have ended.",
                set: |config, value| value.number(1).map(|most| config.jobs_kept_max = clamped(most)),
            },
            Key {
                name: "actions_kept_max",
                flag: None,
                default: "10000",
                about: "Most requests that 'cowctl action list' knows of: all that were to change something leave a record.",
                set: |config, value| value.number(1).map(|most| config.actions_kept_max = most),
            },
            Key {
                name: "actions_kept_time",
                flag: None,
                default: "\"365d\"",
                about: "How long it knows of them at most.",
                set: |config, value| value.duration().map(|time| config.actions_kept_time = time),
            },
        ],
    },
    Section {
        name: "plugins",
        about: "How plugins are run: each operation in a Python process of its own. 'cowctl plugin setup' fetches what they import.",
        keys: &[
            Key {
                name: "python311",
                flag: None,
                default: "\"/usr/bin/python3.11\"",
                about: "The interpreter of plugins in PYTHON311, with pip for 'cowctl plugin setup'.",
                set: |config, value| value.text().map(|path| config.plugins.python311 = Some(path.into())),
            },
            Key {
                name: "python38",
                flag: None,
                default: "",
                about: "The interpreter of plugins in PYTHON38. Their bytecode runs in this minor version alone.",
                set: |config, value| value.text().map(|path| config.plugins.python38 = Some(path.into())),
            },
            Key {
                name: "python27",
                flag: None,
                default: "",
                about: "The interpreter of plugins in PYTHON27.",
                set: |config, value| value.text().map(|path| config.plugins.python27 = Some(path.into())),
            },
            Key {
                name: "timeout",
                flag: None,
                default: "\"4h\"",
                about: "How long an operation of a plugin may take, without what it waits for hosts. Then it is ended.",
                set: |config, value| value.duration().map(|limit| config.plugins.timeout = limit),
            },
            Key {
                name: "memory",
                flag: None,
                default: "\"2 GiB\"",
                about: "Bytes of memory that an operation of a plugin may have.",
                set: |config, value| budget(value).map(|size| config.plugins.memory = size),
            },
        ],
    },
    Section {
        name: "log",
        about: "What is logged to stderr.",
        keys: &[
            Key {
                name: "level",
                flag: Some(("--log-level", "LEVEL")),
                default: "\"info\"",
                about: "The least important events that are logged: off, error, warn, info, debug or trace.",
                set: |config, value| value.parsed().map(|level| config.log.level = level),
            },
            Key {
                name: "format",
                flag: None,
                default: "\"auto\"",
                about: "text, journal, json, or auto: journal if stderr is the journal, else text.",
                set: |config, value| value.parsed().map(|format| config.log.format = format),
            },
        ],
    },
];

/// A budget that the engine can work with.
fn budget(value: &Value) -> Result<u64, String> {
    value.size().and_then(|size| if size < 1 << 20 { Err("must be at least 1 MiB".to_owned()) } else { Ok(size) })
}

fn id(value: &Value) -> Result<u32, String> {
    value.number(0).and_then(|id| u32::try_from(id).map_err(|_| "must be below 4294967296".to_owned()))
}

fn clamped(most: u64) -> usize {
    usize::try_from(most).unwrap_or(usize::MAX)
}
