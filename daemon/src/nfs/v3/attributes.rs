//! GETATTR, SETATTR, ACCESS.

use cow_storage::fs::{FileKind, access};

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::Outcome;
use crate::nfs::v3::types::{
    decode_change, decode_option, decode_time, encode_after, encode_attributes, encode_changed, encode_unchanged,
    wire_time,
};
use crate::nfs::xdr::{Decoder, Encoder};

/// GETATTR.
pub fn get(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let target = request.target(handle::decode(&mut arguments)?)?;
    let attributes = target.attributes()?;
    reply.u32(Status::OK.0);
    encode_attributes(reply, &attributes, target.fsid());
    Ok(Status::OK)
}

/// SETATTR.
pub fn set(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let handle = handle::decode(&mut arguments)?;
    let change = decode_change(&mut arguments)?;
    let guard = decode_option(&mut arguments, decode_time)?;
    let target = request.target(handle)?;
    let set = || {
        let inode = target.inode_to_change()?;
        let guard = guard.map(|guard| expected_change(&target, wire_time(guard))).transpose()?;
        Ok(target.files().set_attributes(&target.context, inode, &change, guard)?)
    };
    let changed = if target.was_done { Ok(None) } else { set().map(Some) };
    let status = changed.as_ref().err().copied().unwrap_or(Status::OK);
    reply.u32(status.0);
    match changed {
        Ok(Some(changed)) => encode_changed(reply, &changed, target.fsid()),
        _ => encode_unchanged(reply, &target),
    }
    Ok(status)
}

/// The full time of the last change, if it is the one that the client saw: the wire has 32 bits of seconds.
fn expected_change(target: &Target, seen: (u32, u32)) -> Result<cow_storage::format::Timestamp, Status> {
    let changed = target.attributes()?.changed;
    if wire_time(changed) == seen { Ok(changed) } else { Err(Status::NOT_SYNCHRONIZED) }
}

const READ: u32 = 1;
const LOOKUP: u32 = 2;
const MODIFY: u32 = 4;
const EXTEND: u32 = 8;
const DELETE: u32 = 16;
const EXECUTE: u32 = 32;

/// ACCESS.
pub fn access(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let target = request.target(handle::decode(&mut arguments)?)?;
    let asked = arguments.u32()?;
    let attributes = target.attributes()?;
    let granted = target.granted(&attributes);
    let bits = |bit: u8, if_directory: u32, otherwise: u32| match (granted & bit != 0, attributes.kind) {
        (false, _) => 0,
        (true, FileKind::Directory) => if_directory,
        (true, _) => otherwise,
    };
    let allowed = bits(access::READ, READ, READ)
        | bits(access::WRITE, MODIFY | EXTEND | DELETE, MODIFY | EXTEND)
        | bits(access::EXECUTE, LOOKUP, EXECUTE);
    reply.u32(Status::OK.0);
    encode_after(reply, Some(&attributes), target.fsid());
    reply.u32(allowed & asked);
    Ok(Status::OK)
}
