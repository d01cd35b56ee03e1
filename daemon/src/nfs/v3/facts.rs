//! FSSTAT, FSINFO, PATHCONF: the truth about room and limits.

use cow_storage::fs::{FILE_SIZE_MAX, LINK_MAX, NAME_MAX};

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::types::encode_after;
use crate::nfs::v3::{Outcome, Refusal, TRANSFER_MAX};
use crate::nfs::xdr::{Decoder, Encoder};

/// What listings prefer to be asked for, in bytes.
const LISTING_PREFERRED: u32 = 64 << 10;
/// Hard links, symbolic links, the same limits everywhere, and times that clients may set.
const PROPERTIES: u32 = 1 | 2 | 8 | 16;

fn begin(request: &Request<'_>, arguments: &mut Decoder<'_>, reply: &mut Encoder) -> Result<Target, Refusal> {
    let target = request.target(handle::decode(arguments)?)?;
    let attributes = target.attributes()?;
    reply.u32(Status::OK.0);
    encode_after(reply, Some(&attributes), target.fsid());
    Ok(target)
}

/// FSSTAT. Inodes are made as they are needed, from the same room as data: as many can be made as
/// blocks are free.
pub fn file_system_state(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let target = begin(request, &mut arguments, reply)?;
    let usage = target.files().usage()?;
    let inodes_free = usage.free / u64::from(target.files().block_size().max(1));
    reply.u64(usage.total);
    reply.u64(usage.free);
    reply.u64(usage.free);
    reply.u64(usage.inodes + inodes_free);
    reply.u64(inodes_free);
    reply.u64(inodes_free);
    // Seconds for which this will not change.
    reply.u32(0);
    Ok(Status::OK)
}

/// FSINFO.
pub fn file_system_limits(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let target = begin(request, &mut arguments, reply)?;
    let multiple = target.files().block_size();
    // Most, preferred and natural multiple: of reads, then of writes.
    for value in [TRANSFER_MAX, TRANSFER_MAX, multiple, TRANSFER_MAX, TRANSFER_MAX, multiple] {
        reply.u32(value);
    }
    reply.u32(LISTING_PREFERRED);
    reply.u64(FILE_SIZE_MAX);
    // Times are told to the nanosecond.
    reply.u32(0);
    reply.u32(1);
    reply.u32(PROPERTIES);
    Ok(Status::OK)
}

/// PATHCONF.
pub fn path_limits(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    begin(request, &mut arguments, reply)?;
    reply.u32(LINK_MAX);
    reply.u32(NAME_MAX as u32);
    let (refuses_long_names, only_superuser_gives_away, ignores_case, keeps_case) = (true, true, false, true);
    for fact in [refuses_long_names, only_superuser_gives_away, ignores_case, keeps_case] {
        reply.bool(fact);
    }
    Ok(Status::OK)
}
