//! The decoders of a file system's items and records, for fuzzers.

use crate::format::{InodeNumber, Target};
use crate::fs::{Record, directory, inode, links, xattrs};

pub(crate) const TARGETS: [Target; 5] = [
    Target::new("inode", |bytes| Some(inode::encode(&inode::decode(InodeNumber(5), bytes).ok()?))),
    Target::new("directory-entry", |bytes| {
        let (inode, kind, name) = directory::decode(bytes).ok()?;
        Some(directory::encode(inode, kind, name))
    }),
    Target::new("name", |bytes| Some(links::encode(links::decode(bytes).ok()?))),
    Target::new("extended-attribute", |bytes| {
        let header = xattrs::decode(bytes).ok()?;
        Some(xattrs::encode(header.name, header.value_length, header.inline))
    }),
    Target::new("file-system-record", |bytes| Some(Record::decode(bytes).ok()?.encode().to_vec())),
];
