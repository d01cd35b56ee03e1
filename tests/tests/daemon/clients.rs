//! Who has what mounted, as the API and the metrics tell it.

use std::io::Write;
use std::net::SocketAddr;

use cow_api::v1::{Client as Found, ClientMount, Clients, path};
use cow_tests::daemon::Daemon;
use cow_tests::nfs_client::{Call, Client, Handle, Set, Stable};
use serde_json::json;

use crate::setup;

fn connect(daemon: &Daemon, own: &str) -> Client {
    Client::connect_from(own.parse::<SocketAddr>().unwrap(), daemon.nfs()).unwrap()
}

fn clients(daemon: &Daemon) -> Vec<Found> {
    let clients: Clients = serde_json::from_value(daemon.done("GET", path::CLIENTS, "")).unwrap();
    clients.clients
}

/// What one address has mounted of one share.
fn mount_of(daemon: &Daemon, address: &str, path: &str) -> Option<ClientMount> {
    let client = clients(daemon).into_iter().find(|client| client.address == address)?;
    client.mounts.into_iter().find(|mount| mount.path == path)
}

fn metric(daemon: &Daemon, name: &str) -> u64 {
    let text = daemon.ask("GET", "/metrics", "").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

#[test]
fn what_clients_use_is_told_with_rates_also_after_a_restart() {
    let (_scratch, setup) = setup("clients");
    let mut daemon = setup.start();
    for name in ["a", "b"] {
        daemon.done("POST", path::DATASETS, &json!({ "name": name, "root": { "mode": "0777" } }).to_string());
    }
    let mut one = connect(&daemon, "127.0.0.11:0");
    let root = one.mount("/a").unwrap();
    let file = one.create(&root, b"f", true, &Set::default()).unwrap();
    one.write(&file, 0, &[7; 50_000], Stable::File).unwrap();
    one.read(&file, 0, 30_000).unwrap();
    one.read(&file, 40_000, 30_000).unwrap();
    let mut two = connect(&daemon, "127.0.0.12:0");
    let other = two.mount("/b").unwrap();
    two.attributes(&root).unwrap();

    let listed: Vec<String> = clients(&daemon).into_iter().map(|client| client.address).collect();
    assert_eq!(listed, ["127.0.0.11", "127.0.0.12"]);
    let mount = mount_of(&daemon, "127.0.0.11", "/a").unwrap();
    let traffic = mount.traffic;
    assert_eq!((traffic.calls, traffic.read_bytes, traffic.written_bytes), (5, 40_000, 50_000));
    assert!(traffic.calls_per_second > 0.5 && traffic.written_bytes_per_second > 5_000.0, "{traffic:?}");
    assert_eq!((mount.told, mount.last.is_some()), (vec!["/a".to_owned()], true));
    assert!(mount_of(&daemon, "127.0.0.11", "/b").is_none());
    // Used without having told so.
    assert_eq!(mount_of(&daemon, "127.0.0.12", "/a").unwrap().told, Vec::<String>::new());
    assert_eq!(metric(&daemon, "cow_nfs_share_read_bytes_total{share=\"/a\"}"), 40_000);
    assert_eq!(metric(&daemon, "cow_nfs_share_calls_total{share=\"/a\"}"), 6);
    assert_eq!(metric(&daemon, "cow_nfs_client_written_bytes_total{client=\"127.0.0.11\"}"), 50_000);

    daemon.crash();
    daemon = setup.start();
    assert_eq!(clients(&daemon).len(), 0);
    let mut one = connect(&daemon, "127.0.0.11:0");
    one.attributes(&root).unwrap();
    let mut two = connect(&daemon, "127.0.0.12:0");
    two.attributes(&other).unwrap();
    assert!(mount_of(&daemon, "127.0.0.11", "/a").is_some() && mount_of(&daemon, "127.0.0.12", "/b").is_some());
    // As showmount -a asks for it.
    let dump = one.call(&Call::mounts(2)).unwrap();
    assert!(dump.windows(10).any(|window| window == b"127.0.0.12"));
    daemon.done("POST", "/v1/datasets/a/rename", r#"{"to":"c"}"#);
    assert!(mount_of(&daemon, "127.0.0.11", "/c").is_some() && mount_of(&daemon, "127.0.0.11", "/a").is_none());
    one.call(&Call::mount(3, b"/c")).unwrap();
    assert!(mount_of(&daemon, "127.0.0.11", "/c").is_none());
    one.attributes(&root).unwrap();
    assert!(mount_of(&daemon, "127.0.0.11", "/c").is_some());
    daemon.done("DELETE", "/v1/datasets/c", "");
    assert!(mount_of(&daemon, "127.0.0.11", "/c").is_none());
}

#[test]
fn what_is_refused_or_answered_again_is_counted_by_reason() {
    let (_scratch, setup) = setup("refused");
    let daemon = setup.start();
    daemon.done("POST", path::DATASETS, &json!({ "name": "a", "root": { "mode": "0777" } }).to_string());
    daemon.done("PATCH", &path::share("a"), r#"{"rules":["127.0.0.21 rw"]}"#);
    let mut client = connect(&daemon, "127.0.0.21:0");
    let root = client.mount("/a").unwrap();
    let mut stranger = connect(&daemon, "127.0.0.22:0");
    assert!(stranger.mount("/a").is_err() && stranger.attributes(&root).is_err());
    assert!(clients(&daemon).iter().any(|client| client.address == "127.0.0.22" && client.mounts.is_empty()));
    assert!(client.attributes(&Handle(vec![1; 44])).is_err());
    let unknown = |program, procedure| Call { program, procedure, arguments: Vec::new() };
    for call in [unknown(100_227, 0), unknown(100_003, 99), unknown(100_003, 1)] {
        assert!(client.call(&call).is_err());
    }
    // Credentials that only kerberos understands, another version of NFS, and of RPC.
    for (at, value) in [(31, 6), (23, 4), (15, 3)] {
        let (_, mut record) = client.encode(&Call::null());
        record[at] = value;
        client.stream().write_all(&record).unwrap();
        assert!(client.receive().unwrap().1.is_err());
    }
    let (_, record) = client.encode(&Call::create(&root, b"x", 0, &Set::default()));
    for _ in 0..3 {
        client.stream().write_all(&record).unwrap();
        client.receive().unwrap().1.unwrap();
    }
    for (reason, count) in [
        ("acl", 2),
        ("bad_handle", 1),
        ("unknown_program", 1),
        ("unknown_procedure", 1),
        ("garbage", 1),
        ("auth_flavor", 1),
        ("unknown_version", 1),
        ("rpc_version", 1),
        ("stale_handle", 0),
    ] {
        assert_eq!(metric(&daemon, &format!("cow_nfs_refused_total{{reason=\"{reason}\"}}")), count, "{reason}");
    }
    assert_eq!(metric(&daemon, "cow_nfs_share_refused_total{share=\"/a\"}"), 2);
    assert_eq!(metric(&daemon, "cow_nfs_client_refused_total{client=\"127.0.0.22\"}"), 2);
    assert_eq!(metric(&daemon, "cow_nfs_share_replayed_total{share=\"/a\"}"), 2);
    assert_eq!(metric(&daemon, "cow_nfs_client_replayed_total{client=\"127.0.0.21\"}"), 2);
    assert_eq!(metric(&daemon, "cow_nfs_replayed_total"), 2);
}
