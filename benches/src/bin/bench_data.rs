//! Writes a file of known data: `bench-data database|source|random MIB FILE`.

use std::error::Error;
use std::fs::File;
use std::io::Write;

use cow_benches::data;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, mib, path] = &words[..] else { return Err("say which kind, how many MiB, and where".into()) };
    let make = match kind.as_str() {
        "database" => data::database,
        "source" => data::source,
        "random" => data::random,
        _ => return Err(format!("there is no kind {kind}: there are database, source and random").into()),
    };
    let mut file = File::create(path)?;
    for seed in 0..mib.parse()? {
        file.write_all(&make(seed, 1 << 20))?;
    }
    Ok(())
}
