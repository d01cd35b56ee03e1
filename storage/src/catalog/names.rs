//! What may be a name.

use crate::error::{Error, ErrorKind, Result};

/// Longest name of a dataset (all parts and slashes) or of a snapshot (the part after `@`), in bytes.
pub const NAME_MAX: usize = 255;

/// Fails unless `name` can name a dataset: parts joined by `/`.
pub(in crate::catalog) fn check_dataset(name: &str) -> Result<()> {
    check_length(name)?;
    name.split('/').try_for_each(|part| check_part(name, part))
}

/// Fails unless `name` can stand after the `@` of a snapshot, or be a hold's.
pub(in crate::catalog) fn check_snapshot(name: &str) -> Result<()> {
    check_length(name)?;
    check_part(name, name)
}

/// The parent's name, if there is a parent, and the last part.
pub(in crate::catalog) fn split(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('/') {
        Some((parent, part)) => (Some(parent), part),
        None => (None, name),
    }
}

pub(in crate::catalog) fn check_length(name: &str) -> Result<()> {
    if name.len() > NAME_MAX {
        let message = format!("a name of {} bytes is too long: use at most {NAME_MAX}", name.len());
        return Err(Error::new(ErrorKind::NameTooLong, message));
    }
    Ok(())
}

fn check_part(name: &str, part: &str) -> Result<()> {
    let is_sound = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    if part.is_empty() || part == "." || part == ".." || !part.chars().all(is_sound) {
        let rule = "a part is letters, digits and _ . : - and neither empty, `.` nor `..`";
        return Err(Error::new(ErrorKind::Invalid, format!("{name:?} cannot be a name: {rule}")));
    }
    Ok(())
}
