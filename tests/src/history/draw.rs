//! Draws what happens next.
//!
//! Invariant: a draw looks only at models, so it is the same whatever the pool does.

use cow_storage::catalog::{Compression, Properties, PropertyChange, SyncMode};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{
    AttributeChange, Caller, Context, Credentials, FILE_SIZE_MAX, FileKind, FileSystem, NewObject, SeekTarget, SetTime,
    Stability, XattrMode,
};

use crate::history::call::Place;
use crate::history::data::Content;
use crate::history::swarm::{CallKind, Swarm, VerbKind};
use crate::history::{Call, Data, Verb, World};
use crate::model::Model;
use crate::random::Random;

const MODES: [u32; 9] = [0o777, 0o755, 0o644, 0o1777, 0o2777, 0o6775, 0o770, 0o700, 0o2070];
const DATASETS: [&str; 6] = ["a", "b", "a/c", "a/d", "b/c", "a/c/e"];
const SNAPSHOTS: [&str; 5] = ["one", "two", "three", "four", "five"];
const USER_PROPERTIES: [&str; 3] = ["team:owner", "team:cost", "nocolon"];
const LARGE: u64 = 1 << 40;
/// Heads are kept about this small.
const ALLOCATED_MAX: u64 = 4 << 20;
const INODES_MAX: usize = 120;

pub(super) struct Draw {
    random: Random,
    /// The file that the last call was about: often it is the next one's too.
    favorite: InodeNumber,
    swarm: Swarm,
}

impl Draw {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let swarm = Swarm::draw(&mut random);
        Self { random, favorite: InodeNumber::ROOT, swarm }
    }

    /// From now on draws are those of a step, whatever was drawn before.
    pub fn begin(&mut self, seed: u64, step: u64) {
        let mixed = Random::new(Random::new(seed).number() ^ step).number();
        self.random = Random::new(mixed);
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    fn swarm_call(&mut self) -> CallKind {
        self.swarm.calls.pick(&mut self.random)
    }

    fn swarm_verb(&mut self) -> VerbKind {
        self.swarm.verbs.pick(&mut self.random)
    }

    /// What the history uses, in words.
    pub fn swarm(&self) -> String {
        self.swarm.to_string()
    }

    pub fn number(&mut self) -> u64 {
        self.random.number()
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        self.random.pick(from)
    }

    fn sometimes<T>(&mut self, one_in: u64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(one_in).then(|| value(self))
    }

    /// Who calls, and whether they wait.
    pub fn context(&mut self, now: Timestamp) -> Context {
        let user = |uid, gid, groups: &[u32]| Caller::User(Credentials { uid, gid, groups: groups.to_vec() });
        let caller = match self.below(5) {
            0..=2 => Caller::Superuser,
            3 => user(10, 100, &[101]),
            _ => user(20, 200, &[101]),
        };
        Context { now, caller, durable: self.one_in(2), call: None }
    }

    /// A call that makes some sense to the file system that `model` models.
    pub fn call(&mut self, model: &Model) -> Call {
        let inodes = model.inodes();
        let crowded = inodes.len() > INODES_MAX;
        let swollen = model.allocated() > ALLOCATED_MAX;
        let place = self.place(model);
        if inodes.len() < 8 && self.one_in(2) {
            return self.first_call(model, place);
        }
        match self.swarm_call() {
            CallKind::Create if !crowded => {
                let initial = if self.one_in(4) { self.change() } else { AttributeChange::default() };
                Call::Create(place, self.object(), *self.random.pick(&MODES), initial)
            }
            CallKind::Link => Call::Link(self.file(model), place),
            CallKind::Remove => Call::Remove(self.known(model, place)),
            CallKind::RemoveDirectory => Call::RemoveDirectory(self.known(model, place)),
            CallKind::Rename => {
                let to = self.place(model);
                Call::Rename(self.known(model, place), to)
            }
            CallKind::SetAttributes => {
                let inode = if self.one_in(2) { place.0 } else { self.file(model) };
                let guard = self.sometimes(6, |draw| match model.attributes(inode) {
                    Ok(found) if draw.one_in(2) => found.changed,
                    _ => Timestamp { seconds: 3, nanoseconds: 0 },
                });
                Call::SetAttributes(inode, self.change(), guard)
            }
            CallKind::Xattr => self.xattr_call(model),
            CallKind::Question => self.question(model, place),
            CallKind::Retain => Call::Retain(self.file(model)),
            CallKind::Release => Call::Release(*self.random.pick(&inodes)),
            CallKind::Sync => Call::Sync(self.file(model)),
            CallKind::Read => self.read(model),
            CallKind::Punch => self.punch(model),
            CallKind::Write if swollen && self.one_in(9) => {
                Call::SetAttributes(self.file(model), AttributeChange { size: Some(0), ..Default::default() }, None)
            }
            _ if swollen => Call::Remove(self.known(model, place)),
            _ => self.write(model),
        }
    }

    /// What an empty file system needs first: others' rights, files and directories.
    fn first_call(&mut self, model: &Model, place: Place) -> Call {
        if model.attributes(InodeNumber::ROOT).is_ok_and(|root| root.mode == 0o755) {
            let open = AttributeChange { mode: Some(0o1777), ..AttributeChange::default() };
            return Call::SetAttributes(InodeNumber::ROOT, open, None);
        }
        Call::Create(place, self.object(), 0o777, AttributeChange::default())
    }

    fn question(&mut self, model: &Model, place: Place) -> Call {
        match self.below(6) {
            0 => Call::Attributes(place.0),
            1 => Call::Lookup(place),
            2 => Call::ReadLink(self.file(model)),
            3 => Call::ReadDirectory(place.0, self.below(7) as usize + 1),
            4 => Call::Parent(place.0),
            _ => {
                let (inode, target) = (self.file(model), [SeekTarget::Data, SeekTarget::Hole]);
                Call::Seek(inode, self.offset(model, inode), *self.random.pick(&target))
            }
        }
    }

    fn read(&mut self, model: &Model) -> Call {
        let inode = self.file(model);
        let length = if self.one_in(6) { self.below(400 << 10) } else { self.below(9000) };
        Call::Read(inode, self.offset(model, inode), length as usize)
    }

    fn write(&mut self, model: &Model) -> Call {
        let inode = self.file(model);
        let stabilities = [Stability::Unstable, Stability::Unstable, Stability::Data, Stability::File];
        let stability = *self.random.pick(&stabilities);
        let length = match self.below(24) {
            0 => 256 << 10,
            1 => self.below(600 << 10),
            2..=5 => self.below(150 << 10),
            6..=8 => 16 << 10,
            9 => 0,
            _ => self.below(6000),
        };
        Call::Write(inode, self.offset(model, inode), self.data(length as usize), stability)
    }

    fn punch(&mut self, model: &Model) -> Call {
        let inode = self.file(model);
        let length = match self.below(6) {
            0 | 5 => u64::MAX - self.below(9000),
            1 => LARGE,
            2 => self.below(5000),
            _ => self.below(200 << 10),
        };
        Call::Punch(inode, self.offset(model, inode), length)
    }

    fn data(&mut self, length: usize) -> Data {
        let content = match self.below(9) {
            0 => Content::Fill(0),
            1 => Content::Fill(self.below(3) as u8 + b'a'),
            2 => Content::Random,
            3..=4 => Content::Gaps,
            _ => Content::Pieces,
        };
        Data { content, length, seed: self.number() }
    }

    /// Where in a file: mostly within, at its edges, at a block's, and sometimes far out.
    fn offset(&mut self, model: &Model, inode: InodeNumber) -> u64 {
        let size = model.attributes(inode).map_or(0, |found| found.size);
        match self.below(16) {
            0 => size,
            1 => size.saturating_sub(self.random.below(5000)),
            2 => size.saturating_add(self.random.below(100_000)).min(FILE_SIZE_MAX + 9),
            3 => LARGE + self.random.below(1 << 18),
            4 => FILE_SIZE_MAX - self.random.below(70_000),
            5..=8 => self.random.below(16) * (16 << 10),
            _ => self.random.below(size.clamp(1, 300 << 10)),
        }
    }

    fn xattr_call(&mut self, model: &Model) -> Call {
        let inode = self.file(model);
        let names: [&[u8]; 7] =
            [b"user.a", b"user.b", b"user.c", b"trusted.t", b"security.s", b"system.posix_acl_access", b""];
        let name = if self.one_in(12) { vec![b'x'; 256] } else { self.random.pick(&names).to_vec() };
        let length = *self.random.pick(&[0, 5, 400, 512, 513, 3000, 64 << 10, (64 << 10) + 1]);
        let mode = *self.random.pick(&[XattrMode::Any, XattrMode::Any, XattrMode::Create, XattrMode::Replace]);
        match self.below(8) {
            0 => Call::ListXattrs(inode),
            1..=2 => Call::Xattr(inode, name),
            3 => Call::RemoveXattr(inode, name),
            _ => Call::SetXattr(inode, name, self.data(length), mode),
        }
    }

    /// An inode, sometimes one that was never there.
    fn inode(&mut self, model: &Model) -> InodeNumber {
        let all = model.inodes();
        if self.one_in(40) { InodeNumber(model.next_inode() + self.below(3)) } else { *self.random.pick(&all) }
    }

    fn of_kind(&mut self, model: &Model, directory: bool) -> InodeNumber {
        for _ in 0..8 {
            let inode = self.inode(model);
            let is = model.attributes(inode).is_ok_and(|found| match directory {
                true => found.kind == FileKind::Directory,
                false => found.kind == FileKind::Regular,
            });
            if is {
                return inode;
            }
        }
        self.inode(model)
    }

    fn file(&mut self, model: &Model) -> InodeNumber {
        let stays = model.attributes(self.favorite).is_ok_and(|found| found.kind == FileKind::Regular);
        if !stays || self.one_in(2) {
            self.favorite = self.of_kind(model, false);
        }
        self.favorite
    }

    fn place(&mut self, model: &Model) -> Place {
        let directory = if self.one_in(3) { InodeNumber::ROOT } else { self.of_kind(model, true) };
        Place(directory, self.name())
    }

    /// Mostly a name that is there.
    fn known(&mut self, model: &Model, place: Place) -> Place {
        let who = Context { now: Timestamp::default(), caller: Caller::Superuser, durable: false, call: None };
        let entries = model.read_directory(&who, place.0, 0, usize::MAX).unwrap_or_default().entries;
        if entries.is_empty() || self.one_in(5) {
            return place;
        }
        Place(place.0, self.random.pick(&entries).name.clone())
    }

    fn name(&mut self) -> Vec<u8> {
        let weird: [&[u8]; 12] = [
            b".",
            b"..",
            b"",
            b"a/b",
            b"a\0b",
            b"\n",
            b"\xff\xfe",
            "\u{e9}\u{4e16}".as_bytes(),
            b" ",
            b"-rf",
            b"...",
            b"@one",
        ];
        match self.below(30) {
            0 => vec![b'n'; 255],
            1 => vec![b'n'; 256],
            2..=5 => self.random.pick(&weird).to_vec(),
            _ => format!("name-{}", self.below(12)).into_bytes(),
        }
    }

    fn object(&mut self) -> NewObject {
        match self.below(20) {
            0..=5 => NewObject::Directory,
            6 => NewObject::Symlink(vec![b't'; self.below(4100) as usize]),
            7 => NewObject::Fifo,
            8 => NewObject::Socket,
            9 => NewObject::BlockDevice(8, self.below(9) as u32),
            10 => NewObject::CharacterDevice(1, 3),
            11..=12 => NewObject::Regular { exclusive: Some(self.below(2)) },
            _ => NewObject::Regular { exclusive: None },
        }
    }

    fn change(&mut self) -> AttributeChange {
        let time = |draw: &mut Self| match draw.below(8) {
            0 => SetTime::To(Timestamp { seconds: 9, nanoseconds: 1_000_000_000 }),
            1..=3 => SetTime::To(Timestamp { seconds: draw.below(99) as i64 - 50, nanoseconds: 7 }),
            _ => SetTime::Now,
        };
        AttributeChange {
            mode: self.sometimes(3, |draw| *draw.random.pick(&MODES)),
            uid: self.sometimes(9, |draw| *draw.random.pick(&[0, 10, 20])),
            gid: self.sometimes(9, |draw| *draw.random.pick(&[0, 100, 101, 200])),
            size: self.sometimes(4, |draw| match draw.below(12) {
                0 => FILE_SIZE_MAX + draw.below(2),
                1 => LARGE,
                _ => draw.below(300 << 10),
            }),
            accessed: self.sometimes(7, time),
            modified: self.sometimes(7, time),
            created: self.sometimes(20, |draw| Timestamp { seconds: draw.below(9) as i64, nanoseconds: 1 }),
        }
    }

    /// A verb that makes some sense in this world.
    pub fn verb(&mut self, world: &World, now: Timestamp) -> Verb {
        let few = world.live_datasets().count() < 2;
        match if few { VerbKind::Create } else { self.swarm_verb() } {
            VerbKind::Create => Verb::Create { name: self.new_dataset(), properties: self.properties() },
            VerbKind::Rename => Verb::Rename { name: self.dataset(world), to: self.new_dataset() },
            VerbKind::Set => Verb::Set { name: self.dataset(world), change: self.property_change() },
            VerbKind::Snapshot => {
                let count = if self.one_in(3) { 2 + self.below(2) } else { 1 };
                Verb::Snapshot((0..count).map(|_| (self.dataset(world), self.new_snapshot())).collect())
            }
            VerbKind::RenameSnapshot => {
                Verb::RenameSnapshot { snapshot: self.snapshot(world), to: self.new_snapshot() }
            }
            VerbKind::Clone => {
                let change = if self.one_in(2) { self.property_change() } else { PropertyChange::default() };
                Verb::Clone { snapshot: self.snapshot(world), name: self.new_dataset(), change }
            }
            VerbKind::Rewind => self.rewind(world),
            VerbKind::Destroy => self.destroy(world),
            VerbKind::DestroySnapshot => Verb::Destroy { names: vec![self.snapshot(world)], recursive: false },
            VerbKind::Undelete => self.undelete(world),
            VerbKind::Purge => {
                Verb::Purge { before: Timestamp { seconds: now.seconds - self.below(300) as i64, nanoseconds: 0 } }
            }
            VerbKind::Hold => Verb::Hold { snapshot: self.snapshot(world), tag: self.tag() },
            VerbKind::Release => Verb::Release { snapshot: self.snapshot(world), tag: self.tag() },
        }
    }

    fn destroy(&mut self, world: &World) -> Verb {
        let mut names = vec![self.dataset(world)];
        if self.one_in(3) {
            names.splice(0..0, [self.snapshot(world), self.dataset(world), self.snapshot(world)]);
        }
        Verb::Destroy { names, recursive: self.one_in(2) }
    }

    fn rewind(&mut self, world: &World) -> Verb {
        let name = self.dataset(world);
        let back = world.find_dataset(&name).map(|id| {
            let own = world.live_snapshots().filter(|(_, snapshot)| snapshot.dataset == id).map(|(id, _)| id);
            own.chain(world.ancestors(world.datasets[&id].parent)).collect::<Vec<_>>()
        });
        let to = match back {
            Ok(ids) if !ids.is_empty() && !self.one_in(8) => world.full_name(*self.random.pick(&ids)),
            _ => self.snapshot(world),
        };
        Verb::Rewind { name, to }
    }

    fn undelete(&mut self, world: &World) -> Verb {
        let names: Vec<String> = world.awaiting().into_iter().map(|(_, holder)| world.name_of(holder)).collect();
        let name = if names.is_empty() { self.snapshot(world) } else { self.random.pick(&names).clone() };
        let is_snapshot = name.contains('@');
        let to = self.sometimes(2, |draw| if is_snapshot { draw.new_snapshot() } else { draw.new_dataset() });
        Verb::Undelete { name, to }
    }

    fn dataset(&mut self, world: &World) -> String {
        let names: Vec<&String> = world.live_datasets().map(|(_, dataset)| &dataset.name).collect();
        if names.is_empty() || self.one_in(20) { self.new_dataset() } else { (*self.random.pick(&names)).clone() }
    }

    fn snapshot(&mut self, world: &World) -> String {
        let ids: Vec<_> = world.live_snapshots().map(|(id, _)| id).collect();
        match self.below(20) {
            0 => "nosnapshot".to_owned(),
            1 => format!("{}@{}", self.dataset(world), self.new_snapshot()),
            _ if ids.is_empty() => "a@one".to_owned(),
            _ => world.full_name(*self.random.pick(&ids)),
        }
    }

    fn new_dataset(&mut self) -> String {
        let strange = ["", "a//b", "a/..", "a b", "a@b", "no/parent/x"];
        let from: &[&str] = if self.one_in(25) { &strange } else { &DATASETS };
        (*self.random.pick(from)).to_owned()
    }

    fn new_snapshot(&mut self) -> String {
        let strange = ["", "..", "a/b", "\u{e9}"];
        let from: &[&str] = if self.one_in(25) { &strange } else { &SNAPSHOTS };
        (*self.random.pick(from)).to_owned()
    }

    fn tag(&mut self) -> String {
        (*self.random.pick(&["backup", "tape", "b/d"])).to_owned()
    }

    fn properties(&mut self) -> Properties {
        let block_size = *self.random.pick(&[4 << 10, 4 << 10, 16 << 10, 16 << 10, 64 << 10, 5000]);
        Properties {
            block_size,
            extent_size: (block_size << self.below(6)).min(128 << 10),
            compression: *self.random.pick(&[Compression::Off, Compression::Zstd(1), Compression::Zstd(3)]),
            sync: if self.one_in(6) { SyncMode::Disabled } else { SyncMode::Standard },
            dedup: !self.one_in(4),
            quota: self.sometimes(8, |draw| draw.below(3 << 20)),
            readonly: false,
            user: Default::default(),
        }
    }

    fn property_change(&mut self) -> PropertyChange {
        let user = self.sometimes(3, |draw| {
            let key = (*draw.random.pick(&USER_PROPERTIES)).to_owned();
            (key, draw.sometimes(2, |draw| format!("value-{}", draw.below(9))))
        });
        PropertyChange {
            extent_size: self.sometimes(5, |draw| 16 << 10 << draw.below(4)),
            compression: self.sometimes(4, |draw| *draw.random.pick(&[Compression::Off, Compression::Zstd(2)])),
            sync: self.sometimes(4, |draw| *draw.random.pick(&[SyncMode::Standard, SyncMode::Disabled])),
            dedup: self.sometimes(4, |draw| draw.one_in(2)),
            quota: self.sometimes(4, |draw| draw.sometimes(2, |draw| draw.below(4 << 20))),
            readonly: self.sometimes(4, |draw| draw.one_in(4)),
            user: user.into_iter().collect(),
        }
    }
}
