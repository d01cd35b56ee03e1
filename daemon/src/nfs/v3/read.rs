//! READ: from the engine straight into the reply.

use cow_storage::fs::{FILE_SIZE_MAX, ReadOutcome};

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::types::encode_after;
use crate::nfs::v3::{Outcome, TRANSFER_MAX};
use crate::nfs::xdr::{Decoder, Encoder};

/// Bytes that follow the data of a whole reply at most: padding.
const TAIL_LENGTH: usize = 4;
/// Bytes before it: status, attributes, count, end of file and length.
const FRONT_LENGTH: usize = 4 + 4 + 84 + 12;

/// READ.
pub fn read(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let target = request.target(handle::decode(&mut arguments)?)?;
    let (offset, count) = (arguments.u64()?, arguments.u32()?.min(TRANSFER_MAX));
    let start = reply.len();
    reply.reserve(FRONT_LENGTH + count as usize + TAIL_LENGTH);
    match read_into(reply, &target, offset, count as usize) {
        Ok(length) => {
            request.seen.read_bytes.set(length.into());
            Ok(Status::OK)
        }
        Err(status) => {
            reply.truncate(start);
            reply.u32(status.0);
            encode_after(reply, target.attributes().ok().as_ref(), target.fsid());
            Ok(status)
        }
    }
}

/// Returns how many bytes were read.
fn read_into(reply: &mut Encoder, target: &Target, offset: u64, count: usize) -> Result<u32, Status> {
    let attributes = target.attributes()?;
    let inode = target.inode()?;
    target.check_may_read(&attributes)?;
    reply.u32(Status::OK.0);
    encode_after(reply, Some(&attributes), target.fsid());
    // What was read is known when it has been: the three numbers before the data are put in afterwards.
    let numbers_at = reply.len();
    (0..3).for_each(|_| reply.u32(0));
    let mut end_of_file = false;
    let length = reply.fill(count, |room| -> Result<usize, Status> {
        let outcome = if offset > FILE_SIZE_MAX {
            ReadOutcome { length: 0, end_of_file: true }
        } else {
            target.files().read(&target.context, inode, offset, room)?
        };
        end_of_file = outcome.end_of_file;
        Ok(outcome.length)
    })? as u32;
    reply.patch_u32(numbers_at, length);
    reply.patch_u32(numbers_at + 4, end_of_file.into());
    reply.patch_u32(numbers_at + 8, length);
    Ok(length)
}
