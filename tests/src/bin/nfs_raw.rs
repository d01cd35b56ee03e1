//! What a client of its own making can ask for, past any kernel's:
//!
//! - `nfs-raw SERVER handle SHARE PATH` prints the handle of a file that this host may mount, in hexadecimal digits;
//! - `nfs-raw SERVER use HANDLE UID` tries what can be done with a handle, whoever got it, and prints what came of each call.

use std::env;
use std::error::Error;

use cow_tests::nfs_client::{Client, Handle, Outcome, Set, Stable};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [server, "handle", share, path] => {
            let mut client = Client::connect(server.parse()?)?;
            let root = client.mount(share)?;
            let Handle(bytes) = client.walk(&root, path)?;
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{}", digits.concat());
            Ok(())
        }
        [server, "use", handle, uid] => {
            let mut client = Client::connect(server.parse()?)?;
            client.user.uid = uid.parse()?;
            client.user.gid = uid.parse()?;
            try_all(&mut client, &parse(handle)?);
            Ok(())
        }
        _ => Err("usage: nfs-raw SERVER handle SHARE PATH | nfs-raw SERVER use HANDLE UID".into()),
    }
}

fn parse(digits: &str) -> Result<Handle, Box<dyn Error + Send + Sync>> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    Ok(Handle(bytes.collect::<Result<_, Box<dyn Error + Send + Sync>>>()?))
}

fn try_all(client: &mut Client, file: &Handle) {
    tell("getattr", client.attributes(file));
    tell("read", client.read(file, 0, 100).map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned()));
    tell("write", client.write(file, 0, b"stolen", Stable::File));
    let mode = Set { mode: Some(0o777), ..Set::default() };
    tell("setattr", client.set_attributes(file, &mode, None));
    tell("commit", client.commit(file));
}

fn tell<T: std::fmt::Debug>(call: &str, outcome: Outcome<T>) {
    match outcome {
        Ok(got) => println!("{call}: done, {got:?}"),
        Err(why) => println!("{call}: refused, {why}"),
    }
}
