//! An extended attribute's item: version, name, the value's length, and the value's start.
//! See `FORMAT.md`, "Extended attribute item".

use crate::content::VALUE_MAX;
use crate::format::{DecodeError, Decoder, Encoder};
use crate::fs::NAME_MAX;
use crate::fs::inode::check_version;
use crate::fs::layout::{XATTR_INLINE_LENGTH, XATTR_VALUE_MAX};

const VERSION: u8 = 1;

const _: () = assert!(1 + 2 + NAME_MAX + 4 + XATTR_INLINE_LENGTH <= VALUE_MAX);

pub(crate) struct Header<'a> {
    pub name: &'a [u8],
    pub value_length: usize,
    pub inline: &'a [u8],
}

pub(crate) fn encode(name: &[u8], value_length: usize, inline: &[u8]) -> Vec<u8> {
    let mut item = Encoder::with_capacity(7 + name.len() + inline.len());
    item.u8(VERSION).counted(name).u32(value_length as u32).raw(inline);
    item.bytes
}

pub(crate) fn decode(item: &[u8]) -> Result<Header<'_>, DecodeError> {
    let mut item = Decoder::new(item);
    check_version("extended attribute", item.u8()?)?;
    let name = item.counted()?;
    let value_length = item.u32()? as usize;
    let inline = item.rest();
    let sound = !name.is_empty()
        && name.len() <= NAME_MAX
        && value_length <= XATTR_VALUE_MAX
        && inline.len() == value_length.min(XATTR_INLINE_LENGTH);
    if sound { Ok(Header { name, value_length, inline }) } else { Err(DecodeError::Field("extended attribute")) }
}
