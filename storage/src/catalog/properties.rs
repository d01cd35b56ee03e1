//! Which properties a dataset may have.

use std::collections::BTreeMap;

use crate::catalog::codec::encode_texts;
use crate::catalog::layout::{PIECE_LENGTH, PIECES_MAX};
use crate::catalog::{Compression, NAME_MAX, Properties, PropertyChange};
use crate::error::{Error, ErrorKind, Result};

const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 4 << 10..=64 << 10;
const EXTENT_SIZE_MAX: u32 = 128 << 10;
const LEVELS: std::ops::RangeInclusive<i8> = -7..=19;

/// Most bytes that all user properties of a dataset take, or all holds of a snapshot.
pub(in crate::catalog) const TEXTS_MAX: usize = 64 << 10;

const _: () = assert!(TEXTS_MAX.div_ceil(PIECE_LENGTH) < PIECES_MAX as usize);

/// Fails unless a dataset may have these.
pub(in crate::catalog) fn check(properties: &Properties) -> Result<()> {
    let Properties { block_size, extent_size, compression, user, .. } = properties;
    if !block_size.is_power_of_two() || !BLOCK_SIZES.contains(block_size) {
        return invalid(format!("a block of {block_size} bytes is not possible: use 4, 8, 16, 32 or 64 KiB"));
    }
    if *extent_size == 0 || extent_size % block_size != 0 || *extent_size > EXTENT_SIZE_MAX {
        let rule = format!("use a multiple of the block size ({block_size}), at most {EXTENT_SIZE_MAX}");
        return invalid(format!("an extent of {extent_size} bytes is not possible: {rule}"));
    }
    if let Compression::Zstd(level) = compression
        && !LEVELS.contains(level)
    {
        return invalid(format!("there is no zstd level {level}: use -7 to 19"));
    }
    check_user(user)
}

/// The properties after a change; fails unless a dataset may have them.
pub(in crate::catalog) fn changed(before: &Properties, change: &PropertyChange) -> Result<Properties> {
    let mut after = before.clone();
    after.extent_size = change.extent_size.unwrap_or(before.extent_size);
    after.compression = change.compression.unwrap_or(before.compression);
    after.sync = change.sync.unwrap_or(before.sync);
    after.dedup = change.dedup.unwrap_or(before.dedup);
    after.quota = change.quota.unwrap_or(before.quota);
    after.readonly = change.readonly.unwrap_or(before.readonly);
    for (key, value) in &change.user {
        match value {
            Some(value) => after.user.insert(key.clone(), value.clone()),
            None => after.user.remove(key),
        };
    }
    check(&after)?;
    Ok(after)
}

fn check_user(user: &BTreeMap<String, String>) -> Result<()> {
    for key in user.keys() {
        let is_sound = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
        if !key.contains(':') || !key.chars().all(is_sound) || key.len() > NAME_MAX {
            let rule = "use letters, digits and _ . : - with a colon, as in team:owner";
            return invalid(format!("{key:?} cannot name a user property: {rule}"));
        }
    }
    let length = encode_texts(user.iter().flat_map(|(key, value)| [key, value])).len();
    if length > TEXTS_MAX {
        return invalid(format!("user properties of {length} bytes are too long: use at most {TEXTS_MAX}"));
    }
    Ok(())
}

fn invalid(message: String) -> Result<()> {
    Err(Error::new(ErrorKind::Invalid, message))
}
