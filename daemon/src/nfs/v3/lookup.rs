//! LOOKUP, READLINK.

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::Request;
use crate::nfs::v3::Outcome;
use crate::nfs::v3::types::{decode_place, encode_after};
use crate::nfs::xdr::{Decoder, Encoder};

/// LOOKUP.
pub fn lookup(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let (handle, name) = decode_place(&mut arguments)?;
    let directory = request.target(handle)?;
    let found = request.lookup(&directory, name);
    let status = found.as_ref().err().copied().unwrap_or(Status::OK);
    reply.u32(status.0);
    if let Ok((target, attributes)) = found {
        reply.opaque(&request.handle(&target));
        encode_after(reply, Some(&attributes), target.fsid());
    }
    encode_after(reply, directory.attributes().ok().as_ref(), directory.fsid());
    Ok(status)
}

/// READLINK.
pub fn read_link(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let target = request.target(handle::decode(&mut arguments)?)?;
    let read = || Ok(target.files().read_link(&target.context, target.inode().map_err(|_| Status::INVALID)?)?);
    let link: Result<Vec<u8>, Status> = read();
    let status = link.as_ref().err().copied().unwrap_or(Status::OK);
    reply.u32(status.0);
    encode_after(reply, target.attributes().ok().as_ref(), target.fsid());
    if let Ok(link) = link {
        reply.opaque(&link);
    }
    Ok(status)
}
