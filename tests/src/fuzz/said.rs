//! Seeds of what clients and people say: every call of NFS, MOUNT and NLM, HTTP requests, configuration.

use crate::nfs_client::{Call, Handle, NLM, NSM, PORTMAP, Set, Stable, User, Writer};

/// What is said, by the name of the target that is to take it.
pub fn said() -> Vec<(&'static str, Vec<u8>)> {
    let texts = |target: &'static str, texts: &[&str]| -> Vec<_> {
        texts.iter().map(|text| (target, text.as_bytes().to_vec())).collect()
    };
    let calls: Vec<Vec<u8>> = (0..).zip(calls()).map(|(xid, call)| encode(xid, &call)).collect();
    let [one, .., last] = &calls[..] else { return Vec::new() };
    let (front, back) = last.split_at(8);
    let stream = [fragment(one, true), fragment(front, false), fragment(back, true), fragment(one, true)].concat();
    let mut all = vec![("nfs-records", stream), ("nfs-records", fragment(one, true))];
    all.extend(calls.into_iter().map(|call| ("nfs-call", call)));
    all.extend(replies().map(|reply| ("nfs-reply", reply)));
    all.extend(texts("http-requests", &REQUESTS));
    all.extend(texts("api-body", &BODIES));
    all.extend(texts("config-file", &[CONFIG, "[log]\nlevel = 'debug'\n"]));
    all.extend(texts(
        "command-line",
        &["serve --pool=/p --config c", "check-config", "--help", "--nfs :2049 --http=[::1]:80"],
    ));
    all.extend(texts("size", &["0", "8K", "1.5 GiB", "1537", "15.999EiB", "18446744073709551615"]));
    all.extend(texts("time", &["2026-03-01T09:30:00Z", "1969-12-31T23:59:59.000000001+02:30", "250ms", "7d", "10m"]));
    all.extend(texts("rule", &["10.0.0.0/8 rw root_squash", "::1/128 ro all_squash", "1.2.3.4 no_root_squash"]));
    all
}

/// A call's record, without the mark before it. The client's number is its own, so that no call is taken for one before.
fn encode(xid: u32, call: &Call) -> Vec<u8> {
    let user = User { uid: xid % 3 * 1000, gid: 100, groups: (0..xid % 4).collect() };
    let credentials = Writer::default().words(&[0]).opaque(b"client").words(&[user.uid, user.gid]);
    let credentials = credentials.words(&[user.groups.len() as u32]).words(&user.groups).0;
    let header = Writer::default().words(&[xid, 0, 2, call.program, call.version(), call.procedure, 1]);
    let mut record = header.opaque(&credentials).words(&[0, 0]).0;
    record.extend(&call.arguments);
    record
}

fn fragment(bytes: &[u8], is_last: bool) -> Vec<u8> {
    let mark = bytes.len() as u32 | if is_last { 1 << 31 } else { 0 };
    [&mark.to_be_bytes()[..], bytes].concat()
}

/// A handle of the server that fuzzers ask, but for its tag, which the target puts there.
fn handle(snapshot: u64, inode: u64) -> Handle {
    let mut bytes = vec![1, 0, 0, 0];
    for number in [1, snapshot, inode] {
        bytes.extend_from_slice(&u64::to_le_bytes(number));
    }
    bytes.resize(44, 0);
    Handle(bytes)
}

/// Every procedure at least once.
fn calls() -> Vec<Call> {
    let (root, file, old) = (&handle(0, 1), &handle(0, 2), &handle(2, 1));
    let set = Set { mode: Some(0o640), uid: Some(7), size: Some(9), modified: Some((5, 6)), ..Set::default() };
    let all = Set { gid: Some(8), accessed: Some((1, 2)), ..set };
    let mut calls = vec![
        Call::null(),
        Call::create(root, b"f", 0, &set),
        Call::create(root, b"g", 1, &Set::default()),
        Call::create_exclusive(root, b"h", 77),
        Call::write(file, 0, b"some bytes", Stable::No),
        Call::write(file, 1 << 33, &[7; 300], Stable::File),
        Call::read(file, 0, 4096),
        Call::get_attributes(root),
        Call::set_attributes(file, &all, Some((5, 6))),
        Call::lookup(root, b"f"),
        Call::lookup(old, b".."),
        Call::access(root, 63),
        Call::make_directory(root, b"d", &set),
        Call::make_symlink(root, b"l", &Set::default(), b"target"),
        Call::read_link(file),
        Call::make_node(root, b"p", 7, &set),
        Call::rename(root, b"f", root, b"e"),
        Call::link(file, root, b"k"),
        Call::remove(root, b"e"),
        Call::remove_directory(root, b"d"),
        Call::read_directory(root, 0, 0, 4096),
        Call::read_directory_plus(root, 0, 0, 512, 4096),
        Call::commit(file),
        Call::mount(1, b"/fuzzed/.snapshot"),
        Call::mount(3, b"/fuzzed"),
    ];
    calls.extend((18..=20).map(|procedure| Call::facts(procedure, root)));
    calls.extend([2, 4, 5].map(Call::mounts));
    calls.extend(lock_calls(file));
    calls.extend(lock_calls(root));
    calls
}

/// Every procedure of the lock manager, of the status monitor, and of what stands in for rpcbind.
fn lock_calls(file: &Handle) -> Vec<Call> {
    let call = |program, procedure, to: Writer| Call { program, procedure, arguments: to.0 };
    let lock = |to: Writer| to.opaque(b"client").opaque(&file.0).opaque(b"7@client").words(&[7]).long(10).long(1 << 40);
    let cookie = || Writer::default().opaque(b"cook");
    let share = || cookie().opaque(b"client").opaque(&file.0).opaque(b"7").words(&[1, 2, 0]);
    let notice = || Writer::default().opaque(b"client").words(&[3]);
    vec![
        call(NLM, 0, Writer::default()),
        call(NLM, 1, lock(cookie().words(&[1]))),
        call(NLM, 2, lock(cookie().words(&[1, 1])).words(&[0, 3])),
        call(NLM, 2, lock(cookie().words(&[0, 0])).words(&[1, 3])),
        call(NLM, 3, lock(cookie().words(&[1, 1]))),
        call(NLM, 4, lock(cookie())),
        call(NLM, 5, lock(cookie().words(&[1]))),
        call(NLM, 20, share()),
        call(NLM, 21, share()),
        call(NLM, 22, lock(cookie().words(&[0, 0])).words(&[0, 5])),
        call(NLM, 23, notice()),
        call(NSM, 1, Writer::default().opaque(b"host")),
        call(NSM, 6, notice()),
        call(PORTMAP, 3, Writer::default().words(&[NLM, 4, 6, 0])),
        call(PORTMAP, 4, Writer::default()),
    ]
}

/// What clients answer when they are called: a port, an address, and outcomes.
fn replies() -> [Vec<u8>; 4] {
    let header = || Writer::default().words(&[1, 1, 0, 0, 0, 0]);
    let [port, address, granted] =
        [header().words(&[2049]), header().opaque(b"::1.8.1"), header().opaque(b"cook").words(&[0])].map(|of| of.0);
    [port, address, granted, header().0]
}

const REQUESTS: [&str; 5] = [
    "GET /v1/status HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\nHEAD /v1/datasets?under=a%2Fb&snapshots=false HTTP/1.0\r\n\r\n",
    "POST /v1/datasets HTTP/1.1\r\nContent-Length: 14\r\nAuthorization: Bearer x\r\nExpect: 100-continue\r\n\r\n{\"name\":\"a/b\"}",
    "DELETE http://h/v1/snapshots/a%40b HTTP/1.1\r\nConnection: close\r\n\r\n",
    "GET /v1/jobs/7?wait=5 HTTP/1.1\r\nlast-event-id: 9\r\n\r\n",
    "PATCH /v1/datasets/a%2fb HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
];

const BODIES: [&str; 9] = [
    r#"{"name":"a/b","parents":true,"profile":"postgres","root":{"uid":7,"mode":"0750"}}"#,
    r#"{"name":"a","properties":{"blocksize":8192,"compression":"zstd:-3","sync":"disabled","user":{"a:b":"c"}}}"#,
    r#"{"quota":1073741824,"compression":"off","readonly":true,"user":{"a:b":null}}"#,
    r#"{"quota":null}"#,
    r#"{"to":"a@b"}"#,
    r#"{"snapshots":[{"dataset":"a","name":"b"},{"dataset":"c"}],"recursive":true}"#,
    r#"{"from":"/somewhere","dataset":"a","profile":"tree"}"#,
    r#"{"from":"a@b","to":"/somewhere"}"#,
    r#"{}"#,
];

const CONFIG: &str = r#"[pool]
path = "/p" # a pool
segment_size = "8 MiB"
intent_size = 0x1000000

[nfs]
listen = ":7"
[exports]
rules = [
  "10.0.0.0/8 rw",
]
anonymous_uid = 1_000
"#;
