//! `cowctl lock` against the real daemon.

use cow_api::v1::{LockKind, Locks, ReleasedLocks};
use cow_tests::nfs_client::{Client, Set};
use cow_tests::nlm_client::{Lock, LockClient, stat};

use crate::{done, json, run, start};

#[test]
fn locks_are_listed_and_released() {
    let (_scratch, daemon) = start("cli-lock");
    assert_eq!((done(&daemon, "lock list"), done(&daemon, "lock list -H")), (String::new(), String::new()));
    let made = ["a", "b"].map(|name| {
        done(&daemon, &format!("create {name}"));
        let mut client = Client::connect(daemon.nfs()).unwrap();
        let root = client.mount(&format!("/{name}")).unwrap();
        client.create(&root, b"f", true, &Set::default()).unwrap()
    });
    let [mut one, mut two] = [2, 3].map(|own| LockClient::connect(own, daemon.nfs()).unwrap());
    let [first, second] = &made;
    assert_eq!(one.lock(&Lock::all(first, 7, true).bytes(10, 5)), stat::GRANTED);
    assert_eq!(one.lock(&Lock::all(second, 8, false)), stat::GRANTED);
    assert_eq!(two.wait(&Lock::all(first, 9, true).bytes(12, 1)), stat::BLOCKED);
    let row = |rest: &str| rest.replace(' ', "\t") + "\n";
    let of_a =
        row("a 2 127.0.0.2 client-2 7 exclusive 10 5 held") + &row("a 2 127.0.0.3 client-3 9 exclusive 12 1 waiting");
    assert_eq!(done(&daemon, "lock list a -H"), of_a);
    assert_eq!(done(&daemon, "lock list -H"), of_a + &row("b 2 127.0.0.2 client-2 8 shared 0 - held"));
    assert!(done(&daemon, "lock list").starts_with("DATASET  INODE  CLIENT     NAME      PROCESS  KIND"));
    let (kind, data) = json(&daemon, "lock list b");
    let locks: Locks = serde_json::from_value(data).unwrap();
    let shown = &locks.locks[0];
    assert_eq!((kind.as_str(), shown.kind, shown.length, shown.waiting), ("locks", LockKind::Shared, None, false));
    // A dataset that is destroyed takes its locks along.
    done(&daemon, "destroy b");
    assert_eq!(done(&daemon, "lock list -H").lines().count(), 2);
    let (_, data) = json(&daemon, "lock release 127.0.0.2");
    let released: ReleasedLocks = serde_json::from_value(data).unwrap();
    assert_eq!((released.clients, released.released), (vec!["127.0.0.2 (client-2)".to_owned()], 1));
    assert_eq!(one.lock(&Lock::all(first, 7, true)), stat::DENIED);
    assert_eq!(done(&daemon, "lock release client-3"), "Released 1 lock of 127.0.0.3 (client-3)\n");
    for (line, code, told) in [
        ("lock release 127.0.0.2", 4, "no client 127.0.0.2 has locks"),
        ("lock list c", 4, "there is no dataset c"),
        ("lock steal", 2, "lock: 'steal' makes no sense"),
    ] {
        let ended = run(&daemon.socket(), line);
        assert!(ended.code == code && ended.stderr.contains(told), "{line}: {} {}", ended.code, ended.stderr);
    }
}
