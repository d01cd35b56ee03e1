//! A directory entry's item: version, kind, inode number, and the name to its end.
//! See `FORMAT.md`, "Directory entry item".

use crate::format::{DecodeError, Decoder, Encoder, InodeNumber};
use crate::fs::inode::{check_version, kind_code, kind_of};
use crate::fs::{FileKind, NAME_MAX};

const VERSION: u8 = 1;

pub(crate) fn encode(inode: InodeNumber, kind: FileKind, name: &[u8]) -> Vec<u8> {
    let mut item = Encoder::with_capacity(10 + name.len());
    item.u8(VERSION).u8(kind_code(kind)).u64(inode.0).raw(name);
    item.bytes
}

pub(crate) fn decode(item: &[u8]) -> Result<(InodeNumber, FileKind, &[u8]), DecodeError> {
    let mut item = Decoder::new(item);
    check_version("directory entry", item.u8()?)?;
    let kind = kind_of(item.u8()?)?;
    let inode = InodeNumber(item.u64()?);
    let name = item.rest();
    if name.is_empty() || name.len() > NAME_MAX { Err(DecodeError::Field("name")) } else { Ok((inode, kind, name)) }
}
