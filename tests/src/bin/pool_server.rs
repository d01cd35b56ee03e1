//! Serves the pool in a directory until it is killed: what crash tests kill. Prints the server's address.
//!
//! `pool-server DIRECTORY`: makes the pool, and in it the dataset `d`, where there is none. Ends when its input does.

use std::env;
use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;

use cow_storage::catalog::Properties;
use cow_tests::pooled::Pooled;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args().nth(1).map(PathBuf::from).ok_or("usage: pool-server DIRECTORY")?;
    let pooled = Pooled::open(&directory)?;
    if pooled.pool.list()?.datasets.is_empty() {
        pooled.create("d", &Properties::default())?;
    }
    println!("{}", pooled.url("d").server);
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
