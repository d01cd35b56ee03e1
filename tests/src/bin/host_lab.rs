//! Raises hosts to try cow on, namespaces of this machine: `host-lab COUNT` prints the process whose network is theirs and
//! the file with the key of their users, a line each, and an address for each host; they last until its input ends.
//!
//! Their `mount -t nfs` is `nfs-mount`, which must be beside this program: the kernel has no NFS client for namespaces
//! everywhere.

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};

use cow_tests::hosts::Lab;

fn main() -> Result<(), Box<dyn Error>> {
    let count = env::args().nth(1).and_then(|count| count.parse().ok()).ok_or("usage: host-lab COUNT")?;
    let mount = env::current_exe()?.with_file_name("nfs-mount");
    // It has said why.
    let Some(lab) = Lab::new("lab", count) else { std::process::exit(1) };
    println!("{}\n{}", lab.network(), lab.key().display());
    for number in 1..=count {
        let host = lab.host(number);
        host.replace("/sbin/mount.nfs", &mount);
        println!("{}", host.address());
    }
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
