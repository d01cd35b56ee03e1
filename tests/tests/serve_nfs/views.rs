//! Shares: who gets in, as whom; snapshots; handles.

use std::sync::Arc;

use cow_storage::format::DatasetId;
use cow_tests::model::Model;
use cow_tests::nfs_client::{Call, Client, Failure, Handle, Reader, Set, Stable};
use cow_tests::served::{ModelViews, open_access, serve, serve_model};
use cowd::nfs::Server;
use cowd::shares::{Access, Rule, Squash};

use crate::{failed, status};

fn access(network: &str, writable: bool, squash: Squash) -> Access {
    Access { rules: vec![Rule { network: network.parse().unwrap(), writable, squash }], ..Access::default() }
}

#[test]
fn rules_are_asked_at_every_call() {
    let (server, model, views) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    client.create(&root, b"f", true, &Set::default()).unwrap();
    views.share("/model", 1, model.clone(), access("10.0.0.0/8", true, Squash::None));
    assert_eq!(failed(client.attributes(&root)), status::ACCESS);
    assert_eq!(failed(client.mount("/model")), status::ACCESS);
    views.share("/model", 1, model.clone(), access("127.0.0.0/8", false, Squash::None));
    assert_eq!(failed(client.remove(&root, b"f")), status::READ_ONLY);
    let bits = client.call(&Call::access(&root, 0x3f)).unwrap();
    assert_eq!(bits[bits.len() - 1], 3);
    views.share("/model", 1, model.clone(), access("127.0.0.0/8", true, Squash::Root));
    assert_eq!(failed(client.remove(&root, b"f")), status::ACCESS);
    views.share("/model", 1, model.clone(), Access { privileged_port: true, ..open_access() });
    assert_eq!(failed(client.attributes(&root)), status::ACCESS);
    views.share("/other", 1, model, open_access());
    assert_eq!(failed(client.mount("/model")), status::NO_ENTRY);
    client.attributes(&root).unwrap();
    views.shares.remove(DatasetId(1));
    assert_eq!(failed(client.attributes(&root)), status::STALE);
}

#[test]
fn mounts_go_deep_and_are_listed() {
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("//model/").unwrap();
    let a = client.make_directory(&root, b"a", 0).unwrap();
    let b = client.make_directory(&a, b"b", 0o755).unwrap();
    client.create(&b, b"f", true, &Set::default()).unwrap();
    client.user.uid = 1000;
    assert_eq!(client.mount("/model/a/b").unwrap(), b);
    assert_eq!(failed(client.mount("/model/a/b/f")), status::NOT_DIRECTORY);
    assert_eq!(failed(client.mount("/model/a/c")), status::NO_ENTRY);
    assert_eq!(failed(client.mount("/modelx")), status::NO_ENTRY);
    let told = |server: &Server| {
        let mounts = server.clients().swap_remove(0).mounts;
        assert!(mounts.iter().all(|mount| mount.path == "/model"));
        mounts.into_iter().flat_map(|mount| mount.told).map(|told| told.path).collect::<Vec<_>>()
    };
    assert_eq!(told(&server), ["//model/", "/model/a/b"]);
    let dump = client.call(&Call::mounts(2)).unwrap();
    assert!(dump.windows(10).any(|window| window == b"/model/a/b"));
    client.call(&Call::mount(3, b"/model/a/b")).unwrap();
    assert_eq!(told(&server), ["//model/"]);
    client.call(&Call::mounts(4)).unwrap();
    assert!(server.clients()[0].mounts.is_empty());
    let exports = client.call(&Call::mounts(5)).unwrap();
    assert!(exports.windows(9).any(|window| window == b"0.0.0.0/0"));
}

#[test]
fn snapshots_are_file_systems_of_their_own() {
    let (server, model, views) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    client.write(&file, 0, b"old", Stable::File).unwrap();
    views.add_snapshot(1, 7, "monday", Arc::new(model.snapshot()));
    client.write(&file, 0, b"new", Stable::File).unwrap();
    let snapshots = client.lookup(&root, b".snapshot").unwrap().0;
    assert!(client.list(&root, 4096).unwrap().iter().all(|entry| entry.name != b".snapshot"));
    let listed = client.list(&snapshots, 4096).unwrap();
    assert_eq!(listed.iter().map(|entry| &entry.name[..]).collect::<Vec<_>>(), [b"monday"]);
    let (monday, attributes) = client.lookup(&snapshots, b"monday").unwrap();
    assert_eq!((attributes.unwrap().fsid, client.attributes(&root).unwrap().fsid), (7, 1));
    let old = client.walk(&monday, "f").unwrap();
    assert_eq!(
        (client.read(&old, 0, 9).unwrap().0, client.read(&file, 0, 9).unwrap().0),
        (b"old".to_vec(), b"new".to_vec())
    );
    assert_eq!(client.lookup(&monday, b"..").unwrap().0, snapshots);
    assert_eq!(client.lookup(&snapshots, b"..").unwrap().0, root);
    assert_eq!(client.mount("/model/.snapshot/monday").unwrap(), monday);
    assert_eq!(failed(client.write(&old, 0, b"x", Stable::File)), status::READ_ONLY);
    assert_eq!(failed(client.remove(&monday, b"f")), status::READ_ONLY);
    assert_eq!(failed(client.make_directory(&snapshots, b"x", 0o755)), status::READ_ONLY);
    assert_eq!(failed(client.make_directory(&root, b".snapshot", 0o755)), status::ACCESS);
    assert_eq!(failed(client.read(&snapshots, 0, 1)), status::IS_DIRECTORY);
    assert_eq!(failed(client.lookup(&snapshots, b"tuesday")), status::NO_ENTRY);
    assert_eq!(client.attributes(&snapshots).unwrap().mode, 0o555);
    client.commit(&old).unwrap();
}

#[test]
fn handles_outlive_servers_but_not_datasets() {
    let (model, views) = (Arc::new(Model::default()), Arc::new(ModelViews::default()));
    views.share("/model", 1, model.clone(), open_access());
    views.share("/fork", 2, Arc::new(model.fork()), open_access());
    let server = serve(views.clone());
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let (root, other) = (client.mount("/model").unwrap(), client.mount("/fork").unwrap());
    let file = client.create(&root, b"f", true, &Set::default()).unwrap();
    client.create(&other, b"f", true, &Set::default()).unwrap();
    drop(server);
    assert!(matches!(client.null(), Err(Failure::Io(_))));
    let server = serve(views.clone());
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    client.attributes(&file).unwrap();
    // What names the fork's file is the other handle's dataset; putting it here makes no handle.
    let mut forged = file.clone();
    forged.0[4] = 2;
    assert_eq!(failed(client.attributes(&forged)), status::BAD_HANDLE);
    assert_eq!(failed(client.attributes(&Handle(Vec::new()))), status::BAD_HANDLE);
    assert_eq!(failed(client.rename(&root, b"f", &other, b"g")), status::CROSS_DEVICE);
    assert_eq!(failed(client.link(&file, &other, b"g")), status::CROSS_DEVICE);
    client.remove(&root, b"f").unwrap();
    assert_eq!(failed(client.attributes(&file)), status::STALE);
}

#[test]
fn other_programs_and_versions_are_refused() {
    let (server, ..) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let refused = |client: &mut Client, program, procedure| {
        let call = Call { program, procedure, arguments: Vec::new() };
        match client.call(&call) {
            Err(Failure::Refused(0, state)) => state,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&mut client, 100_227, 0), 1);
    assert_eq!(refused(&mut client, 100_003, 22), 3);
    assert_eq!(refused(&mut client, 100_003, 1), 4);
    let (_, mut record) = client.encode(&Call::null());
    record[23] = 4;
    std::io::Write::write_all(client.stream(), &record).unwrap();
    assert!(matches!(client.receive().unwrap().1, Err(Failure::Refused(0, 2))));
    record[15] = 3;
    std::io::Write::write_all(client.stream(), &record).unwrap();
    assert!(matches!(client.receive().unwrap().1, Err(Failure::Refused(1, 0))));
    let mut anonymous = client.call(&Call::null());
    assert!(Reader(anonymous.as_mut().unwrap()).0.is_empty());
}
