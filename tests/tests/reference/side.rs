//! One server, and the files that were seen on it.
//!
//! Invariant: the file of a place is the same one on both sides.

use std::collections::HashMap;

use cow_tests::nfs_client::{Call, Client, Failure, Handle, Outcome, Reader, User, WireTime};
use cow_tests::random::Random;

use crate::seen::{Came, Fact, Item, Raw, Shown};

const DIRECTORY: u32 = 2;
const NAMED_PIPE: u32 = 7;

/// A server.
pub struct Side {
    client: Client,
    files: Vec<Handle>,
    /// Places of directories among them.
    directories: Vec<usize>,
    times: HashMap<u64, [WireTime; 3]>,
    /// Whether what is told next is of a file that was never seen.
    is_new: bool,
}

impl Side {
    /// A server of which only the root is known.
    pub fn new(client: Client, root: Handle) -> Self {
        Self { client, files: vec![root], directories: vec![0], times: HashMap::new(), is_new: false }
    }

    /// A place of any file that was seen. Newer ones oftener, since old ones are mostly gone.
    pub fn any(&self, random: &mut Random) -> usize {
        recent(random, self.files.len())
    }

    /// A place of what was a directory, mostly; often the root.
    pub fn directory(&self, random: &mut Random) -> usize {
        match random.below(12) {
            0 => self.any(random),
            1..=4 => 0,
            _ => self.directories[recent(random, self.directories.len())],
        }
    }

    /// The file of a place.
    pub fn file(&self, place: usize) -> Handle {
        self.files[place].clone()
    }

    /// Calls as a user; `decode` gets the results after a status of OK.
    pub fn call(
        &mut self,
        user: &User,
        call: &Call,
        decode: impl FnOnce(&mut Reader<'_>) -> Outcome<Vec<Item>>,
    ) -> Raw {
        self.client.user = user.clone();
        let results = self.client.call(call).unwrap_or_else(|failure| panic!("the call is not run: {failure}"));
        let mut reader = Reader(&results);
        match reader.status() {
            Ok(()) => {
                let items = decode(&mut reader).expect("results can be decoded");
                reader.finish().expect("nothing follows");
                Raw::Told(items)
            }
            Err(Failure::Status(status)) => Raw::Failed(status),
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Takes this server's own names of files out of what it told.
    pub fn tell(&mut self, raw: &Raw) -> Came {
        match raw {
            Raw::Failed(status) => Came::Failed(*status),
            Raw::Told(items) => Came::Told(items.iter().map(|item| self.fact(item)).collect()),
        }
    }

    fn fact(&mut self, item: &Item) -> Fact {
        match item {
            Item::File(handle) => {
                let place = self.place(handle);
                self.is_new = place.is_none();
                Fact::File(place)
            }
            Item::Attributes(attributes) => Fact::Attributes(attributes.as_ref().map(|attributes| {
                let before = self.times.insert(attributes.inode, attributes.times);
                // Numbers of files that are gone come again with some servers.
                let is_new = std::mem::take(&mut self.is_new);
                Shown::new(attributes, before.filter(|_| !is_new))
            })),
            Item::Bytes(bytes) => Fact::Bytes(bytes.clone()),
            Item::Number(number) => Fact::Number(*number),
            Item::Names(names) => {
                let place = |handle: &Option<Handle>| handle.as_ref().and_then(|handle| self.place(handle));
                Fact::Names(names.iter().map(|(name, handle)| (name.clone(), place(handle))).collect())
            }
        }
    }

    fn place(&self, handle: &Handle) -> Option<usize> {
        self.files.iter().rposition(|file| file == handle)
    }

    /// Gives new files the same place on both sides. Named pipes get none: the reference opens what it is asked to read,
    /// write or commit, and waits forever for somebody at the other end.
    pub fn agree_on_files(ours: &mut Self, mine: Raw, theirs: &mut Self, other: Raw) {
        let (Raw::Told(mine), Raw::Told(other)) = (mine, other) else { return };
        if let ([Item::File(mine), Item::Attributes(Some(of)), ..], [Item::File(other), ..]) = (&mine[..], &other[..])
            && of.kind != NAMED_PIPE
            && ours.place(mine).is_none()
            && theirs.place(other).is_none()
        {
            if of.kind == DIRECTORY {
                ours.directories.push(ours.files.len());
            }
            ours.files.push(mine.clone());
            theirs.files.push(other.clone());
        }
    }
}

fn recent(random: &mut Random, count: usize) -> usize {
    count - 1 - random.below(30).min(count as u64 - 1) as usize
}
