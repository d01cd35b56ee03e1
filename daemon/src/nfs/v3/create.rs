//! CREATE, MKDIR, SYMLINK, MKNOD.
//!
//! Invariant: an exclusive create is found again by its verifier however often it is repeated, since
//! the engine keeps that with the inode.

use cow_storage::error::ErrorKind;
use cow_storage::fs::{
    AttributeChange, Attributes, Caller, Changed, Context, Created, FileKind, NewObject, SYMLINK_MAX,
};

use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::types::{decode_change, decode_place, encode_after, encode_changed, encode_unchanged};
use crate::nfs::v3::{Outcome, Refusal};
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// How often an unchecked create follows a name that comes and goes.
const ATTEMPTS_MAX: usize = 8;

/// A new object, unless it has gone since, and its directory where it changed.
struct Made {
    object: Option<Attributes>,
    directory: Option<Changed>,
}

impl From<Created> for Made {
    fn from(created: Created) -> Self {
        Self { object: Some(created.object), directory: Some(created.directory) }
    }
}

/// How CREATE treats a name that is taken.
enum How {
    Unchecked(AttributeChange),
    Guarded(AttributeChange),
    Exclusive(u64),
}

/// CREATE.
pub fn create(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let (handle, name) = decode_place(&mut arguments)?;
    let how = match arguments.u32()? {
        0 => How::Unchecked(decode_change(&mut arguments)?),
        1 => How::Guarded(decode_change(&mut arguments)?),
        2 => How::Exclusive(arguments.u64()?),
        _ => return Err(Garbage.into()),
    };
    let directory = request.target(handle)?;
    let made = match how {
        How::Unchecked(change) => create_unchecked(&directory, name, &change),
        How::Guarded(change) => make(&directory, name, &NewObject::Regular { exclusive: None }, &change),
        How::Exclusive(verifier) => {
            // Attributes come in the SETATTR that follows; until then only the owner gets at the file.
            let change = AttributeChange { mode: Some(0o600), ..AttributeChange::default() };
            make(&directory, name, &NewObject::Regular { exclusive: Some(verifier) }, &change)
        }
    };
    encode_made(request, &directory, made, reply)
}

/// Creates, or takes the file that is there, cut to the size that the caller gives.
fn create_unchecked(directory: &Target, name: &[u8], change: &AttributeChange) -> Result<Made, Status> {
    for _ in 0..ATTEMPTS_MAX {
        match make(directory, name, &NewObject::Regular { exclusive: None }, change) {
            Err(Status::EXISTS) => {}
            made => return made,
        }
        let inode = directory.directory_to_change(name)?;
        match directory.files().lookup(&directory.context, inode, name) {
            Ok(found) => return take_existing(directory, found, change),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Status::TRY_LATER)
}

fn take_existing(directory: &Target, found: Attributes, change: &AttributeChange) -> Result<Made, Status> {
    let mut object = found;
    // As open(2), which this call is made for.
    if object.kind == FileKind::Directory {
        return Err(Status::IS_DIRECTORY);
    }
    if object.kind == FileKind::Regular && change.size.is_some() {
        let size = AttributeChange { size: change.size, ..AttributeChange::default() };
        object = directory.files().set_attributes(&directory.context, object.inode, &size, None)?.after;
    }
    Ok(Made { object: Some(object), directory: None })
}

/// MKDIR.
pub fn make_directory(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let (handle, name) = decode_place(&mut arguments)?;
    let change = decode_change(&mut arguments)?;
    let directory = request.target(handle)?;
    // As mkdir(2) everywhere: what sets ids on execution is none of a directory's, and its group is its parent's to give.
    let change = AttributeChange { mode: change.mode.map(|mode| mode & 0o1777), ..change };
    let made = make(&directory, name, &NewObject::Directory, &change);
    encode_made(request, &directory, made, reply)
}

/// SYMLINK.
pub fn make_symlink(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let (handle, name) = decode_place(&mut arguments)?;
    let change = AttributeChange { mode: Some(0o777), ..decode_change(&mut arguments)? };
    let link = arguments.opaque(2 * SYMLINK_MAX)?;
    let directory = request.target(handle)?;
    let made = make(&directory, name, &NewObject::Symlink(link.to_vec()), &change);
    encode_made(request, &directory, made, reply)
}

/// MKNOD.
pub fn make_node(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let (handle, name) = decode_place(&mut arguments)?;
    let node = decode_node(&mut arguments);
    let directory = request.target(handle)?;
    let made = match node {
        Ok((object, change)) => make(&directory, name, &object, &change),
        Err(Refusal::Status(status)) => Err(status),
        Err(refusal) => return Err(refusal),
    };
    encode_made(request, &directory, made, reply)
}

fn decode_node(arguments: &mut Decoder<'_>) -> Result<(NewObject, AttributeChange), Refusal> {
    let kind = arguments.u32()?;
    if !matches!(kind, 3 | 4 | 6 | 7) {
        return Err(if (1..=7).contains(&kind) { Status::BAD_TYPE.into() } else { Refusal::Garbage });
    }
    let change = decode_change(arguments)?;
    let object = match kind {
        3 => NewObject::BlockDevice(arguments.u32()?, arguments.u32()?),
        4 => NewObject::CharacterDevice(arguments.u32()?, arguments.u32()?),
        6 => NewObject::Socket,
        _ => NewObject::Fifo,
    };
    Ok((object, change))
}

fn make(directory: &Target, name: &[u8], object: &NewObject, change: &AttributeChange) -> Result<Made, Status> {
    let inode = directory.directory_to_change(name)?;
    if directory.was_done {
        return Ok(Made { object: directory.files().lookup(&directory.context, inode, name).ok(), directory: None });
    }
    let default_mode = if *object == NewObject::Directory { 0o700 } else { 0o600 };
    let mode = change.mode.unwrap_or(default_mode);
    let initial = initial(directory, change)?;
    Ok(directory.files().create(&directory.context, inode, name, object, mode, &initial)?.into())
}

/// What is set besides the mode. Only the superuser says whom a new object belongs to; of what it says
/// nothing, the group is the one it calls with, except in a set-group-id directory.
fn initial(directory: &Target, change: &AttributeChange) -> Result<AttributeChange, Status> {
    let mut initial = AttributeChange { mode: None, ..change.clone() };
    if !is_superuser(&directory.context) {
        (initial.uid, initial.gid) = (None, None);
    } else if initial.gid.is_none()
        && let Some(group) = directory.superuser_group()
        && directory.attributes()?.mode & 0o2000 == 0
    {
        initial.gid = Some(group);
    }
    Ok(initial)
}

fn is_superuser(context: &Context) -> bool {
    context.caller == Caller::Superuser
}

fn encode_made(request: &Request<'_>, directory: &Target, made: Result<Made, Status>, reply: &mut Encoder) -> Outcome {
    let made = match made {
        Ok(made) => made,
        Err(status) => {
            reply.u32(status.0);
            encode_unchanged(reply, directory);
            return Ok(status);
        }
    };
    reply.u32(Status::OK.0);
    reply.bool(made.object.is_some());
    if let Some(object) = &made.object {
        reply.opaque(&request.handle_of(directory, object.inode));
    }
    encode_after(reply, made.object.as_ref(), directory.fsid());
    match made.directory {
        Some(changed) => encode_changed(reply, &changed, directory.fsid()),
        None => encode_unchanged(reply, directory),
    }
    Ok(Status::OK)
}
