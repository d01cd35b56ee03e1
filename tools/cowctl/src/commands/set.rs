//! `cowctl set`: sets properties of a dataset.

use cow_api::v1::{Dataset, path};

use crate::arguments::{Command, Given};
use crate::commands::{Session, properties};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "set",
    about: "Set properties of a dataset",
    operands: "DATASET NAME=VALUE...",
    count: 2..=usize::MAX,
    flags: &[],
    more: "Properties:\n  \
           extentsize   Most bytes that are compressed together, a multiple of the block size, up to 128K\n  \
           compression  off, zstd, or zstd:LEVEL from -7 to 19; zstd is level 1, and faster\n  \
           \x20            where writers wait for what saves less than a third\n  \
           sync         standard, or disabled: then fsync does not wait, and a crash may lose seconds\n  \
           dedup        on or off: whether equal blocks are stored once\n  \
           quota        Most bytes that the dataset may hold before compression, or none\n  \
           readonly     on or off\n  \
           TEAM:NAME    Your own: any name with a colon; an empty value removes it\n\
           They hold for what is written from now on.",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let change = properties(given.operands[1..].iter().map(String::as_str))?;
    let dataset: Dataset = session.client.patch(&path::dataset(&given.operands[0]), &change)?;
    session.output.result("dataset", &dataset, || session.output.line(&format!("Set {}", dataset.name)))
}
