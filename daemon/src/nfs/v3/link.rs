//! REMOVE, RMDIR, RENAME, LINK.

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::Outcome;
use crate::nfs::v3::types::{decode_place, encode_after, encode_changed, encode_unchanged};
use crate::nfs::xdr::{Decoder, Encoder};

/// REMOVE.
pub fn remove(request: &Request<'_>, arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    take_name(request, arguments, reply, false)
}

/// RMDIR.
pub fn remove_directory(request: &Request<'_>, arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    take_name(request, arguments, reply, true)
}

fn take_name(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder, is_directory: bool) -> Outcome {
    let (handle, name) = decode_place(&mut arguments)?;
    let directory = request.target(handle)?;
    if directory.was_done {
        return Ok(done(reply, &[&directory]));
    }
    let (files, context) = (directory.files(), &directory.context);
    let changed = directory.directory_to_change(name).and_then(|inode| {
        let changed = if is_directory {
            files.remove_directory(context, inode, name)
        } else {
            files.remove(context, inode, name)
        };
        changed.map_err(Status::from)
    });
    let status = changed.as_ref().err().copied().unwrap_or(Status::OK);
    reply.u32(status.0);
    match changed {
        Ok(changed) => encode_changed(reply, &changed, directory.fsid()),
        Err(_) => encode_unchanged(reply, &directory),
    }
    Ok(status)
}

/// RENAME.
pub fn rename(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let (from_handle, from_name) = decode_place(&mut arguments)?;
    let (to_handle, to_name) = decode_place(&mut arguments)?;
    let (from, to) = (request.target(from_handle)?, request.target(to_handle)?);
    if from.was_done {
        return Ok(done(reply, &[&from, &to]));
    }
    let rename = || {
        let (from_inode, to_inode) = (from.directory_to_change(from_name)?, to.directory_to_change(to_name)?);
        if !from.is_in_view_of(&to) {
            return Err(Status::CROSS_DEVICE);
        }
        Ok(from.files().rename(&from.context, from_inode, from_name, to_inode, to_name)?)
    };
    match rename() {
        Ok(renamed) => {
            reply.u32(Status::OK.0);
            encode_changed(reply, &renamed.from, from.fsid());
            encode_changed(reply, &renamed.to, to.fsid());
            Ok(Status::OK)
        }
        Err(status) => {
            reply.u32(status.0);
            encode_unchanged(reply, &from);
            encode_unchanged(reply, &to);
            Ok(status)
        }
    }
}

/// LINK.
pub fn link(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let file_handle = handle::decode(&mut arguments)?;
    let (handle, name) = decode_place(&mut arguments)?;
    let (file, directory) = (request.target(file_handle)?, request.target(handle)?);
    let link = || {
        if file.was_done {
            return Ok(None);
        }
        let (inode, directory_inode) = (file.inode_to_change()?, directory.directory_to_change(name)?);
        if !file.is_in_view_of(&directory) {
            return Err(Status::CROSS_DEVICE);
        }
        Ok(Some(file.files().link(&file.context, inode, directory_inode, name)?))
    };
    let linked = link();
    let status = linked.as_ref().err().copied().unwrap_or(Status::OK);
    reply.u32(status.0);
    match linked {
        Ok(Some(linked)) => {
            encode_after(reply, Some(&linked.object), file.fsid());
            encode_changed(reply, &linked.directory, directory.fsid());
        }
        _ => {
            encode_after(reply, file.attributes().ok().as_ref(), file.fsid());
            encode_unchanged(reply, &directory);
        }
    }
    Ok(status)
}

/// Answers a call that was done before a crash: directories as they are now.
fn done(reply: &mut Encoder, directories: &[&Target]) -> Status {
    reply.u32(Status::OK.0);
    directories.iter().for_each(|directory| encode_unchanged(reply, directory));
    Status::OK
}
