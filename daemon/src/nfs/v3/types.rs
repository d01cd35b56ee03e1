//! The structures that several procedures share: attributes, times, and the data around changes.

use cow_storage::format::Timestamp;
use cow_storage::fs::{AttributeChange, Attributes, Changed, FileKind, SetTime};

use crate::nfs::status::Status;
use crate::nfs::target::Target;
use crate::nfs::v3::Refusal;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// Bytes of a file's attributes.
pub const ATTRIBUTES_LENGTH: usize = 84;
/// Longest name that is decoded; longer ones than a file may have are refused by the engine.
const NAME_LENGTH_MAX: usize = 8 << 10;

/// A directory's handle and a name in it.
pub fn decode_place<'a>(arguments: &mut Decoder<'a>) -> Result<(&'a [u8], &'a [u8]), Garbage> {
    Ok((crate::nfs::handle::decode(arguments)?, arguments.opaque(NAME_LENGTH_MAX)?))
}

/// A value behind a flag that says whether it is there.
pub fn decode_option<'a, T>(
    arguments: &mut Decoder<'a>,
    decode: impl FnOnce(&mut Decoder<'a>) -> Result<T, Garbage>,
) -> Result<Option<T>, Garbage> {
    if arguments.bool()? { decode(arguments).map(Some) } else { Ok(None) }
}

/// `nfstime3`.
pub fn decode_time(arguments: &mut Decoder<'_>) -> Result<Timestamp, Garbage> {
    Ok(Timestamp { seconds: arguments.u32()?.into(), nanoseconds: arguments.u32()? })
}

/// `sattr3`: which attributes to set.
pub fn decode_change(arguments: &mut Decoder<'_>) -> Result<AttributeChange, Refusal> {
    let change = AttributeChange {
        mode: decode_option(arguments, Decoder::u32)?.map(|mode| mode & 0o7777),
        uid: decode_option(arguments, Decoder::u32)?,
        gid: decode_option(arguments, Decoder::u32)?,
        size: decode_option(arguments, Decoder::u64)?,
        accessed: decode_set_time(arguments)?,
        modified: decode_set_time(arguments)?,
        created: None,
    };
    let is_wrong = |time: Option<SetTime>| matches!(time, Some(SetTime::To(time)) if time.nanoseconds >= 1_000_000_000);
    if is_wrong(change.accessed) || is_wrong(change.modified) {
        return Err(Status::INVALID.into());
    }
    Ok(change)
}

fn decode_set_time(arguments: &mut Decoder<'_>) -> Result<Option<SetTime>, Garbage> {
    match arguments.u32()? {
        0 => Ok(None),
        1 => Ok(Some(SetTime::Now)),
        2 => Ok(Some(SetTime::To(decode_time(arguments)?))),
        _ => Err(Garbage),
    }
}

/// A time as the wire has it: seconds before 1970 or after 2106 become the nearest that it can tell.
pub fn wire_time(time: Timestamp) -> (u32, u32) {
    (time.seconds.clamp(0, u32::MAX.into()) as u32, time.nanoseconds)
}

fn encode_time(reply: &mut Encoder, time: Timestamp) {
    let (seconds, nanoseconds) = wire_time(time);
    reply.u32(seconds);
    reply.u32(nanoseconds);
}

/// `ftype3`.
pub fn kind_number(kind: FileKind) -> u32 {
    match kind {
        FileKind::Regular => 1,
        FileKind::Directory => 2,
        FileKind::BlockDevice => 3,
        FileKind::CharacterDevice => 4,
        FileKind::Symlink => 5,
        FileKind::Socket => 6,
        FileKind::Fifo => 7,
    }
}

/// `fattr3`.
pub fn encode_attributes(reply: &mut Encoder, attributes: &Attributes, fsid: u64) {
    reply.u32(kind_number(attributes.kind));
    reply.u32(attributes.mode);
    reply.u32(attributes.links);
    reply.u32(attributes.uid);
    reply.u32(attributes.gid);
    reply.u64(attributes.size);
    reply.u64(attributes.allocated);
    reply.u32(attributes.device.0);
    reply.u32(attributes.device.1);
    reply.u64(fsid);
    reply.u64(attributes.inode.0);
    encode_time(reply, attributes.accessed);
    encode_time(reply, attributes.modified);
    encode_time(reply, attributes.changed);
}

/// `post_op_attr`.
pub fn encode_after(reply: &mut Encoder, attributes: Option<&Attributes>, fsid: u64) {
    reply.bool(attributes.is_some());
    if let Some(attributes) = attributes {
        encode_attributes(reply, attributes, fsid);
    }
}

/// `wcc_data` of a change that was made.
pub fn encode_changed(reply: &mut Encoder, changed: &Changed, fsid: u64) {
    reply.bool(true);
    reply.u64(changed.before.size);
    encode_time(reply, changed.before.modified);
    encode_time(reply, changed.before.changed);
    encode_after(reply, Some(&changed.after), fsid);
}

/// `wcc_data` of a change that was not made: what the file is now.
pub fn encode_unchanged(reply: &mut Encoder, target: &Target) {
    reply.bool(false);
    encode_after(reply, target.attributes().ok().as_ref(), target.fsid());
}
