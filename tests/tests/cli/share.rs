//! `cowctl share` against the real daemon.

use cow_api::v1::{Clients, Share, Shares};
use cow_tests::nfs_client::{Client, Set, Stable};

use crate::{done, json, run, start};

#[test]
fn shares_are_listed_set_and_cleared() {
    let (_scratch, daemon) = start("cli-share");
    done(&daemon, "create prod");
    done(&daemon, "create prod/db");
    done(&daemon, "create dev");
    let own = "10.1.0.0/16 rw root_squash, 10.2.0.3/32 ro all_squash, anonuid=99, anongid=65534, insecure";
    assert_eq!(
        done(&daemon, "share set prod 10.1.0.0/16 rw 10.2.0.3 all_squash anonuid=99"),
        format!("Shared prod: {own}\n")
    );
    let (kind, data) = json(&daemon, "share set prod/db secure");
    let share: Share = serde_json::from_value(data).unwrap();
    assert_eq!((kind.as_str(), share.from.as_deref(), share.secure), ("share", Some("prod/db"), true));
    assert_eq!(share.describe(), own.replace("insecure", "secure"));
    assert_eq!(done(&daemon, "share set dev off"), "Shared dev: off\n");
    assert_eq!(
        done(&daemon, "share list -H"),
        "dev\toff\t65534:65534\tinsecure\titself\n\
         prod\t10.1.0.0/16 rw root_squash, 10.2.0.3/32 ro all_squash\t99:65534\tinsecure\titself\n\
         prod/db\t10.1.0.0/16 rw root_squash, 10.2.0.3/32 ro all_squash\t99:65534\tsecure\titself\n"
    );
    assert_eq!(
        done(&daemon, "share clear prod/db"),
        format!("Cleared the share of prod/db: {own} (inherited from prod)\n")
    );
    // What nobody may mount is not told as shared.
    assert_eq!(done(&daemon, "create dev/own"), "Created dev/own\n");
    done(&daemon, "destroy --now --yes dev/own");
    done(&daemon, "share clear dev");
    let (kind, data) = json(&daemon, "share list");
    let shares: Shares = serde_json::from_value(data).unwrap();
    let from: Vec<Option<&str>> = shares.shares.iter().map(|share| share.from.as_deref()).collect();
    assert_eq!((kind.as_str(), from), ("shares", vec![None, Some("prod"), Some("prod")]));
    assert_eq!(done(&daemon, "share list prod/db -H").lines().count(), 1);
    assert!(done(&daemon, "share list dev").contains("configuration"));
    // A clone inherits by its own name, and what keeps a share is nobody's property.
    done(&daemon, "snapshot prod@s");
    done(&daemon, "clone prod@s dev/prod");
    assert!(done(&daemon, "share list dev/prod -H").ends_with("\tconfiguration\n"));
    assert!(!done(&daemon, "get prod").contains("cow:"));
}

#[test]
fn clients_are_listed_with_what_they_have_mounted() {
    let (_scratch, daemon) = start("cli-clients");
    assert_eq!((done(&daemon, "clients"), done(&daemon, "clients -H")), (String::new(), String::new()));
    done(&daemon, "create a");
    let mut client = Client::connect(daemon.nfs()).unwrap();
    let root = client.mount("/a").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    client.write(&file, 0, &[1; 3000], Stable::File).unwrap();
    let listed = done(&daemon, "clients -Hp");
    let cells: Vec<&str> = listed.trim_end().split('\t').collect();
    assert_eq!((cells.len(), &cells[..4], &cells[6..8]), (9, &["127.0.0.1", "1", "/a", "3"][..], &["0", "3000"][..]));
    assert!(done(&daemon, "clients").starts_with("CLIENT     CONNECTIONS  SHARE  CALLS/S"));
    let (kind, data) = json(&daemon, "clients");
    let clients: Clients = serde_json::from_value(data).unwrap();
    assert_eq!((kind.as_str(), clients.clients[0].mounts[0].told[0].as_str()), ("clients", "/a"));
}

#[test]
fn what_makes_no_sense_is_told_in_a_line() {
    let (_scratch, daemon) = start("cli-share-senseless");
    done(&daemon, "create a");
    for (line, code, told) in [
        ("share", 2, "usage: cowctl share [FLAG]... list [DATASET] | set DATASET"),
        ("share set a", 2, "share: set takes something else"),
        ("share lsit", 2, "share: 'lsit' makes no sense"),
        ("share set a rw", 2, "'rw' follows no network: write one before it, as in 10.1.0.0/16 rw"),
        ("share set a 10.0.0.0/8 rwx", 2, "'rwx' is no option of a share: write networks as 10.1.0.0/16"),
        ("share set a 10.0.0.0/40 rw", 2, "'10.0.0.0/40' is not a network: give an address"),
        ("share set a off 10.0.0.0/8", 2, "'off' goes with nothing else"),
        ("share set nope off", 4, "there is no dataset nope"),
        ("share list nope", 4, "there is no dataset nope"),
        ("set a cow:share=off", 2, "'cowctl share set DATASET' says who may mount a dataset"),
        ("create b -o cow:x=y", 2, "are the daemon's own"),
    ] {
        let ended = run(&daemon.socket(), line);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "cowctl {line}: {}", ended.stderr);
        assert!(ended.stderr.contains(told) && ended.stderr.lines().count() == 1, "cowctl {line}: {}", ended.stderr);
    }
}
