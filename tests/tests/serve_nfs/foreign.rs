//! Clients that are not ours.

use std::process::Command;

use cow_tests::served::serve_model;
use nfs3_client::nfs3_types::nfs3::{
    CREATE3args, LINK3args, LOOKUP3args, Nfs3Option, Nfs3Result, READ3args, READDIR3args, RENAME3args, WRITE3args,
    cookieverf3, createhow3, createverf3, diropargs3, filename3, nfs_fh3, sattr3, stable_how,
};
use nfs3_client::nfs3_types::rpc::{auth_unix, opaque_auth};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use nfs3_client::tokio::{TokioConnector, TokioIo};
use nfs3_client::{Nfs3Connection, Nfs3ConnectionBuilder};

type Connection = Nfs3Connection<TokioIo<tokio::net::TcpStream>>;

fn with_client(test: impl AsyncFnOnce(Connection, nfs_fh3)) {
    let (server, ..) = serve_model();
    let port = server.local_addr().unwrap().port();
    let user = auth_unix { stamp: 1, machinename: Opaque::borrowed(b"client"), uid: 0, gid: 0, gids: Vec::new() };
    let builder = Nfs3ConnectionBuilder::new(TokioConnector, "127.0.0.1", "/model")
        .connect_from_privileged_port(false)
        .mount_port(port)
        .nfs3_port(port)
        .credential(opaque_auth::auth_unix(&user));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = builder.mount().await.unwrap();
        let root = connection.root_nfs_fh3();
        test(connection, root).await;
    });
}

fn place(dir: &nfs_fh3, name: &str) -> diropargs3<'static> {
    diropargs3 { dir: dir.clone(), name: filename3(Opaque::owned(name.as_bytes().to_vec())) }
}

async fn create(client: &mut Connection, root: &nfs_fh3, name: &str) -> nfs_fh3 {
    let args = CREATE3args { where_: place(root, name), how: createhow3::GUARDED(sattr3::default()) };
    match client.create(&args).await.unwrap().unwrap().obj {
        Nfs3Option::Some(handle) => handle,
        Nfs3Option::None => panic!("no handle"),
    }
}

#[test]
fn a_file_goes_in_and_comes_out() {
    with_client(async |mut client, root| {
        let file = create(&mut client, &root, "f").await;
        let data: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
        for (number, chunk) in data.chunks(1 << 20).enumerate() {
            let args = WRITE3args {
                file: file.clone(),
                offset: (number as u64) << 20,
                count: chunk.len() as u32,
                stable: stable_how::UNSTABLE,
                data: Opaque::borrowed(chunk),
            };
            let written = client.write(&args).await.unwrap().unwrap();
            assert_eq!(written.count as usize, chunk.len());
            assert!(matches!(written.file_wcc.before, Nfs3Option::Some(before) if before.size == args.offset));
        }
        let mut back = Vec::new();
        loop {
            let args = READ3args { file: file.clone(), offset: back.len() as u64, count: 1 << 20 };
            let read = client.read(&args).await.unwrap().unwrap();
            back.extend_from_slice(&read.data);
            if read.eof {
                break;
            }
        }
        assert_eq!(back, data);
    });
}

#[test]
fn names_are_linked_renamed_and_created_exclusively() {
    with_client(async |mut client, root| {
        let file = create(&mut client, &root, "a").await;
        let link = LINK3args { file: file.clone(), link: place(&root, "b") };
        client.link(&link).await.unwrap().unwrap();
        let rename = RENAME3args { from: place(&root, "b"), to: place(&root, "c") };
        let renamed = client.rename(&rename).await.unwrap().unwrap();
        assert!(matches!(renamed.todir_wcc.after, Nfs3Option::Some(after) if after.size == 2 * 32));
        let found = client.lookup(&LOOKUP3args { what: place(&root, "c") }).await.unwrap().unwrap();
        assert_eq!(found.object.data, file.data);
        assert!(matches!(found.obj_attributes, Nfs3Option::Some(attributes) if attributes.nlink == 2));
        let exclusive = |verifier: u8| CREATE3args {
            where_: place(&root, "x"),
            how: createhow3::EXCLUSIVE(createverf3([verifier; 8])),
        };
        let first = client.create(&exclusive(1)).await.unwrap().unwrap();
        let again = client.create(&exclusive(1)).await.unwrap().unwrap();
        assert!(matches!((first.obj, again.obj), (Nfs3Option::Some(a), Nfs3Option::Some(b)) if a.data == b.data));
        assert!(matches!(client.create(&exclusive(2)).await.unwrap(), Nfs3Result::Err(_)));
    });
}

#[test]
fn long_listings_end() {
    with_client(async |mut client, root| {
        for number in 0..2_500 {
            create(&mut client, &root, &format!("file-{number}")).await;
        }
        let (mut count, mut cookie, mut cookieverf) = (0, 0, cookieverf3::default());
        loop {
            let args = READDIR3args { dir: root.clone(), cookie, cookieverf, count: 4096 };
            let listed = client.readdir(&args).await.unwrap().unwrap();
            cookieverf = listed.cookieverf;
            for entry in &listed.reply.entries.0 {
                count += 1;
                cookie = entry.cookie;
            }
            if listed.reply.eof {
                break;
            }
        }
        assert_eq!(count, 2_502);
    });
}

#[test]
fn the_programs_of_libnfs_copy_and_list() {
    if Command::new("nfs-ls").output().is_err() {
        eprintln!("skipped: install libnfs-utils for nfs-ls and nfs-cp");
        return;
    }
    let (server, ..) = serve_model();
    let port = server.local_addr().unwrap().port();
    let url = |path: &str| format!("nfs://127.0.0.1/model{path}?version=3&nfsport={port}&mountport={port}&uid=0&gid=0");
    let folder = std::env::temp_dir().join(format!("cow-serve-nfs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (there, back) = (folder.join("there"), folder.join("back"));
    std::fs::write(&there, (0..5_000_000u32).map(|n| (n / 3) as u8).collect::<Vec<u8>>()).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run("nfs-cp", &[there.to_str().unwrap(), &url("/copied")]);
    run("nfs-cp", &[&url("/copied"), back.to_str().unwrap()]);
    assert!(std::fs::read(&there).unwrap() == std::fs::read(&back).unwrap());
    let listing = run("nfs-ls", &[&url("")]);
    assert!(listing.contains("copied") && listing.contains("5000000"), "{listing}");
    std::fs::remove_dir_all(&folder).unwrap();
}
