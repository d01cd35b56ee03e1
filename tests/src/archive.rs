//! The files of a pool in one small file: what is not zeros, compressed.
//!
//! One zstd frame. For each file: its name's length (u32) and name, its length (u64), the number of runs (u32), and for
//! each run its offset (u64), its length (u32) and its bytes. All little-endian.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::fuzz::Files;

/// A run is of whole pieces of this many bytes.
const PIECE_LEN: usize = 512;
const LEVEL: i32 = 19;

/// Packs files.
pub fn pack(files: &Files) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    for (name, bytes) in files {
        plain.extend((name.len() as u32).to_le_bytes());
        plain.extend(name.as_bytes());
        plain.extend((bytes.len() as u64).to_le_bytes());
        let runs = runs(bytes);
        plain.extend((runs.len() as u32).to_le_bytes());
        for (offset, run) in runs {
            plain.extend((offset as u64).to_le_bytes());
            plain.extend((run.len() as u32).to_le_bytes());
            plain.extend(run);
        }
    }
    zstd::encode_all(&*plain, LEVEL)
}

/// Unpacks them again.
pub fn unpack(packed: &[u8]) -> io::Result<Files> {
    let plain = zstd::decode_all(packed)?;
    let (mut rest, mut files) = (&*plain, Files::new());
    while !rest.is_empty() {
        let name_len = number(&mut rest, 4)?;
        let name = String::from_utf8(take(&mut rest, name_len)?).map_err(io::Error::other)?;
        let mut bytes = vec![0; number(&mut rest, 8)?];
        for _ in 0..number(&mut rest, 4)? {
            let (offset, length) = (number(&mut rest, 8)?, number(&mut rest, 4)?);
            let run = take(&mut rest, length)?;
            bytes.get_mut(offset..offset + length).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(&run);
        }
        files.insert(name, bytes);
    }
    Ok(files)
}

/// Writes files into a directory, with holes where they have zeros.
pub fn write_to(directory: &Path, files: &Files) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, bytes) in files {
        let file = fs::File::create(directory.join(name))?;
        file.set_len(bytes.len() as u64)?;
        runs(bytes).into_iter().try_for_each(|(offset, run)| file.write_all_at(run, offset as u64))?;
    }
    Ok(())
}

/// Reads all files of a directory.
pub fn read_from(directory: &Path) -> io::Result<Files> {
    let read = |entry: io::Result<fs::DirEntry>| -> io::Result<_> {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
    };
    fs::read_dir(directory)?.map(read).collect()
}

/// What is not zeros.
fn runs(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut runs = Vec::new();
    let mut start = 0;
    let is_zero = |piece: &[u8]| piece.iter().all(|byte| *byte == 0);
    for (number, piece) in bytes.chunks(PIECE_LEN).enumerate() {
        let at = number * PIECE_LEN;
        if is_zero(piece) {
            if start < at {
                runs.push((start, &bytes[start..at]));
            }
            start = at + piece.len();
        }
    }
    if start < bytes.len() {
        runs.push((start, &bytes[start..]));
    }
    runs
}

fn take(rest: &mut &[u8], length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.min(rest.len())];
    rest.read_exact(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn number(rest: &mut &[u8], width: usize) -> io::Result<usize> {
    let mut number = [0; 8];
    number[..width].copy_from_slice(&take(rest, width)?);
    Ok(u64::from_le_bytes(number) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut random = Random::new(1);
        let mut files = Files::new();
        for number in 0..20 {
            let mut bytes = random.bytes(number * 700);
            let hole = (number * 300).min(bytes.len());
            bytes[..hole].fill(0);
            files.insert(format!("file {number}"), bytes);
        }
        let packed = pack(&files).unwrap();
        assert_eq!(unpack(&packed).unwrap(), files);
        for length in (0..packed.len()).step_by(97) {
            assert!(unpack(&packed[..length]).is_err(), "{length} bytes");
        }
    }
}
