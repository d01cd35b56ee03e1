//! Records as bytes: whatever the bytes are, decoding returns.

use crate::format::InodeNumber;
use crate::format::example::{documented, render};
use crate::fs::directory;
use crate::fs::inode::{decode as decode_inode, encode as encode_inode};
use crate::fs::tests::store::at;
use crate::fs::xattrs;
use crate::fs::*;

const POSITION: u64 = 9 << 6;

fn one_of_each() -> Vec<Record<'static>> {
    let (inode, directory, now) = (InodeNumber(5), InodeNumber(1), at(77));
    let mut link = Inode::new(inode, FileKind::Symlink, now);
    link.size = 6;
    link.home = NamePlace { directory, position: POSITION };
    let mut file = Inode::new(inode, FileKind::Regular, now);
    (file.exclusive, file.home) = (Some(3), link.home);
    let some = Settings { mode: Some(0o644), size: Some(9), modified: Some(at(-8)), ..Settings::default() };
    let all = Settings { uid: Some(1), gid: Some(2), accessed: Some(now), created: Some(now), ..some.clone() };
    let (position, name) = (POSITION, b"name".as_slice());
    let (to_position, replaced) = (POSITION + 1, Some((InodeNumber(8), Fate::Orphan)));
    let rename = |replaced| Record::Rename {
        from_directory: directory,
        from_position: position,
        to_directory: inode,
        to_position,
        name,
        replaced,
        now,
    };
    vec![
        Record::Write { inode, offset: 4, bytes: b"bytes", modified: now, changed: at(78), clear_setid: true },
        Record::SetAttributes { inode, set: some, now },
        Record::SetAttributes { inode, set: all, now },
        Record::Create { directory, position, name, inode: link, target: b"target", now },
        Record::Create { directory, position, name, inode: file, target: b"", now },
        Record::Link { inode, directory, position, name, now },
        Record::Remove { directory, position, inode, fate: Fate::Keep, now },
        rename(None),
        rename(replaced),
        Record::Punch { inode, first: 1, end: layout::DATA_END, clear_setid: false, now },
        Record::SetXattr { inode, position, name, value: b"value", now },
        Record::RemoveXattr { inode, position, now },
        Record::Reap { inode, first: 0, end: 65536, last: true },
    ]
}

#[test]
fn every_record_comes_back_and_no_damage_panics() {
    for record in one_of_each() {
        let encoded = record.encode();
        let bytes = encoded.to_vec();
        assert_eq!(Record::decode(&bytes), Ok(record));
        // A tail may end anywhere: how long it is, only the log knows.
        assert!((0..encoded.head.len()).all(|end| Record::decode(&bytes[..end]).is_err()));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Record::decode(&bytes) {
                assert_eq!(other.encode().to_vec(), bytes, "{other:?}");
            }
        }
    }
}

#[test]
fn a_write_lends_its_bytes() {
    let bytes = b"bytes".as_slice();
    let record =
        Record::Write { inode: InodeNumber(5), offset: 0, bytes, modified: at(1), changed: at(1), clear_setid: false };
    assert!(std::ptr::eq(record.encode().tail, bytes));
}

fn a_place() -> NamePlace {
    NamePlace { directory: InodeNumber(8), position: POSITION }
}

fn an_inode() -> Inode {
    let mut inode = Inode::new(InodeNumber(5), FileKind::CharacterDevice, at(3));
    (inode.mode, inode.uid, inode.gid, inode.device) = (0o640, 1000, 100, (4, 64));
    inode.home = a_place();
    (inode.accessed, inode.modified, inode.changed, inode.xattr_names) = (at(-4), at(5), at(6), 7);
    inode
}

#[test]
fn items_and_records_are_as_documented() {
    let number = InodeNumber(5);
    let inode = encode_inode(&an_inode());
    let entry = directory::encode(number, FileKind::Symlink, b"name");
    let xattr = xattrs::encode(b"user.name", 5, b"value");
    let name = links::encode(a_place());
    let rename = &one_of_each()[8];
    let record = rename.encode().to_vec();
    for (heading, bytes) in [
        ("Inode item", &inode),
        ("Directory entry item", &entry),
        ("Extended attribute item", &xattr),
        ("Name item", &name),
        ("File system record", &record),
    ] {
        assert_eq!(documented(heading, bytes.len()), *bytes, "{heading}:\n{}", render(bytes));
    }
    assert_eq!(decode_inode(number, &inode), Ok(an_inode()));
    assert_eq!(directory::decode(&entry), Ok((number, FileKind::Symlink, b"name".as_slice())));
    assert_eq!(links::decode(&name), Ok(a_place()));
    assert_eq!(links::hash(a_place()), 269_086_416_568_733_069);
    let header = xattrs::decode(&xattr).unwrap();
    assert_eq!((header.name, header.value_length, header.inline), (b"user.name".as_slice(), 5, b"value".as_slice()));
    assert_eq!(Record::decode(&record).as_ref(), Ok(rename));
}

#[test]
fn a_damaged_inode_item_is_refused_or_another() {
    let item = encode_inode(&an_inode());
    assert!((0..item.len()).all(|end| decode_inode(InodeNumber(5), &item[..end]).is_err()));
    for bit in 0..item.len() * 8 {
        let mut bytes = item.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = decode_inode(InodeNumber(5), &bytes) {
            assert_eq!(encode_inode(&other), bytes, "{other:?}");
        }
    }
}

#[test]
fn fields_that_no_plan_makes_are_refused() {
    let (inode, directory, name, now) = (InodeNumber(5), InodeNumber(1), b"name".as_slice(), at(77));
    let long = [b'n'; 256];
    let link = |inode, position, name| Record::Link { inode, directory, position, name, now };
    let write = |offset, bytes| {
        let (modified, changed) = (now, now);
        Record::Write { inode, offset, bytes, modified, changed, clear_setid: false }
    };
    let table = [
        link(inode, 63, name),
        link(inode, 1 << 62, name),
        link(InodeNumber(0), POSITION, name),
        link(InodeNumber(layout::ORPHANS), POSITION, name),
        link(inode, POSITION, b""),
        link(inode, POSITION, &long),
        write(FILE_SIZE_MAX, b"x"),
        write(u64::MAX, b"x"),
        Record::Reap { inode, first: 2, end: 1, last: false },
        Record::Reap { inode, first: 2, end: layout::DATA_END + 1, last: false },
        Record::SetAttributes { inode, set: Settings { mode: Some(0o10000), ..Settings::default() }, now },
        Record::SetXattr { inode, position: 1 << 54, name, value: b"", now },
        Record::SetXattr { inode, position: POSITION, name, value: &[0; layout::XATTR_VALUE_MAX + 1], now },
    ];
    for record in table {
        assert!(Record::decode(&record.encode().to_vec()).is_err(), "{record:?}");
    }
}
