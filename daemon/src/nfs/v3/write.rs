//! WRITE and COMMIT: what is promised, and the verifier by which a client sees that it was lost.
//!
//! Invariant: a WRITE tells the verifier from before it, a COMMIT the one from after it. So when
//! unstable data is lost at any moment between, the two differ and the client writes again.

use cow_storage::fs::{Changed, Stability};

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::types::{encode_after, encode_changed, encode_unchanged};
use crate::nfs::v3::{Outcome, TRANSFER_MAX};
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// WRITE.
pub fn write(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let handle = handle::decode(&mut arguments)?;
    let (offset, count, how) = (arguments.u64()?, arguments.u32()?, arguments.u32()?);
    let data = arguments.opaque(TRANSFER_MAX as usize)?;
    let stability = match how {
        0 => Stability::Unstable,
        1 => Stability::Data,
        2 => Stability::File,
        _ => return Err(Garbage.into()),
    };
    if count as usize != data.len() {
        return Err(Garbage.into());
    }
    let target = request.target(handle)?;
    let verifier = target.files().write_verifier();
    match write_data(&target, offset, data, stability) {
        Ok(changed) => {
            request.seen.written_bytes.set(count.into());
            reply.u32(Status::OK.0);
            encode_changed(reply, &changed, target.fsid());
            reply.u32(count);
            reply.u32(how);
            reply.u64(verifier);
            Ok(Status::OK)
        }
        Err(status) => {
            reply.u32(status.0);
            encode_unchanged(reply, &target);
            Ok(status)
        }
    }
}

fn write_data(target: &Target, offset: u64, data: &[u8], stability: Stability) -> Result<Changed, Status> {
    let inode = target.inode_to_change()?;
    target.check_may_write(&target.attributes()?)?;
    Ok(target.files().write(&target.context, inode, offset, data, stability)?)
}

fn sync(target: &Target) -> Result<(), Status> {
    target.check_is_file(&target.attributes()?)?;
    Ok(target.files().sync(target.inode()?)?)
}

/// COMMIT. The range is ignored: all of the file is made durable, in one flush with other callers.
pub fn commit(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let handle = handle::decode(&mut arguments)?;
    let (_offset, _count) = (arguments.u64()?, arguments.u32()?);
    let target = request.target(handle)?;
    let synced = sync(&target);
    let status = synced.err().unwrap_or(Status::OK);
    reply.u32(status.0);
    reply.bool(false);
    encode_after(reply, target.attributes().ok().as_ref(), target.fsid());
    if status == Status::OK {
        reply.u64(target.files().write_verifier());
    }
    Ok(status)
}
