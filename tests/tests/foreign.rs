//! Clients that are not ours copy in and out of the daemon, each a process or a library of its own.
//!
//! `COW_FOREIGN=full` copies a file of 1 GiB and a tree of 20,000 files; by default it is 64 MiB and 1,000.

use std::process::Command;
use std::{env, fs};

use cow_tests::daemon::{Daemon, Setup};
use cow_tests::random::Random;
use cow_tests::scratch::Scratch;
use nfs3_client::nfs3_types::nfs3::{
    COMMIT3args, CREATE3args, MKDIR3args, Nfs3Option, READ3args, WRITE3args, createhow3, diropargs3, filename3,
    nfs_fh3, sattr3, stable_how,
};
use nfs3_client::nfs3_types::rpc::{auth_unix, opaque_auth};
use nfs3_client::nfs3_types::xdr_codec::Opaque;
use nfs3_client::tokio::{TokioConnector, TokioIo};
use nfs3_client::{Nfs3Connection, Nfs3ConnectionBuilder};

type Connection = Nfs3Connection<TokioIo<tokio::net::TcpStream>>;

const FILES_PER_DIRECTORY: usize = 100;

fn is_full() -> bool {
    env::var("COW_FOREIGN").is_ok_and(|wanted| wanted == "full")
}

fn serve(scratch: &Scratch) -> Daemon {
    let daemon = Setup::new(env!("CARGO_BIN_EXE_cowd-under-test"), scratch.path()).start();
    daemon.done("POST", "/v1/datasets", r#"{"name":"d"}"#);
    daemon
}

#[test]
fn the_programs_of_libnfs_copy_a_large_file() {
    if Command::new("nfs-ls").output().is_err() {
        eprintln!("skipped: install libnfs-utils for nfs-ls and nfs-cp");
        return;
    }
    let scratch = Scratch::new("foreign-file");
    let daemon = serve(&scratch);
    let port = daemon.nfs().port();
    let url = |path: &str| format!("nfs://127.0.0.1/d{path}?version=3&nfsport={port}&mountport={port}&uid=0&gid=0");
    let (there, back) = (scratch.path().join("there"), scratch.path().join("back"));
    let length = if is_full() { 1 << 30 } else { 64 << 20 };
    fs::write(&there, Random::new(1).bytes(length)).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run("nfs-cp", &[there.to_str().unwrap(), &url("/copied")]);
    run("nfs-cp", &[&url("/copied"), back.to_str().unwrap()]);
    assert!(fs::read(&there).unwrap() == fs::read(&back).unwrap(), "the copy is not the file");
    let listing = run("nfs-ls", &[&url("")]);
    assert!(listing.contains("copied") && listing.contains(&length.to_string()), "{listing}");
}

#[test]
fn another_library_copies_a_tree() {
    let scratch = Scratch::new("foreign-tree");
    let daemon = serve(&scratch);
    let port = daemon.nfs().port();
    let user = auth_unix { stamp: 1, machinename: Opaque::borrowed(b"client"), uid: 0, gid: 0, gids: Vec::new() };
    let builder = Nfs3ConnectionBuilder::new(TokioConnector, "127.0.0.1", "/d")
        .connect_from_privileged_port(false)
        .mount_port(port)
        .nfs3_port(port)
        .credential(opaque_auth::auth_unix(&user));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = builder.mount().await.unwrap();
        let root = client.root_nfs_fh3();
        let mut files = Vec::new();
        for directory in 0..if is_full() { 200 } else { 10 } {
            let made = MKDIR3args { where_: place(&root, directory), attributes: sattr3::default() };
            let Nfs3Option::Some(made) = client.mkdir(&made).await.unwrap().unwrap().obj else { panic!("no handle") };
            for number in 0..FILES_PER_DIRECTORY {
                files.push(write_file(&mut client, &made, number, &content(files.len())).await);
            }
        }
        for (number, file) in files.iter().enumerate() {
            assert!(read_file(&mut client, file).await == content(number), "file {number} came out otherwise");
        }
    });
}

/// What file `number` has: mostly little, sometimes much, often alike in parts.
fn content(number: usize) -> Vec<u8> {
    let mut random = Random::new(number as u64 / 2);
    let length = if number.is_multiple_of(97) { 300_000 } else { random.below(9_000) as usize };
    random.bytes(length)
}

fn place(dir: &nfs_fh3, number: usize) -> diropargs3<'static> {
    diropargs3 { dir: dir.clone(), name: filename3(Opaque::owned(number.to_string().into_bytes())) }
}

async fn write_file(client: &mut Connection, directory: &nfs_fh3, number: usize, bytes: &[u8]) -> nfs_fh3 {
    let args = CREATE3args { where_: place(directory, number), how: createhow3::GUARDED(sattr3::default()) };
    let Nfs3Option::Some(file) = client.create(&args).await.unwrap().unwrap().obj else { panic!("no handle") };
    for (piece, data) in bytes.chunks(64 << 10).enumerate() {
        let (offset, count, stable) = ((piece as u64) << 16, data.len() as u32, stable_how::UNSTABLE);
        let args = WRITE3args { file: file.clone(), offset, count, stable, data: Opaque::borrowed(data) };
        assert_eq!(client.write(&args).await.unwrap().unwrap().count, count);
    }
    client.commit(&COMMIT3args { file: file.clone(), offset: 0, count: 0 }).await.unwrap().unwrap();
    file
}

async fn read_file(client: &mut Connection, file: &nfs_fh3) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let args = READ3args { file: file.clone(), offset: bytes.len() as u64, count: 256 << 10 };
        let read = client.read(&args).await.unwrap().unwrap();
        bytes.extend_from_slice(&read.data);
        if read.eof {
            return bytes;
        }
    }
}
