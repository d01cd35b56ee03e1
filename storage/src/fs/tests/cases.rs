//! Semantic cases, as POSIX, pjdfstest and RFC 1813 put them.

use crate::error::{ErrorKind, Result};
use crate::format::{InodeNumber, Timestamp};
use crate::fs::tests::store::{Fs, at, root, user};
use crate::fs::*;

const ROOT: InodeNumber = InodeNumber::ROOT;
const FILE: NewObject = NewObject::Regular { exclusive: None };
const ME: (u32, &[u32]) = (10, &[100, 101]);
const OTHER: (u32, &[u32]) = (20, &[200]);

/// An inode and a name that it has, or might have.
type Name<'a> = (InodeNumber, &'a [u8]);

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn make(
    fs: &mut Fs,
    context: &Context,
    directory: InodeNumber,
    name: &str,
    object: &NewObject,
    mode: u32,
) -> InodeNumber {
    fs.create(context, directory, name.as_bytes(), object, mode, &AttributeChange::default()).unwrap().object.inode
}

fn me(seconds: i64) -> Context {
    user(seconds, ME.0, ME.1)
}

fn other(seconds: i64) -> Context {
    user(seconds, OTHER.0, OTHER.1)
}

#[test]
fn names_that_no_directory_can_have() {
    use ErrorKind::{Exists, Invalid, IsDirectory, NameTooLong, NotEmpty};
    let mut fs = Fs::new(u64::MAX);
    let file = make(&mut fs, &root(2), ROOT, "file", &FILE, 0o644);
    let long = [b'n'; 256];
    // name; refusals by create and link, remove, remove directory, rename
    let table: [(&[u8], [ErrorKind; 4]); 6] = [
        (b"", [Invalid; 4]),
        (b"a/b", [Invalid; 4]),
        (b"a\0b", [Invalid; 4]),
        (&long, [NameTooLong; 4]),
        (b".", [Exists, IsDirectory, Invalid, Invalid]),
        (b"..", [Exists, IsDirectory, NotEmpty, Invalid]),
    ];
    for (name, [create, remove, remove_directory, rename]) in table {
        let before = fs.store.clone();
        let nothing = AttributeChange::default();
        assert_eq!(kind(fs.create(&root(3), ROOT, name, &FILE, 0, &nothing)), Some(create), "{name:?}");
        assert_eq!(kind(fs.link(&root(3), file, ROOT, name)), Some(create), "{name:?}");
        assert_eq!(kind(fs.remove(&root(3), ROOT, name)), Some(remove), "{name:?}");
        assert_eq!(kind(fs.remove_directory(&root(3), ROOT, name)), Some(remove_directory), "{name:?}");
        assert_eq!(kind(fs.rename(&root(3), (ROOT, name), (ROOT, b"x"))), Some(rename), "{name:?}");
        assert_eq!(kind(fs.rename(&root(3), (ROOT, b"file"), (ROOT, name))), Some(rename), "{name:?}");
        assert_eq!(fs.store, before);
    }
    let longest = "n".repeat(255);
    make(&mut fs, &root(4), ROOT, &longest, &FILE, 0o644);
    assert_eq!(fs.reader().lookup(&root(5), ROOT, longest.as_bytes()).unwrap().kind, FileKind::Regular);
}

#[test]
fn an_exclusive_create_is_answered_again() {
    let mut fs = Fs::new(u64::MAX);
    let nothing = AttributeChange::default();
    let exclusive = |verifier| NewObject::Regular { exclusive: Some(verifier) };
    let first = fs.create(&me(2), ROOT, b"f", &exclusive(9), 0o644, &nothing).unwrap();
    let again = fs.create(&me(3), ROOT, b"f", &exclusive(9), 0o644, &nothing).unwrap();
    assert_eq!((&again.object, again.directory.before), (&first.object, again.directory.after));
    assert_eq!(kind(fs.create(&me(3), ROOT, b"f", &exclusive(8), 0o644, &nothing)), Some(ErrorKind::Exists));
    let mode = AttributeChange { mode: Some(0o600), ..nothing.clone() };
    fs.set(&me(4), first.object.inode, &mode, None).unwrap();
    assert_eq!(kind(fs.create(&me(5), ROOT, b"f", &exclusive(9), 0o644, &nothing)), Some(ErrorKind::Exists));
}

#[test]
fn only_the_superuser_makes_device_nodes() {
    let mut fs = Fs::new(u64::MAX);
    let nothing = AttributeChange::default();
    for (number, object) in [NewObject::BlockDevice(8, 1), NewObject::CharacterDevice(1, 3)].into_iter().enumerate() {
        let name = [b'd', b'0' + number as u8];
        let refused = kind(fs.create(&me(2), ROOT, &name, &object, 0o666, &nothing));
        assert_eq!(refused, Some(ErrorKind::Permission));
        assert_eq!(kind(fs.create(&root(2), ROOT, &name, &object, 0o666, &nothing)), None);
    }
    make(&mut fs, &me(3), ROOT, "p", &NewObject::Fifo, 0o666);
}

#[test]
fn who_may_set_what() {
    use ErrorKind::{Access, Invalid, IsDirectory, Permission, TooLarge};
    let nothing = AttributeChange::default();
    let mode = |mode| AttributeChange { mode: Some(mode), ..nothing.clone() };
    let uid = |uid| AttributeChange { uid: Some(uid), ..nothing.clone() };
    let gid = |gid| AttributeChange { gid: Some(gid), ..nothing.clone() };
    let size = |size| AttributeChange { size: Some(size), ..nothing.clone() };
    let modified = |time| AttributeChange { modified: Some(time), ..nothing.clone() };
    // the mode before; who; what; the refusal, or the mode after
    let table: [(u32, Context, AttributeChange, Result<u32, ErrorKind>); 31] = [
        (0o644, me(9), mode(0o600), Ok(0o600)),
        (0o644, me(9), mode(0o106755), Ok(0o6755)),
        (0o644, other(9), mode(0o600), Err(Permission)),
        (0o666, other(9), mode(0o600), Err(Permission)),
        (0o644, root(9), mode(0o4755), Ok(0o4755)),
        (0o644, me(9), uid(10), Ok(0o644)),
        (0o644, me(9), uid(20), Err(Permission)),
        (0o644, other(9), uid(20), Err(Permission)),
        (0o644, other(9), uid(10), Err(Permission)),
        (0o6755, root(9), uid(20), Ok(0o755)),
        (0o6745, root(9), uid(20), Ok(0o2745)),
        (0o6755, me(9), gid(101), Ok(0o755)),
        (0o644, me(9), gid(100), Ok(0o644)),
        (0o644, me(9), gid(200), Err(Permission)),
        (0o644, other(9), gid(200), Err(Permission)),
        (0o644, other(9), gid(100), Err(Permission)),
        (0o644, root(9), AttributeChange { gid: Some(200), mode: Some(0o2755), ..nothing.clone() }, Ok(0o2755)),
        (0o644, me(9), AttributeChange { gid: Some(101), mode: Some(0o6755), ..nothing.clone() }, Ok(0o755)),
        (0o444, me(9), size(5), Ok(0o444)),
        (0o644, other(9), size(5), Err(Access)),
        (0o666, other(9), size(5), Ok(0o666)),
        (0o6777, other(9), size(5), Ok(0o777)),
        (0o6777, root(9), size(5), Ok(0o6777)),
        (0o644, me(9), size(1 << 63), Err(TooLarge)),
        (0o644, me(9), size((1 << 63) - 1), Ok(0o644)),
        (0o644, me(9), modified(SetTime::Now), Ok(0o644)),
        (0o644, me(9), modified(SetTime::To(at(1))), Ok(0o644)),
        (0o644, other(9), modified(SetTime::Now), Err(Access)),
        (0o666, other(9), modified(SetTime::Now), Ok(0o666)),
        (0o666, other(9), modified(SetTime::To(at(1))), Err(Permission)),
        (0o644, me(9), modified(SetTime::To(Timestamp { seconds: 1, nanoseconds: 1_000_000_000 })), Err(Invalid)),
    ];
    for (before, context, change, expected) in table {
        let mut fs = Fs::new(u64::MAX);
        let file = make(&mut fs, &me(2), ROOT, "f", &FILE, before);
        let got = fs.set(&context, file, &change, None);
        let got = got.map(|changed| (changed.after.mode, changed.after.changed, changed.after.change));
        let expected = expected.map(|mode| (mode, at(9), 2));
        assert_eq!(got.map_err(|error| error.kind()), expected, "{before:o} {change:?}");
    }
    let mut fs = Fs::new(u64::MAX);
    assert_eq!(kind(fs.set(&root(2), ROOT, &size(0), None)), Some(IsDirectory));
    let fifo = make(&mut fs, &me(2), ROOT, "p", &NewObject::Fifo, 0o644);
    assert_eq!(kind(fs.set(&me(3), fifo, &size(0), None)), Some(Invalid));
    assert_eq!(kind(fs.set(&me(3), fifo, &mode(0), Some(at(1)))), Some(ErrorKind::Conflict));
    assert_eq!(kind(fs.set(&me(3), fifo, &mode(0), Some(at(2)))), None);
    assert_eq!(kind(fs.set(&me(3), InodeNumber(99), &mode(0), None)), Some(ErrorKind::Stale));
}

#[test]
fn a_sticky_directory_keeps_names_for_their_owners() {
    // who owns the directory, who the file; whether `me` may take the name
    let table = [(10, 20, true), (20, 10, true), (20, 20, false)];
    for (directory_owner, file_owner, allowed) in table {
        for sticky in [false, true] {
            let mut fs = Fs::new(u64::MAX);
            let owned = |uid| AttributeChange { uid: Some(uid), ..AttributeChange::default() };
            let made = fs.create(&root(2), ROOT, b"d", &NewObject::Directory, 0o777, &owned(directory_owner));
            let directory = made.unwrap().object.inode;
            let bits = AttributeChange { mode: Some(if sticky { 0o1777 } else { 0o777 }), ..owned(directory_owner) };
            fs.set(&root(2), directory, &bits, None).unwrap();
            fs.create(&root(3), directory, b"f", &FILE, 0o644, &owned(file_owner)).unwrap();
            make(&mut fs, &me(3), directory, "mine", &FILE, 0o644);
            let expected = (sticky && !allowed).then_some(ErrorKind::Permission);
            assert_eq!(kind(fs.rename(&me(4), (directory, b"mine"), (directory, b"f"))), expected);
            assert_eq!(kind(fs.rename(&me(4), (directory, b"f"), (directory, b"g"))), expected);
            let name: &[u8] = if expected.is_some() { b"f" } else { b"g" };
            let expected = (sticky && !allowed && expected.is_some()).then_some(ErrorKind::Permission);
            // Where the rename went through, `g` is what was mine.
            assert_eq!(kind(fs.remove(&me(5), directory, name)), expected);
        }
    }
}

#[test]
fn a_setgid_directory_hands_its_group_down() {
    let mut fs = Fs::new(u64::MAX);
    let group = AttributeChange { gid: Some(101), ..AttributeChange::default() };
    let shared = fs.create(&me(2), ROOT, b"d", &NewObject::Directory, 0o2777, &group).unwrap().object.inode;
    let below = fs.create(&other(3), shared, b"d", &NewObject::Directory, 0o755, &AttributeChange::default());
    let below = below.unwrap().object;
    assert_eq!((below.mode, below.uid, below.gid), (0o2755, 20, 101));
    let file = fs.create(&other(3), shared, b"f", &FILE, 0o2755, &AttributeChange::default()).unwrap().object;
    assert_eq!((file.mode, file.gid), (0o755, 101), "no member of 101 may make a file that runs as 101");
    let plain = fs.create(&other(3), ROOT, b"f", &FILE, 0o2755, &AttributeChange::default()).unwrap().object;
    assert_eq!((plain.mode, plain.gid), (0o2755, 200));
    let given = AttributeChange { uid: Some(10), ..AttributeChange::default() };
    assert_eq!(kind(fs.create(&other(3), ROOT, b"g", &FILE, 0o644, &given)), Some(ErrorKind::Permission));
}

#[test]
fn writing_takes_setuid_from_a_file() {
    for (mode, context, after) in
        [(0o6777, other(5), 0o777), (0o6767, other(5), 0o2767), (0o6755, me(5), 0o755), (0o6777, root(5), 0o6777)]
    {
        let mut fs = Fs::new(u64::MAX);
        let file = make(&mut fs, &me(2), ROOT, "f", &FILE, mode);
        assert_eq!(fs.write(&context, file, 0, b"").unwrap().after.mode, mode);
        let mut hole = Fs::new(u64::MAX);
        make(&mut hole, &me(2), ROOT, "f", &FILE, mode);
        hole.write(&root(3), file, 0, b"bytes").unwrap();
        assert_eq!(hole.punch(&context, file, 0, 2).unwrap().after.mode, after);
        let written = fs.write(&context, file, 5, b"bytes").unwrap();
        assert_eq!((written.after.mode, written.after.size, written.after.change), (after, 10, 2));
        assert_eq!((written.after.modified, written.after.changed, written.after.accessed), (at(5), at(5), at(2)));
    }
}

#[test]
fn renames_that_are_refused_or_nothing() {
    use ErrorKind::{Invalid, IsDirectory, NotDirectory, NotEmpty, NotFound};
    let mut fs = Fs::new(u64::MAX);
    let a = make(&mut fs, &root(2), ROOT, "a", &NewObject::Directory, 0o755);
    let b = make(&mut fs, &root(2), a, "b", &NewObject::Directory, 0o755);
    let c = make(&mut fs, &root(2), b, "c", &NewObject::Directory, 0o755);
    let file = make(&mut fs, &root(2), ROOT, "f", &FILE, 0o644);
    fs.link(&root(2), file, a, b"g").unwrap();
    make(&mut fs, &root(2), ROOT, "empty", &NewObject::Directory, 0o755);
    let table: [(Name<'_>, Name<'_>, Option<ErrorKind>); 12] = [
        ((ROOT, b"none"), (ROOT, b"x"), Some(NotFound)),
        ((ROOT, b"a"), (a, b"x"), Some(Invalid)),
        ((ROOT, b"a"), (c, b"x"), Some(Invalid)),
        ((ROOT, b"a"), (a, b"b"), Some(Invalid)),
        ((ROOT, b"a"), (ROOT, b"f"), Some(NotDirectory)),
        ((ROOT, b"f"), (ROOT, b"a"), Some(IsDirectory)),
        ((ROOT, b"empty"), (ROOT, b"a"), Some(NotEmpty)),
        ((b, b"c"), (ROOT, b"a"), Some(NotEmpty)),
        ((file, b"x"), (ROOT, b"x"), Some(NotDirectory)),
        ((ROOT, b"f"), (ROOT, b"f"), None),
        ((ROOT, b"f"), (a, b"g"), None),
        ((ROOT, b"a"), (ROOT, b"a"), None),
    ];
    let before = fs.store.clone();
    for (from, to, expected) in table {
        assert_eq!(kind(fs.rename(&root(3), from, to)), expected, "{from:?} {to:?}");
        assert_eq!(fs.store, before);
    }
    // A directory moves over an empty one: links and parents follow.
    fs.rename(&root(4), (a, b"b"), (ROOT, b"empty")).unwrap();
    let reader = fs.reader();
    assert_eq!(reader.parent(b).unwrap(), ROOT);
    assert_eq!(reader.lookup(&root(5), b, b"..").unwrap().inode, ROOT);
    assert_eq!((reader.attributes(ROOT).unwrap().links, reader.attributes(a).unwrap().links), (4, 2));
    assert_eq!(reader.attributes(b).unwrap().changed, at(4));
}

#[test]
fn links_end_at_the_limit() {
    let mut fs = Fs::new(u64::MAX);
    let file = make(&mut fs, &root(2), ROOT, "f", &FILE, 0o644);
    let directory = make(&mut fs, &root(2), ROOT, "d", &NewObject::Directory, 0o755);
    make(&mut fs, &root(2), ROOT, "e", &NewObject::Directory, 0o755);
    for number in [file, directory] {
        let mut inode = Inode::load(&fs.store, number).unwrap();
        inode.links = LINK_MAX;
        inode.store(&mut fs.store).unwrap();
    }
    let many = Some(ErrorKind::TooManyLinks);
    assert_eq!(kind(fs.link(&root(3), file, ROOT, b"g")), many);
    let nothing = AttributeChange::default();
    assert_eq!(kind(fs.create(&root(3), directory, b"d", &NewObject::Directory, 0o755, &nothing)), many);
    assert_eq!(kind(fs.rename(&root(3), (ROOT, b"e"), (directory, b"e"))), many);
    assert_eq!(kind(fs.create(&root(3), directory, b"f", &FILE, 0o755, &nothing)), None);
    assert_eq!(kind(fs.link(&root(3), directory, ROOT, b"g")), Some(ErrorKind::Permission));
}

#[test]
fn an_open_or_large_file_outlives_its_name() {
    let mut fs = Fs::new(u64::MAX);
    let empty = fs.store.clone();
    for open in [true, false] {
        let file = make(&mut fs, &root(2), ROOT, "f", &FILE, 0o644);
        fs.set_xattr(&root(2), file, b"user.x", &[1; 9000], XattrMode::Any).unwrap();
        for piece in 0..10 {
            fs.write(&root(3), file, piece << 20, &[7; 5000]).unwrap();
        }
        if open {
            fs.open.insert(file);
        } else {
            let allocated = |fs: &Fs| fs.reader().attributes(file).unwrap().allocated;
            fs.write(&root(3), file, 0, &vec![7; (1 << 20) - 9 * 8192]).unwrap();
            assert_eq!(allocated(&fs), layout::ERASE_AT_ONCE_MAX);
            fs.write(&root(3), file, (10 << 20) - 1, &[7]).unwrap();
            assert_eq!(allocated(&fs), layout::ERASE_AT_ONCE_MAX + 4096);
        }
        fs.remove(&root(4), ROOT, b"f").unwrap();
        assert_eq!(orphans(&fs.store, InodeNumber(0), 9).unwrap(), [file]);
        assert_eq!(fs.reader().attributes(file).unwrap().links, 0);
        assert_eq!(kind(fs.link(&root(4), file, ROOT, b"again")), Some(ErrorKind::NotFound));
        fs.write(&root(5), file, 1, b"still").unwrap();
        assert_eq!((fs.inodes, fs.reap(1 << 20)), if open { (2, 0) } else { (2, 10) });
        fs.open.clear();
        fs.reap(1);
        assert_eq!(kind(fs.reader().attributes(file)), Some(ErrorKind::Stale));
        assert_eq!(fs.inodes, 1);
    }
    fs.store.items.remove(&layout::inode_key(ROOT));
    fs.store.items.extend(empty.items);
    assert_eq!((fs.store.items.len(), fs.store.blocks.len()), (1, 0), "nothing is left of them");
}

#[test]
fn a_removed_directory_takes_no_names() {
    let mut fs = Fs::new(u64::MAX);
    let directory = make(&mut fs, &root(2), ROOT, "d", &NewObject::Directory, 0o755);
    let file = make(&mut fs, &root(2), ROOT, "f", &FILE, 0o755);
    fs.open.insert(directory);
    fs.remove_directory(&root(3), ROOT, b"d").unwrap();
    let gone = Some(ErrorKind::NotFound);
    assert_eq!(kind(fs.create(&root(4), directory, b"x", &FILE, 0, &AttributeChange::default())), gone);
    assert_eq!(kind(fs.link(&root(4), file, directory, b"x")), gone);
    assert_eq!(kind(fs.rename(&root(4), (ROOT, b"f"), (directory, b"x"))), gone);
    assert_eq!(fs.reader().read_directory(&root(4), directory, 0, 9).unwrap().entries, []);
}

#[test]
fn too_many_names_of_one_hash_are_refused() {
    let mut fs = Fs::new(0);
    let name = |number: usize| format!("name-{number}");
    for number in 0..64 {
        make(&mut fs, &root(2), ROOT, &name(number), &FILE, 0o644);
    }
    let refused = fs.create(&root(2), ROOT, b"more", &FILE, 0o644, &AttributeChange::default());
    assert_eq!(kind(refused), Some(ErrorKind::NoSpace));
    fs.rename(&root(3), (ROOT, b"name-9"), (ROOT, b"name-8")).unwrap();
    make(&mut fs, &root(4), ROOT, "more", &FILE, 0o644);
    for number in (0..64).filter(|number| *number != 9) {
        fs.remove(&root(5), ROOT, name(number).as_bytes()).unwrap();
    }
    assert_eq!(fs.reader().read_directory(&root(6), ROOT, 0, 9).unwrap().entries.len(), 1);
}

#[test]
fn holes_and_ends() {
    let mut fs = Fs::new(u64::MAX);
    let file = make(&mut fs, &me(2), ROOT, "f", &FILE, 0o600);
    fs.write(&me(3), file, 10_000, b"data").unwrap();
    fs.set(&me(3), file, &AttributeChange { size: Some(30_000), ..AttributeChange::default() }, None).unwrap();
    let seek = |fs: &Fs, offset, target| fs.reader().seek(file, offset, target).unwrap();
    assert_eq!(seek(&fs, 0, SeekTarget::Data), Some(8192));
    assert_eq!(seek(&fs, 0, SeekTarget::Hole), Some(0));
    assert_eq!(seek(&fs, 9000, SeekTarget::Data), Some(9000));
    assert_eq!(seek(&fs, 9000, SeekTarget::Hole), Some(12_288));
    assert_eq!(seek(&fs, 12_288, SeekTarget::Data), None);
    assert_eq!(seek(&fs, 30_000, SeekTarget::Hole), None);
    fs.set(&me(4), file, &AttributeChange { size: Some(10_002), ..AttributeChange::default() }, None).unwrap();
    assert_eq!(seek(&fs, 9000, SeekTarget::Hole), Some(10_002));
    let mut buffer = [1; 8];
    for (offset, length, end_of_file) in [(9_998, 4, true), (9_000, 8, false), (10_002, 0, true), (u64::MAX, 0, true)] {
        let outcome = fs.reader().read(&me(5), file, offset, &mut buffer).unwrap();
        assert_eq!(outcome, ReadOutcome { length, end_of_file }, "{offset}");
    }
    assert_eq!(kind(fs.reader().read(&other(5), file, 0, &mut buffer)), Some(ErrorKind::Access));
    assert_eq!(kind(fs.write(&other(5), file, 0, b"x")), Some(ErrorKind::Access));
    assert_eq!(kind(fs.write(&me(5), file, FILE_SIZE_MAX, b"x")), Some(ErrorKind::TooLarge));
    assert_eq!(kind(fs.write(&root(5), ROOT, 0, b"x")), Some(ErrorKind::IsDirectory));
    fs.punch(&me(6), file, 1, u64::MAX).unwrap();
    assert_eq!((fs.store.blocks.len(), fs.reader().attributes(file).unwrap().size), (0, 10_002));
}

#[test]
fn extended_attributes_by_name_space() {
    use ErrorKind::{Access, Exists, Invalid, NameTooLong, NotFound, Permission, TooLarge, Unsupported};
    let mut fs = Fs::new(u64::MAX);
    let file = make(&mut fs, &me(2), ROOT, "f", &FILE, 0o644);
    let link = make(&mut fs, &me(2), ROOT, "l", &NewObject::Symlink(b"f".to_vec()), 0o777);
    let long = [b'x'; 256];
    let table: [(Context, Name<'_>, XattrMode, Option<ErrorKind>); 15] = [
        (me(3), (file, b"user.a"), XattrMode::Replace, Some(NotFound)),
        (me(3), (file, b"user.a"), XattrMode::Create, None),
        (me(3), (file, b"user.a"), XattrMode::Create, Some(Exists)),
        (me(3), (file, b"user.a"), XattrMode::Replace, None),
        (me(3), (file, b"user.a"), XattrMode::Any, None),
        (other(3), (file, b"user.b"), XattrMode::Any, Some(Access)),
        (me(3), (link, b"user.a"), XattrMode::Any, Some(Permission)),
        (root(3), (link, b"user.a"), XattrMode::Any, Some(Permission)),
        (root(3), (link, b"trusted.a"), XattrMode::Any, None),
        (me(3), (file, b"trusted.a"), XattrMode::Any, Some(Permission)),
        (root(3), (file, b"trusted.a"), XattrMode::Any, None),
        (root(3), (file, b"system.posix_acl_access"), XattrMode::Any, Some(Unsupported)),
        (root(3), (file, b""), XattrMode::Any, Some(Invalid)),
        (root(3), (file, b"user.a\0"), XattrMode::Any, Some(Invalid)),
        (root(3), (file, &long), XattrMode::Any, Some(NameTooLong)),
    ];
    for (context, (inode, name), mode, expected) in table {
        assert_eq!(kind(fs.set_xattr(&context, inode, name, b"value", mode)), expected, "{name:?}");
    }
    assert_eq!(fs.reader().list_xattrs(&me(4), file).unwrap(), [b"user.a".to_vec()]);
    assert_eq!(fs.reader().list_xattrs(&root(4), file).unwrap().len(), 2);
    assert_eq!(kind(fs.reader().xattr(&me(4), file, b"trusted.a")), Some(NotFound));
    assert_eq!(fs.reader().xattr(&root(4), file, b"trusted.a").unwrap(), b"value");
    let large = [3; 65_537];
    assert_eq!(kind(fs.set_xattr(&me(4), file, b"user.l", &large, XattrMode::Any)), Some(TooLarge));
    for length in [65_536, 0, 511, 512, 513, 1536, 1537, 4096] {
        fs.set_xattr(&me(4), file, b"user.l", &large[..length], XattrMode::Any).unwrap();
        assert_eq!(fs.reader().xattr(&me(4), file, b"user.l").unwrap(), &large[..length]);
    }
    let before = fs.store.items.len();
    fs.remove_xattr(&me(5), file, b"user.l").unwrap();
    assert_eq!(before - fs.store.items.len(), 1 + 4);
    let names = (0..).map(|number| format!("user.{number:0>240}"));
    let stored = names.take_while(|name| {
        let set = fs.set_xattr(&me(6), file, name.as_bytes(), b"", XattrMode::Any);
        kind(set).inspect(|error| assert_eq!(*error, TooLarge)).is_none()
    });
    assert_eq!(stored.count(), 65_536 / 246);
}
