//! READDIR and READDIRPLUS.
//!
//! Invariant: a cookie is a place in the directory's own order, so a listing that goes on after names
//! came and went repeats none and misses none that stayed. `.` and `..` are cookies 1 and 2; the
//! engine's are greater.

use cow_storage::format::InodeNumber;
use cow_storage::fs::{Attributes, DirectoryEntry, DirectoryPage, FileKind, access};

use crate::nfs::handle;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::v3::Outcome;
use crate::nfs::v3::types::{ATTRIBUTES_LENGTH, encode_after};
use crate::nfs::xdr::{Decoder, Encoder};

/// Names the meaning of cookies; another one would make clients begin listings again.
const COOKIE_VERIFIER: u64 = 1;
const COOKIE_SELF: u64 = 1;
const COOKIE_PARENT: u64 = 2;
/// Most bytes of one reply, whatever the client would take.
const REPLY_LENGTH_MAX: u32 = 64 << 10;
/// Entries asked of the engine at once.
const PAGE_LENGTH: usize = 128;

/// Bytes of results before and after the entries: attributes, verifier, end of list, end of directory.
const FRAME_LENGTH: usize = 4 + ATTRIBUTES_LENGTH + 8 + 4 + 4;
/// Bytes of an entry besides its name: a flag before it, file id, length of name, cookie.
const ENTRY_LENGTH: usize = 4 + 8 + 4 + 8;
/// Bytes that attributes and handle add to an entry.
const PLUS_LENGTH: usize = 4 + ATTRIBUTES_LENGTH + 4 + 4 + handle::LENGTH;

/// READDIR.
pub fn read_directory(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let handle = handle::decode(&mut arguments)?;
    let (cookie, verifier, count) = (arguments.u64()?, arguments.u64()?, arguments.u32()?);
    let budget = Budget { names: usize::MAX, all: count.min(REPLY_LENGTH_MAX) as usize, is_first: true };
    list(request, handle, (cookie, verifier), Listing { reply, budget, plus: None, shows_files: false })
}

/// READDIRPLUS.
pub fn read_directory_plus(request: &Request<'_>, mut arguments: Decoder<'_>, reply: &mut Encoder) -> Outcome {
    let handle = handle::decode(&mut arguments)?;
    let (cookie, verifier) = (arguments.u64()?, arguments.u64()?);
    let (names, all) = (arguments.u32()?, arguments.u32()?.min(REPLY_LENGTH_MAX));
    let budget = Budget { names: names as usize, all: all as usize, is_first: true };
    list(request, handle, (cookie, verifier), Listing { reply, budget, plus: Some(request), shows_files: true })
}

/// What a reply may still hold, in bytes.
struct Budget {
    /// Names, file ids and cookies. The first entry is free: a client that asks for too little goes on.
    names: usize,
    /// Everything.
    all: usize,
    is_first: bool,
}

impl Budget {
    fn take(&mut self, name: &[u8], plus_length: usize) -> bool {
        let length = ENTRY_LENGTH + name.len().next_multiple_of(4);
        if length + plus_length > self.all || (length > self.names && !self.is_first) {
            return false;
        }
        self.all -= length + plus_length;
        self.names = self.names.saturating_sub(length);
        self.is_first = false;
        true
    }
}

struct Listing<'a, 'b> {
    reply: &'a mut Encoder,
    budget: Budget,
    /// Where attributes and handles are wanted.
    plus: Option<&'a Request<'b>>,
    /// Whether the caller may have them.
    shows_files: bool,
}

fn list(request: &Request<'_>, handle: &[u8], (cookie, verifier): (u64, u64), mut listing: Listing<'_, '_>) -> Outcome {
    let directory = request.target(handle)?;
    let attributes = directory.attributes()?;
    let start = listing.reply.len();
    // Status and frame are beside the largest budget; a whole reply fits in one buffer of its size.
    listing.reply.reserve(listing.budget.all + FRAME_LENGTH + 4);
    listing.reply.u32(Status::OK.0);
    encode_after(listing.reply, Some(&attributes), directory.fsid());
    listing.reply.u64(COOKIE_VERIFIER);
    let listed = if attributes.kind != FileKind::Directory {
        Err(Status::NOT_DIRECTORY)
    } else if cookie != 0 && (verifier != COOKIE_VERIFIER || cookie > i64::MAX as u64) {
        Err(Status::BAD_COOKIE)
    } else {
        listing.put_all(request, &directory, &attributes, cookie)
    };
    match listed {
        Ok(ended) => {
            listing.reply.bool(false);
            listing.reply.bool(ended);
            Ok(Status::OK)
        }
        Err(status) => {
            listing.reply.truncate(start);
            listing.reply.u32(status.0);
            encode_after(listing.reply, Some(&attributes), directory.fsid());
            Ok(status)
        }
    }
}

impl Listing<'_, '_> {
    /// Puts entries until the budget or the directory ends; tells whether it was the directory.
    fn put_all(
        &mut self,
        request: &Request<'_>,
        directory: &Target,
        attributes: &Attributes,
        cookie: u64,
    ) -> Result<bool, Status> {
        self.budget.all = self.budget.all.checked_sub(FRAME_LENGTH).ok_or(Status::TOO_SMALL)?;
        // Whoever may list but not search learns names, but gets no files. Snapshots are other file systems,
        // which are entered by LOOKUP.
        self.shows_files &= directory.granted(attributes) & access::EXECUTE != 0 && !directory.is_snapshots();
        // Permission is the page's to check, so that one is read even if dots fill the reply.
        let mut page = read_page(request, directory, cookie)?;
        if !self.put_dots(directory, cookie)? {
            return self.full();
        }
        loop {
            for entry in &page.entries {
                if !self.put(directory, entry)? {
                    return self.full();
                }
            }
            match page.entries.last() {
                Some(last) if !page.end => page = read_page(request, directory, last.cookie)?,
                _ => return Ok(true),
            }
        }
    }

    fn full(&self) -> Result<bool, Status> {
        if self.budget.is_first { Err(Status::TOO_SMALL) } else { Ok(false) }
    }

    fn put_dots(&mut self, directory: &Target, cookie: u64) -> Result<bool, Status> {
        let own = if directory.is_snapshots() { handle::SNAPSHOTS } else { directory.inode()? };
        let parent = match directory.inode() {
            Ok(inode) => directory.files().parent(inode)?,
            Err(_) => InodeNumber::ROOT,
        };
        let dots = [(b".".to_vec(), own, COOKIE_SELF), (b"..".to_vec(), parent, COOKIE_PARENT)];
        for (name, inode, place) in dots {
            let entry = DirectoryEntry { name, inode, kind: FileKind::Directory, cookie: place };
            if place > cookie && !self.put(directory, &entry)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put(&mut self, directory: &Target, entry: &DirectoryEntry) -> Result<bool, Status> {
        let plus_length = if self.plus.is_some() { PLUS_LENGTH } else { 0 };
        if !self.budget.take(&entry.name, plus_length) {
            return Ok(false);
        }
        self.reply.bool(true);
        self.reply.u64(entry.inode.0);
        self.reply.opaque(&entry.name);
        self.reply.u64(entry.cookie);
        if let Some(request) = self.plus {
            self.put_file(request, directory, entry.inode);
        }
        Ok(true)
    }

    /// Attributes and handle, unless the file has gone since its name was read.
    fn put_file(&mut self, request: &Request<'_>, directory: &Target, inode: InodeNumber) {
        let attributes = if self.shows_files { directory.files().attributes(inode).ok() } else { None };
        encode_after(self.reply, attributes.as_ref(), directory.fsid());
        self.reply.bool(attributes.is_some());
        if attributes.is_some() {
            self.reply.opaque(&request.handle_of(directory, inode));
        }
    }
}

/// The entries after a cookie.
fn read_page(request: &Request<'_>, directory: &Target, cookie: u64) -> Result<DirectoryPage, Status> {
    let after = if cookie <= COOKIE_PARENT { 0 } else { cookie };
    if !directory.is_snapshots() {
        let inode = directory.inode()?;
        return Ok(directory.files().read_directory(&directory.context, inode, after, PAGE_LENGTH)?);
    }
    let snapshots = request.views.snapshots(directory.dataset())?.into_iter();
    let entries = snapshots.map(|snapshot| DirectoryEntry {
        name: snapshot.name.into_bytes(),
        inode: InodeNumber::ROOT,
        kind: FileKind::Directory,
        cookie: snapshot.id.0 + COOKIE_PARENT,
    });
    Ok(DirectoryPage { entries: entries.filter(|entry| entry.cookie > after).collect(), end: true })
}
