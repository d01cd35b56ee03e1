//! A host that is reached by IPv6: ssh, rsync and the mount go there too, beside one of IPv4.

use std::fs;
use std::path::Path;

use cow_tests::site::Site;

use crate::workshop::{PROGRAMS, bash};

#[test]
fn a_host_is_known_by_its_ipv6_address_and_mounts_by_it() {
    if !Path::new("/proc/sys/net/ipv6").exists() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let Some(mut site) = Site::new("ipv6", PROGRAMS, &["four"], &["directory"]) else { return };
    // All addresses of both kinds: a client of IPv4 comes mapped.
    site.setup.flags = vec!["--nfs".to_owned(), "[::]:2049".to_owned()];
    site.crash();
    site.restart();
    let (address, key) = (site.lab.host(1).address6(), site.lab.key().display().to_string());
    site.done(&format!("env add six --host {address} --user deploy --key {key}"));
    let host = site.lab.host(1);
    bash(host, "mkdir /home/deploy/tree; echo one >/home/deploy/tree/file; chown -R deploy /home/deploy/tree");
    let config = site.lab.folder().join("config.json");
    fs::write(&config, r#"{"name": "tree", "path": "/home/deploy/tree"}"#).unwrap();
    site.done(&format!("source link tree --plugin cow-directory --env six --config-file {}", config.display()));
    for (environment, server) in [("six", "[fd00:c0::1]"), ("four", "198.51.100.1")] {
        let path = format!("/home/deploy/{environment}");
        site.done(&format!("vdb provision {environment} tree --env {environment} --param path={path}"));
        let source = bash(host, &format!("findmnt -rno SOURCE {path}"));
        assert_eq!(source.trim_end(), format!("{server}:/vdb/{environment}/1"));
        assert_eq!(bash(host, &format!("cat {path}/file")), "one\n");
    }
    let shares = site.done("share list vdb -H");
    assert!(shares.contains(&format!("{address}/128 rw")) && shares.contains("198.51.100.101/32 rw"), "{shares}");
    site.done("v2p tree /home/deploy/plain --env six");
    assert_eq!(bash(host, "cat /home/deploy/plain/file"), "one\n");
    for environment in ["six", "four"] {
        site.done(&format!("vdb delete {environment}"));
    }
    site.done("source unlink tree");
    assert_eq!(bash(host, "grep -c :/ /proc/mounts; true"), "0\n");
}
