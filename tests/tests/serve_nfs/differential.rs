//! The same random calls to one model directly and to another through the server come to the same.

use cow_storage::error::{Error, ErrorKind, Result};
use cow_storage::format::{InodeNumber, Timestamp};
use cow_storage::fs::{
    AttributeChange, Attributes, Caller, Context, Credentials, FileKind, FileSystem, NewObject, Stability, access,
    granted,
};
use cow_tests::model::Model;
use cow_tests::nfs_client::{Call, Client, Failure, Handle, Outcome, Reader, Set, Stable, User, WireAttributes};
use cow_tests::random::Random;
use cow_tests::served::serve_model;

use crate::status;

/// What both sides tell of a file: everything but times.
type Seen = (u64, u32, u32, u32, (u32, u32), (u64, u64), (u32, u32));

/// What a call came to: files seen and bytes read, or a status.
type Came = std::result::Result<(Vec<Seen>, Vec<u8>), u32>;

const NAMES: [&[u8]; 7] = [b"a", b"b", b"c", b"dd", b".", b"..", &[b'x'; 256]];

fn direct(attributes: &Attributes) -> Seen {
    let kind = match attributes.kind {
        FileKind::Regular => 1,
        FileKind::Directory => 2,
        FileKind::BlockDevice => 3,
        FileKind::CharacterDevice => 4,
        FileKind::Symlink => 5,
        FileKind::Socket => 6,
        FileKind::Fifo => 7,
    };
    let owners = (attributes.uid, attributes.gid);
    let sizes = (attributes.size, attributes.allocated);
    (attributes.inode.0, kind, attributes.mode, attributes.links, owners, sizes, attributes.device)
}

fn through(wire: &WireAttributes) -> Seen {
    (wire.inode, wire.kind, wire.mode, wire.links, (wire.uid, wire.gid), (wire.size, wire.used), wire.device)
}

fn status_of(error: &Error) -> u32 {
    match error.kind() {
        ErrorKind::NotFound => status::NO_ENTRY,
        ErrorKind::Exists => status::EXISTS,
        ErrorKind::NotEmpty => 66,
        ErrorKind::NotDirectory => status::NOT_DIRECTORY,
        ErrorKind::IsDirectory => status::IS_DIRECTORY,
        ErrorKind::Invalid => status::INVALID,
        ErrorKind::NameTooLong => status::NAME_TOO_LONG,
        ErrorKind::TooLarge => 27,
        ErrorKind::Access => status::ACCESS,
        ErrorKind::Permission => status::PERMISSION,
        ErrorKind::Stale => status::STALE,
        kind => panic!("the model does not say {kind:?}"),
    }
}

fn came<T>(result: Result<T>, seen: impl FnOnce(T) -> Vec<Seen>) -> Came {
    result.map(|value| (seen(value), Vec::new())).map_err(|error| status_of(&error))
}

fn wired<T>(
    results: Outcome<Vec<u8>>,
    decode: impl FnOnce(&mut Reader<'_>) -> Outcome<T>,
) -> std::result::Result<T, u32> {
    let results = results.expect("the call is run");
    let mut reader = Reader(&results);
    match reader.status() {
        Ok(()) => {
            let decoded = decode(&mut reader).expect("results can be decoded");
            reader.finish().expect("nothing follows");
            Ok(decoded)
        }
        Err(Failure::Status(status)) => Err(status),
        Err(failure) => panic!("{failure}"),
    }
}

/// The two sides and all files that were ever seen.
struct Pair {
    model: Model,
    client: Client,
    files: Vec<(InodeNumber, Handle)>,
    random: Random,
    context: Context,
}

#[test]
fn calls_through_the_server_come_to_what_they_come_to_directly() {
    let (server, served, _) = serve_model();
    let mut client = Client::connect(server.local_addr().unwrap()).unwrap();
    let root = client.mount("/model").unwrap();
    let context = Context { now: Timestamp::default(), caller: Caller::Superuser, durable: true, call: None };
    let files = vec![(InodeNumber::ROOT, root)];
    let mut pair = Pair { model: Model::default(), client, files, random: Random::new(1), context };
    let open = AttributeChange { mode: Some(0o1777), ..AttributeChange::default() };
    for model in [&pair.model, &*served] {
        model.set_attributes(&pair.context, InodeNumber::ROOT, &open, None).unwrap();
    }
    let mut counts = [0; 2];
    for step in 0..12_000 {
        pair.change_user();
        let (directly, by_server) = pair.step();
        assert_eq!(directly, by_server, "at step {step}");
        counts[usize::from(directly.is_ok())] += 1;
    }
    assert!(counts[0] > 1000 && counts[1] > 1000, "calls failed and succeeded: {counts:?}");
    assert_eq!(pair.model.inodes(), served.inodes());
}

impl Pair {
    fn change_user(&mut self) {
        let (uid, gid, groups) = self.random.pick(&[(0, 0, vec![]), (1, 10, vec![20]), (2, 20, vec![])]).clone();
        let user = Credentials { uid, gid, groups: groups.clone() };
        self.context.caller = if uid == 0 { Caller::Superuser } else { Caller::User(user) };
        self.client.user = User { uid, gid, groups };
    }

    fn file(&mut self) -> (InodeNumber, Handle) {
        // Newer files oftener, since old ones are mostly gone.
        let back = self.random.below(40).min(self.files.len() as u64 - 1) as usize;
        let place = if self.random.below(3) == 0 { 0 } else { self.files.len() - 1 - back };
        self.files[place].clone()
    }

    fn name(&mut self) -> Vec<u8> {
        self.random.pick(&NAMES).to_vec()
    }

    fn step(&mut self) -> (Came, Came) {
        match self.random.below(16) {
            0..=3 => self.make(),
            4 => self.set(),
            5 | 6 => self.write(),
            7 | 8 => self.read(),
            9 => self.lookup(),
            10 => self.remove(),
            11 | 12 => self.rename(),
            13 => self.link(),
            14 => self.access(),
            _ => self.list(),
        }
    }

    fn make(&mut self) -> (Came, Came) {
        let ((inode, handle), name) = (self.file(), self.name());
        let mode = *self.random.pick(&[0o755, 0o2775, 0o1777, 0o644, 0o600, 0, 0o4755]);
        let set = Set { mode: Some(mode), ..Set::default() };
        let (object, call) = match self.random.below(5) {
            0 | 1 => (NewObject::Directory, Call::make_directory(&handle, &name, &set)),
            2 => (NewObject::Symlink(b"to".to_vec()), Call::make_symlink(&handle, &name, &set, b"to")),
            3 => (NewObject::Fifo, Call::make_node(&handle, &name, 7, &set)),
            _ => (NewObject::Regular { exclusive: None }, Call::create(&handle, &name, 1, &set)),
        };
        let mode = match object {
            NewObject::Symlink(_) => 0o777,
            NewObject::Directory => mode & 0o1777,
            _ => mode,
        };
        let made = self.model.create(&self.context, inode, &name, &object, mode, &AttributeChange::default());
        let results = wired(self.client.call(&call), |reader| {
            Ok((reader.optional_handle()?.unwrap(), reader.after()?.unwrap(), reader.around()?.after.unwrap()))
        });
        if let (Ok(made), Ok((handle, ..))) = (&made, &results) {
            self.files.push((made.object.inode, handle.clone()));
        }
        let directly = came(made, |made| vec![direct(&made.object), direct(&made.directory.after)]);
        (directly, results.map(|(_, object, directory)| (vec![through(&object), through(&directory)], Vec::new())))
    }

    fn set(&mut self) -> (Came, Came) {
        let (inode, handle) = self.file();
        let set = match self.random.below(5) {
            0 => Set { mode: Some(*self.random.pick(&[0o7777, 0o600, 0o2755, 0])), ..Set::default() },
            1 => Set { size: Some(self.random.below(100_000)), ..Set::default() },
            2 => Set { uid: Some(*self.random.pick(&[0, 1, 2])), ..Set::default() },
            3 => Set { gid: Some(*self.random.pick(&[0, 10, 20])), ..Set::default() },
            _ => Set { modified: Some((5, 6)), ..Set::default() },
        };
        let modified = set.modified.map(|(seconds, nanoseconds)| {
            cow_storage::fs::SetTime::To(Timestamp { seconds: seconds.into(), nanoseconds })
        });
        let Set { mode, uid, gid, size, .. } = set;
        let change = AttributeChange { mode, uid, gid, size, modified, ..AttributeChange::default() };
        let changed = self.model.set_attributes(&self.context, inode, &change, None);
        let results = wired(self.client.call(&Call::set_attributes(&handle, &set, None)), |reader| reader.around());
        let directly = came(changed, |changed| vec![direct(&changed.after)]);
        (directly, results.map(|around| (vec![through(&around.after.unwrap())], Vec::new())))
    }

    fn write(&mut self) -> (Came, Came) {
        let (inode, handle) = self.file();
        let length = self.random.below(40_000) as usize;
        let (offset, data) = (self.random.below(60_000), self.random.bytes(length));
        let changed = self.model.write(&self.context, inode, offset, &data, Stability::Unstable);
        let results = wired(self.client.call(&Call::write(&handle, offset, &data, Stable::No)), |reader| {
            let around = reader.around()?;
            assert_eq!((reader.word()? as usize, reader.word()?, reader.long()?), (data.len(), 0, 1));
            Ok(around)
        });
        let before = changed.as_ref().ok().map(|changed| changed.before.size);
        assert_eq!(before, results.as_ref().ok().map(|around| around.before.unwrap().0));
        let directly = came(changed, |changed| vec![direct(&changed.after)]);
        (directly, results.map(|around| (vec![through(&around.after.unwrap())], Vec::new())))
    }

    fn read(&mut self) -> (Came, Came) {
        let (inode, handle) = self.file();
        let (offset, count) = (self.random.below(100_000), self.random.below(50_000) as usize);
        let results = wired(self.client.call(&Call::read(&handle, offset, count as u32)), |reader| {
            let after = reader.after()?.unwrap();
            let (count, end) = (reader.word()?, reader.flag()?);
            let data = reader.opaque()?.to_vec();
            assert_eq!(data.len(), count as usize);
            Ok((vec![through(&after)], [data, vec![end.into()]].concat()))
        });
        (self.read_directly(inode, offset, count), results)
    }

    fn read_directly(&self, inode: InodeNumber, offset: u64, count: usize) -> Came {
        let attributes = self.model.attributes(inode).map_err(|error| status_of(&error))?;
        let mut buffer = vec![0; count];
        let outcome = self.model.read(&self.context, inode, offset, &mut buffer).map_err(|error| status_of(&error))?;
        let owns = matches!(&self.context.caller, Caller::User(user) if user.uid == attributes.uid);
        if !owns && granted(&attributes, &self.context.caller) & (access::READ | access::EXECUTE) == 0 {
            return Err(status::ACCESS);
        }
        buffer.truncate(outcome.length);
        buffer.push(outcome.end_of_file.into());
        Ok((vec![direct(&attributes)], buffer))
    }

    fn lookup(&mut self) -> (Came, Came) {
        let ((inode, handle), name) = (self.file(), self.name());
        let found = self.model.lookup(&self.context, inode, &name);
        let results = wired(self.client.call(&Call::lookup(&handle, &name)), |reader| {
            let (_, found, directory) = (reader.handle()?, reader.after()?.unwrap(), reader.after()?);
            assert_eq!(directory.unwrap().inode, inode.0);
            Ok((vec![through(&found)], Vec::new()))
        });
        (came(found, |found| vec![direct(&found)]), results)
    }

    fn remove(&mut self) -> (Came, Came) {
        let ((inode, handle), name) = (self.file(), self.name());
        let (changed, call) = if self.random.below(2) == 0 {
            (self.model.remove(&self.context, inode, &name), Call::remove(&handle, &name))
        } else {
            (self.model.remove_directory(&self.context, inode, &name), Call::remove_directory(&handle, &name))
        };
        let results = wired(self.client.call(&call), |reader| reader.around());
        let directly = came(changed, |changed| vec![direct(&changed.after)]);
        (directly, results.map(|around| (vec![through(&around.after.unwrap())], Vec::new())))
    }

    fn rename(&mut self) -> (Came, Came) {
        let ((from, from_handle), (to, to_handle)) = (self.file(), self.file());
        let (name, new_name) = (self.name(), self.name());
        let renamed = self.model.rename(&self.context, from, &name, to, &new_name);
        let call = Call::rename(&from_handle, &name, &to_handle, &new_name);
        let results = wired(self.client.call(&call), |reader| {
            let (from, to) = (reader.around()?.after.unwrap(), reader.around()?.after.unwrap());
            Ok((vec![through(&from), through(&to)], Vec::new()))
        });
        (came(renamed, |renamed| vec![direct(&renamed.from.after), direct(&renamed.to.after)]), results)
    }

    fn link(&mut self) -> (Came, Came) {
        let ((inode, handle), (at, at_handle), name) = (self.file(), self.file(), self.name());
        let linked = self.model.link(&self.context, inode, at, &name);
        let results = wired(self.client.call(&Call::link(&handle, &at_handle, &name)), |reader| {
            let (object, directory) = (reader.after()?.unwrap(), reader.around()?.after.unwrap());
            Ok((vec![through(&object), through(&directory)], Vec::new()))
        });
        (came(linked, |linked| vec![direct(&linked.object), direct(&linked.directory.after)]), results)
    }

    fn access(&mut self) -> (Came, Came) {
        let (inode, handle) = self.file();
        let attributes = self.model.attributes(inode).map_err(|error| status_of(&error));
        let directly = attributes.map(|attributes| {
            let bits = granted(&attributes, &self.context.caller);
            let directory = attributes.kind == FileKind::Directory;
            let read = if bits & access::READ != 0 { 1 } else { 0 };
            let write = [0, if directory { 0x1c } else { 0x0c }][usize::from(bits & access::WRITE != 0)];
            let execute = [0, if directory { 2 } else { 0x20 }][usize::from(bits & access::EXECUTE != 0)];
            (vec![direct(&attributes)], vec![read | write | execute])
        });
        let results = wired(self.client.call(&Call::access(&handle, 0x3f)), |reader| {
            Ok((vec![through(&reader.after()?.unwrap())], vec![reader.word()? as u8]))
        });
        (directly, results)
    }

    fn list(&mut self) -> (Came, Came) {
        let (inode, handle) = self.file();
        let page = self.model.read_directory(&self.context, inode, 0, 100);
        let directly = page.map_err(|error| status_of(&error)).map(|page| {
            let line = |name: &[u8], inode: u64| [name, &inode.to_be_bytes()].concat();
            let parent = self.model.parent(inode).unwrap();
            let dots = [line(b".", inode.0), line(b"..", parent.0)];
            let entries = page.entries.iter().map(|entry| line(&entry.name, entry.inode.0));
            (Vec::new(), dots.into_iter().chain(entries).flatten().collect())
        });
        let plus = self.random.below(2) == 0;
        let call = if plus {
            Call::read_directory_plus(&handle, 0, 0, 60_000, 60_000)
        } else {
            Call::read_directory(&handle, 0, 0, 60_000)
        };
        let results = wired(self.client.call(&call), |reader| {
            let (_, entries, end) = reader.listing(plus)?;
            assert!(end);
            let line = |entry: &cow_tests::nfs_client::Entry| [&entry.name[..], &entry.inode.to_be_bytes()].concat();
            Ok((Vec::new(), entries.iter().flat_map(line).collect()))
        });
        (directly, results)
    }
}
