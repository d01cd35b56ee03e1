//! The item of a further name: version, directory, and the position there. See `FORMAT.md`, "Name item".

use crate::format::{DecodeError, Decoder, Encoder, InodeNumber};
use crate::fs::NamePlace;
use crate::fs::inode::{check_version, is_sound_place};

const VERSION: u8 = 1;
const LENGTH: usize = 17;

pub(crate) fn encode(place: NamePlace) -> Vec<u8> {
    let mut item = Encoder::with_capacity(LENGTH);
    item.u8(VERSION).u64(place.directory.0).u64(place.position);
    item.bytes
}

pub(crate) fn decode(item: &[u8]) -> Result<NamePlace, DecodeError> {
    let mut item = Decoder::new(item);
    check_version("name", item.u8()?)?;
    let place = NamePlace { directory: InodeNumber(item.u64()?), position: item.u64()? };
    if is_sound_place(place) && item.rest().is_empty() { Ok(place) } else { Err(DecodeError::Field("place of a name")) }
}
