//! Examples of what POSIX asks for.

use super::*;
use cow_storage::fs::{Caller, Credentials, FileKind, SetTime};

const ROOT: InodeNumber = InodeNumber::ROOT;

fn superuser() -> Context {
    Context { now: Timestamp { seconds: 100, nanoseconds: 0 }, caller: Caller::Superuser, durable: true, call: None }
}

fn user(uid: u32, gid: u32, groups: &[u32]) -> Context {
    Context { caller: Caller::User(Credentials { uid, gid, groups: groups.to_vec() }), ..superuser() }
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn make(model: &Model, context: &Context, at: InodeNumber, name: &str, object: NewObject, mode: u32) -> InodeNumber {
    model.create(context, at, name.as_bytes(), &object, mode, &AttributeChange::default()).unwrap().object.inode
}

const FILE: NewObject = NewObject::Regular { exclusive: None };

#[test]
fn bytes_are_sparse_and_ranges_clear() {
    let (model, root) = (Model::new(4096, Some(5 * 4096), Timestamp::default()), superuser());
    let file = make(&model, &root, ROOT, "f", FILE, 0o644);
    model.write(&root, file, 10_000, b"abc", Stability::Unstable).unwrap();
    let mut buffer = [9; 8];
    let outcome = model.read(&root, file, 9_998, &mut buffer).unwrap();
    assert_eq!((outcome.length, outcome.end_of_file, &buffer[..5]), (5, true, &b"\0\0abc"[..]));
    assert_eq!(model.attributes(file).unwrap().allocated, 4096);
    assert_eq!(model.seek(file, 0, SeekTarget::Data).unwrap(), Some(8192));
    assert_eq!(model.seek(file, 8192, SeekTarget::Hole).unwrap(), Some(10_003));
    assert_eq!(kind(model.write(&root, file, 0, &[1; 6 * 4096], Stability::File)), ErrorKind::Quota);
    model.punch(&root, file, 10_001, 50_000).unwrap();
    assert_eq!(model.read(&root, file, 10_000, &mut buffer).unwrap().length, 3);
    assert_eq!(&buffer[..3], b"a\0\0");
    let shorter = AttributeChange { size: Some(10_000), ..AttributeChange::default() };
    assert_eq!(model.set_attributes(&root, file, &shorter, None).unwrap().after.allocated, 0);
}

#[test]
fn rename_obeys_its_rules() {
    let (model, root) = (Model::default(), superuser());
    let a = make(&model, &root, ROOT, "a", NewObject::Directory, 0o755);
    let b = make(&model, &root, a, "b", NewObject::Directory, 0o755);
    let file = make(&model, &root, ROOT, "f", FILE, 0o644);
    assert_eq!(kind(model.rename(&root, ROOT, b"a", b, b"x")), ErrorKind::Invalid);
    assert_eq!(kind(model.rename(&root, ROOT, b"f", ROOT, b"a")), ErrorKind::IsDirectory);
    assert_eq!(kind(model.rename(&root, ROOT, b"a", ROOT, b"f")), ErrorKind::NotDirectory);
    assert_eq!(kind(model.rename(&root, a, b"b", ROOT, b"a")), ErrorKind::NotEmpty);
    model.link(&root, file, ROOT, b"g").unwrap();
    let same = model.rename(&root, ROOT, b"f", ROOT, b"g").unwrap();
    assert_eq!(same.from.before, same.from.after);
    model.rename(&root, a, b"b", ROOT, b"c").unwrap();
    assert_eq!((model.attributes(a).unwrap().links, model.attributes(ROOT).unwrap().links), (2, 4));
    assert_eq!(model.parent(b).unwrap(), ROOT);
    model.rename(&root, ROOT, b"a", ROOT, b"c").unwrap();
    assert_eq!(kind(model.attributes(b)), ErrorKind::Stale);
    assert_eq!(model.attributes(ROOT).unwrap().links, 3);
}

#[test]
fn users_may_what_their_bits_say() {
    let (model, root) = (Model::default(), superuser());
    let (ann, bob) = (user(1, 10, &[20]), user(2, 10, &[]));
    let shared = make(&model, &root, ROOT, "shared", NewObject::Directory, 0o3777);
    model.set_attributes(&root, shared, &AttributeChange { gid: Some(20), ..Default::default() }, None).unwrap();
    let file = make(&model, &ann, shared, "f", FILE, 0o2640);
    let attributes = model.attributes(file).unwrap();
    assert_eq!((attributes.uid, attributes.gid, attributes.mode), (1, 20, 0o2640));
    assert_eq!(model.attributes(make(&model, &bob, shared, "b", FILE, 0o2755)).unwrap().mode, 0o755);
    assert_eq!(model.attributes(make(&model, &bob, shared, "d", NewObject::Directory, 0o755)).unwrap().mode, 0o2755);
    assert_eq!(kind(model.remove(&bob, shared, b"f")), ErrorKind::Permission);
    assert_eq!(kind(model.write(&bob, file, 0, b"x", Stability::File)), ErrorKind::Access);
    assert_eq!(kind(model.create(&bob, ROOT, b"x", &FILE, 0, &AttributeChange::default())), ErrorKind::Access);
    let chmod = AttributeChange { mode: Some(0), ..Default::default() };
    assert_eq!(kind(model.set_attributes(&bob, file, &chmod, None)), ErrorKind::Permission);
    model.set_attributes(&ann, file, &chmod, None).unwrap();
    model.write(&ann, file, 0, b"x", Stability::File).unwrap();
    let touch = AttributeChange { modified: Some(SetTime::Now), ..Default::default() };
    assert_eq!(kind(model.set_attributes(&bob, file, &touch, None)), ErrorKind::Access);
}

#[test]
fn orphans_live_while_retained_and_forks_part() {
    let (model, root) = (Model::default(), superuser());
    let file = make(&model, &root, ROOT, "f", FILE, 0o644);
    model.retain(file).unwrap();
    let (fork, snapshot) = (model.fork(), model.snapshot());
    model.remove(&root, ROOT, b"f").unwrap();
    model.write(&root, file, 0, b"x", Stability::File).unwrap();
    assert_eq!(kind(model.link(&root, file, ROOT, b"g")), ErrorKind::NotFound);
    model.release(file);
    assert_eq!(kind(model.attributes(file)), ErrorKind::Stale);
    assert_eq!(fork.lookup(&root, ROOT, b"f").unwrap().size, 0);
    assert_eq!(kind(snapshot.remove(&root, ROOT, b"f")), ErrorKind::ReadOnly);
}

#[test]
fn an_exclusive_create_is_found_again_until_attributes_are_set() {
    let (model, root) = (Model::default(), superuser());
    let create = |verifier| {
        let object = NewObject::Regular { exclusive: Some(verifier) };
        model.create(&root, ROOT, b"f", &object, 0, &AttributeChange::default())
    };
    let first = create(7).unwrap();
    assert_eq!(create(7).unwrap().object, first.object);
    assert_eq!(kind(create(8)), ErrorKind::Exists);
    let change = AttributeChange { mode: Some(0o600), ..Default::default() };
    model.set_attributes(&root, first.object.inode, &change, None).unwrap();
    assert_eq!(kind(create(7)), ErrorKind::Exists);
}

#[test]
fn listings_go_on_where_they_were() {
    let (model, root) = (Model::default(), superuser());
    for n in 0..100 {
        make(&model, &root, ROOT, &format!("n{n}"), FILE, 0o644);
    }
    let (mut names, mut after) = (Vec::new(), 0);
    loop {
        let page = model.read_directory(&root, ROOT, after, 7).unwrap();
        after = page.entries.last().map_or(after, |entry| entry.cookie);
        assert!(page.entries.iter().all(|entry| entry.kind == FileKind::Regular && entry.cookie > 2));
        names.extend(page.entries.into_iter().map(|entry| entry.name));
        if page.end {
            break;
        }
        let gone = names.pop().unwrap();
        model.remove(&root, ROOT, &gone).unwrap();
    }
    let left = model.read_directory(&root, ROOT, 0, 1000).unwrap().entries;
    assert_eq!(names, left.into_iter().map(|entry| entry.name).collect::<Vec<_>>());
}
