//! Finds the structures in a pool's files by their magic numbers.

use std::collections::BTreeMap;
use std::ops::Range;

use cow_storage::error::Result;
use cow_storage::fuzz::Target;
use cow_storage::media::Media;

/// All bytes of all files.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A structure that lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub file: String,
    /// Where it lies there.
    pub range: Range<usize>,
    /// The name of its target.
    pub target: &'static str,
}

/// Bytes of a radix node with all its children.
const RADIX_LEN_MAX: usize = 24 + 46 * 64;

/// Reads all files.
pub fn read_files(media: &dyn Media) -> Result<Files> {
    let read = |name: String| -> Result<_> {
        let file = media.open(&name)?;
        let mut bytes = vec![0; file.length()? as usize];
        file.read_at(&mut bytes, 0)?;
        Ok((name, bytes))
    };
    media.list()?.into_iter().map(read).collect()
}

/// The structures in these files that their targets accept.
pub fn dissect(targets: &[Target], files: &Files) -> Vec<Found> {
    let mut all = Vec::new();
    for (file, bytes) in files {
        for start in starts(file, bytes) {
            let place = |(target, length): (&'static str, usize)| {
                let found = targets.iter().find(|found| found.name == target)?;
                let range = start..start.checked_add(length)?;
                found.accepts(bytes.get(range.clone())?).then(|| Found { file: file.clone(), range, target })
            };
            all.extend(candidates(&bytes[start..]).into_iter().filter_map(place));
        }
    }
    let lists: Vec<&Found> = all.iter().filter(|found| found.target == "free-log-list").collect();
    let mut chunks: Vec<Found> = lists.into_iter().flat_map(|list| chunks(files, list)).collect();
    chunks.sort_by_key(|found| (found.file.clone(), found.range.start));
    chunks.dedup();
    all.extend(chunks);
    all
}

/// Where in a file a structure may begin.
fn starts(file: &str, bytes: &[u8]) -> Vec<usize> {
    match file {
        _ if file.starts_with("data-") || file.starts_with("node-") => {
            let begins = |at: &usize| {
                bytes[*at..].starts_with(b"COW") || bytes[*at..].starts_with(b"cowROOTS") || is_node(&bytes[*at..])
            };
            (0..bytes.len()).filter(begins).collect()
        }
        _ => (0..bytes.len()).step_by(4096).filter(|at| bytes[*at..].starts_with(b"cow")).collect(),
    }
}

fn is_node(bytes: &[u8]) -> bool {
    bytes.get(16..20) == Some(b"cowN")
}

/// What may begin here, and how long it would be.
fn candidates(bytes: &[u8]) -> Vec<(&'static str, usize)> {
    let number = |at: usize, width: usize| {
        let mut number = [0; 8];
        number[..width].copy_from_slice(bytes.get(at..at + width)?);
        Some(u64::from_le_bytes(number) as usize)
    };
    let found = match bytes.get(..4) {
        Some(b"COWX") => {
            number(7, 1).zip(number(28, 4)).map(|(count, stored)| vec![("extent", 104 + 32 * count + stored)])
        }
        Some(b"COWS") => {
            number(6, 2).zip(number(20, 4)).map(|(slots, extra)| vec![("slot-page", 24 + 16 * slots + 6 * extra)])
        }
        Some(b"COWU") => Some(vec![("usage-page", 16 + 128 * 16)]),
        Some(b"COWH") => number(8, 4).map(|count| vec![("free-log-list", 12 + 50 * count)]),
        Some(b"COWR") => number(16, 8).map(|bits| {
            let exact = 24 + 46 * bits.count_ones() as usize;
            // Those of the usage table are padded.
            [exact, RADIX_LEN_MAX]
                .into_iter()
                .filter(|length| *length == exact || exact < RADIX_LEN_MAX)
                .map(|length| ("radix-node", length))
                .collect()
        }),
        Some(b"cowR") => Some(vec![("superblock-copy", 512), ("superblock-copy", 1024)]),
        Some(b"cowS") => Some(vec![("superblock-slot", 4096)]),
        Some(b"cowG") => number(12, 4).map(|len| vec![("intent-group", len)]),
        Some(b"cowD") => {
            number(12, 4).map(|count| vec![("saved-index-chunk", (64 + 16 * count).next_multiple_of(4096))])
        }
        _ if is_node(bytes) => Some(vec![("tree-node", 4096)]),
        _ => None,
    };
    found.unwrap_or_default()
}

/// The chunks of the free log, whose lengths only the list of them tells.
fn chunks(files: &Files, list: &Found) -> Vec<Found> {
    let bytes = &files[&list.file][list.range.clone()];
    let place = |entry: &[u8]| {
        let number =
            |range: Range<usize>| entry[range].iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
        let (segment, start, length) = (number(0..6), number(6..10) as usize, number(10..14) as usize);
        Found { file: format!("node-{segment:010x}"), range: start..start + length, target: "free-log-chunk" }
    };
    bytes[12..].chunks_exact(50).map(place).filter(|found| files.contains_key(&found.file)).collect()
}
