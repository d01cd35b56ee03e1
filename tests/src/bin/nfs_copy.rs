//! Copies a tree into a share, or out of one: `nfs-copy FROM TO`, one of which is `nfs://host:port/path`.

use std::env;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use cow_tests::nfs_copy::{Url, copy_in, copy_out};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("usage: nfs-copy FROM TO, one of them nfs://host:port/path".into());
    };
    let start = Instant::now();
    let copied = match (Url::parse(from), Url::parse(to)) {
        (None, Some(to)) => copy_in(Path::new(from), &to)?,
        (Some(from), None) => copy_out(&from, Path::new(to))?,
        _ => return Err("usage: nfs-copy FROM TO, one of them nfs://host:port/path".into()),
    };
    println!("{} names, {} bytes, {:.2} s", copied.names, copied.bytes, start.elapsed().as_secs_f64());
    Ok(())
}
