//! One call, as data: the same for both servers.

use cow_tests::nfs_client::{Call, Handle, Outcome, Reader, Set, Stable, User};
use cow_tests::random::Random;

use crate::seen::{Item, Raw};
use crate::side::Side;

const NAMES: [&[u8]; 13] =
    [b"a", b"b", b"c", b"d", b"f", b"g", b"h", b"dd", b"e\xff\x01", b".", b"..", &[b'x'; 255], &[b'x'; 256]];
const MODES: [u32; 8] = [0o755, 0o2775, 0o1777, 0o644, 0o600, 0, 0o4755, 0o6777];

/// A call.
#[derive(Clone, Debug)]
pub struct Step {
    /// Who calls.
    pub user: User,
    /// What of which file.
    pub act: Act,
    /// The file's place among all that were seen.
    pub at: usize,
}

/// What is called.
#[derive(Clone, Debug)]
pub enum Act {
    /// CREATE unchecked (0) or guarded (1).
    Create(u32, Vec<u8>, Set),
    /// CREATE exclusive.
    Exclusive(Vec<u8>, u64),
    /// MKDIR.
    Directory(Vec<u8>, Set),
    /// SYMLINK.
    Symlink(Vec<u8>, Set),
    /// MKNOD of a named pipe or socket.
    Node(Vec<u8>, u32, Set),
    /// SETATTR.
    Set(Set),
    /// GETATTR.
    Attributes,
    /// ACCESS.
    Access(u32),
    /// LOOKUP.
    Lookup(Vec<u8>),
    /// READLINK.
    ReadLink,
    /// READ.
    Read(u64, u32),
    /// WRITE.
    Write(u64, Vec<u8>, Stable),
    /// COMMIT.
    Commit,
    /// REMOVE.
    Remove(Vec<u8>),
    /// RMDIR.
    RemoveDirectory(Vec<u8>),
    /// RENAME to a directory's name.
    Rename(Vec<u8>, usize, Vec<u8>),
    /// LINK.
    Link(usize, Vec<u8>),
    /// READDIR or READDIRPLUS, to the end, by calls of so many bytes.
    List(bool, u32),
}

impl Step {
    /// A call of files that one side has seen.
    pub fn random(random: &mut Random, side: &Side) -> Self {
        let users = [(0, 0, vec![]), (0, 0, vec![]), (1, 10, vec![20]), (2, 20, vec![])];
        let (uid, gid, groups) = random.pick(&users).clone();
        let mut act = Act::random(random, side);
        // Users draw verifiers of their own.
        if let Act::Exclusive(_, verifier) = &mut act {
            *verifier += u64::from(uid) << 8;
        }
        // The reference cuts the file to its size even if it then refuses the call.
        if let Act::Create(_, _, set) = &mut act
            && uid != 0
        {
            set.size = None;
        }
        let at = if act.is_of_names() { side.directory(random) } else { side.any(random) };
        Self { user: User { uid, gid, groups }, act, at }
    }

    /// Makes the file the same on both sides, and takes note of its times, where the two have changed it differently.
    pub fn even_out(&self, side: &mut Side) {
        let file = side.file(self.at);
        let root = User::default();
        let raw = match &self.act {
            Act::Set(_) => {
                let set = Set { mode: Some(0o777), ..Set::default() };
                let call = Call::set_attributes(&file, &set, None);
                side.call(&root, &call, |reader| Ok(vec![after_change(reader)?]))
            }
            Act::Create(_, name, _) => {
                let lookup = Act::Lookup(name.clone());
                side.call(&root, &lookup.call(&file), |reader| lookup.decode(reader))
            }
            _ => return,
        };
        side.tell(&raw);
    }

    /// Calls one server.
    pub fn run(&self, side: &mut Side) -> Raw {
        let file = side.file(self.at);
        match &self.act {
            Act::List(plus, count) => list(side, &self.user, &file, *plus, *count),
            Act::Rename(name, to, new_name) => {
                let call = Call::rename(&file, name, &side.file(*to), new_name);
                side.call(&self.user, &call, |reader| Ok(vec![after_change(reader)?, after_change(reader)?]))
            }
            Act::Link(directory, name) => {
                let call = Call::link(&file, &side.file(*directory), name);
                side.call(&self.user, &call, |reader| {
                    Ok(vec![Item::Attributes(reader.after()?), after_change(reader)?])
                })
            }
            act => side.call(&self.user, &act.call(&file), |reader| act.decode(reader)),
        }
    }
}

impl Act {
    fn random(random: &mut Random, side: &Side) -> Self {
        let name = |random: &mut Random| random.pick(&NAMES).to_vec();
        match random.below(26) {
            0 | 1 => Self::Create(random.below(2) as u32, name(random), random_set(random, true)),
            2 => Self::Exclusive(name(random), random.below(3)),
            3..=5 => Self::Directory(name(random), random_set(random, false)),
            6 => Self::Symlink(name(random), Set::default()),
            7 => Self::Node(name(random), *random.pick(&[6, 7]), random_set(random, false)),
            8..=10 => Self::Set(random_change(random)),
            11 => Self::Attributes,
            12 => Self::Access(0x3f),
            13 => Self::Lookup(name(random)),
            14 => Self::ReadLink,
            15 | 16 => Self::Read(random.below(60_000), random.below(50_000) as u32),
            17 | 18 => {
                let (offset, length) = (random.below(60_000), random.below(20_000) as usize);
                Self::Write(offset, random.bytes(length), *random.pick(&[Stable::No, Stable::Data, Stable::File]))
            }
            19 => Self::Commit,
            20 => Self::Remove(name(random)),
            21 => Self::RemoveDirectory(name(random)),
            22 | 23 => Self::Rename(name(random), side.directory(random), name(random)),
            24 => Self::Link(side.directory(random), name(random)),
            _ => Self::List(random.below(2) == 0, 1000 + random.below(8000) as u32),
        }
    }

    /// Whether it wants a directory.
    fn is_of_names(&self) -> bool {
        !matches!(
            self,
            Self::Set(_)
                | Self::Attributes
                | Self::Access(_)
                | Self::ReadLink
                | Self::Read(..)
                | Self::Write(..)
                | Self::Commit
                | Self::Link(..)
        )
    }

    fn call(&self, file: &Handle) -> Call {
        match self {
            Self::Create(how, name, set) => Call::create(file, name, *how, set),
            Self::Exclusive(name, verifier) => Call::create_exclusive(file, name, *verifier),
            Self::Directory(name, set) => Call::make_directory(file, name, set),
            Self::Symlink(name, set) => Call::make_symlink(file, name, set, b"to/there"),
            Self::Node(name, kind, set) => Call::make_node(file, name, *kind, set),
            Self::Set(set) => Call::set_attributes(file, set, None),
            Self::Attributes => Call::get_attributes(file),
            Self::Access(asked) => Call::access(file, *asked),
            Self::Lookup(name) => Call::lookup(file, name),
            Self::ReadLink => Call::read_link(file),
            Self::Read(offset, count) => Call::read(file, *offset, *count),
            Self::Write(offset, data, stable) => Call::write(file, *offset, data, *stable),
            Self::Commit => Call::commit(file),
            Self::Remove(name) => Call::remove(file, name),
            Self::RemoveDirectory(name) => Call::remove_directory(file, name),
            Self::Rename(..) | Self::Link(..) | Self::List(..) => {
                unreachable!("these name two files, or are many calls")
            }
        }
    }

    fn decode(&self, reader: &mut Reader<'_>) -> Outcome<Vec<Item>> {
        Ok(match self {
            Self::Create(..) | Self::Exclusive(..) | Self::Directory(..) | Self::Symlink(..) | Self::Node(..) => {
                let handle = reader.optional_handle()?.map(Item::File);
                let rest = [Item::Attributes(reader.after()?), after_change(reader)?];
                handle.into_iter().chain(rest).collect()
            }
            Self::Attributes => vec![Item::Attributes(Some(reader.attributes()?))],
            Self::Access(_) => vec![Item::Attributes(reader.after()?), Item::Number(reader.word()?.into())],
            Self::Lookup(_) => {
                let found = vec![Item::File(reader.handle()?), Item::Attributes(reader.after()?)];
                reader.after()?;
                found
            }
            Self::ReadLink => vec![Item::Attributes(reader.after()?), Item::Bytes(reader.opaque()?.to_vec())],
            Self::Read(..) => {
                let attributes = Item::Attributes(reader.after()?);
                let (count, end) = (reader.word()?, reader.flag()?);
                let data = Item::Bytes(reader.opaque()?.to_vec());
                vec![attributes, Item::Number(count.into()), Item::Number(end.into()), data]
            }
            Self::Write(..) => {
                let changed = after_change(reader)?;
                let (count, promised) = (reader.word()?, reader.word()?);
                reader.long()?;
                // More may be promised than was asked for.
                let kept = u64::from(self.is_promised(promised));
                vec![changed, Item::Number(count.into()), Item::Number(kept)]
            }
            Self::Commit => {
                let changed = after_change(reader)?;
                reader.long()?;
                vec![changed]
            }
            _ => vec![after_change(reader)?],
        })
    }

    fn is_promised(&self, promised: u32) -> bool {
        matches!(self, Self::Write(_, _, asked) if promised >= *asked as u32)
    }
}

fn random_set(random: &mut Random, is_file: bool) -> Set {
    let size = (is_file && random.below(3) == 0).then_some(0);
    Set { mode: Some(*random.pick(&MODES)), size, ..Set::default() }
}

fn random_change(random: &mut Random) -> Set {
    match random.below(6) {
        0 | 1 => Set { mode: Some(*random.pick(&MODES)), ..Set::default() },
        2 => Set { size: Some(random.below(100_000)), ..Set::default() },
        3 => Set { uid: Some(*random.pick(&[0, 1, 2])), ..Set::default() },
        4 => Set { gid: Some(*random.pick(&[0, 10, 20])), ..Set::default() },
        _ => Set { modified: Some((5, 6)), accessed: Some((7, 8)), ..Set::default() },
    }
}

fn after_change(reader: &mut Reader<'_>) -> Outcome<Item> {
    Ok(Item::Attributes(reader.around()?.after))
}

fn list(side: &mut Side, user: &User, directory: &Handle, plus: bool, count: u32) -> Raw {
    let (mut names, mut cookie, mut verifier, mut ended) = (Vec::new(), 0, 0, false);
    while !ended {
        let call = if plus {
            Call::read_directory_plus(directory, cookie, verifier, count, count)
        } else {
            Call::read_directory(directory, cookie, verifier, count)
        };
        let raw = side.call(user, &call, |reader| {
            let (new_verifier, entries, end) = reader.listing(plus)?;
            (verifier, ended) = (new_verifier, end);
            cookie = entries.last().map_or(cookie, |entry| entry.cookie);
            names.extend(entries.into_iter().map(|entry| (entry.name, entry.handle)));
            Ok(Vec::new())
        });
        if let Raw::Failed(_) = raw {
            return raw;
        }
    }
    names.sort();
    Raw::Told(vec![Item::Names(names)])
}
