//! Says what is wrong with inodes that do not fit. That is rare, so it may take a walk over the tree.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::error::{ErrorKind, Result};
use crate::format::InodeNumber;
use crate::fs::layout::{ENTRY_KIND, orphan_key};
use crate::fs::sanity::object::Object;
use crate::fs::sanity::{Checked, Unsound, way_up};
use crate::fs::{FileKind, Inode, NamePlace, directory, inode, layout, links};
use crate::tree::{Change, Content, ItemRef, Key, Reader, Step, Visited, walk_all};

/// The entries that lead to an inode, and what kind they say it is.
type Entries = Vec<(NamePlace, FileKind)>;

/// Looks at inodes, and tells of those that do not fit.
pub fn examine(tree: &Checked<'_>, suspects: &BTreeSet<InodeNumber>) -> Result<Vec<Unsound>> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let entries = entries(tree, suspects);
    let mut found = Vec::new();
    for inode in suspects {
        let problems = problems(tree, *inode, entries.get(inode).map_or(&[][..], Vec::as_slice))?;
        found.extend(problems.into_iter().map(|problem| Unsound { inode: *inode, problem }));
    }
    Ok(found)
}

fn entries(tree: &Checked<'_>, suspects: &BTreeSet<InodeNumber>) -> BTreeMap<InodeNumber, Entries> {
    let mut entries: BTreeMap<InodeNumber, Entries> = BTreeMap::new();
    walk_all(tree.nodes, tree.root, &mut |visited| {
        if let Visited::Item(key, ItemRef::Bytes(value)) = visited
            && key.kind == ENTRY_KIND
            && let Ok((inode, kind, _)) = directory::decode(value)
            && suspects.contains(&inode)
        {
            let place = NamePlace { directory: InodeNumber(key.object), position: key.position };
            entries.entry(inode).or_default().push((place, kind));
        }
        Step::Into
    });
    entries
}

fn problems(tree: &Checked<'_>, number: InodeNumber, entries: &[(NamePlace, FileKind)]) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    problems.extend(object(tree, number)?.problem(tree.items)?);
    let is_orphan = tree.items.get(orphan_key(number))?.is_some();
    let stored = tree.items.get(layout::inode_key(number))?;
    let Some(inode) = stored.and_then(|value| inode::decode(number, &value).ok()) else {
        if !entries.is_empty() {
            problems.push(format!("the name leads to inode {}, which does not exist", number.0));
        }
        if is_orphan {
            problems.push(format!("inode {} is among the orphans, and does not exist", number.0));
        }
        return Ok(problems);
    };
    match (inode.links, is_orphan) {
        (0, false) => problems.push("it has no name, and is not among the orphans".to_owned()),
        (1.., true) => problems.push("it is among the orphans, and has names".to_owned()),
        _ => {}
    }
    names(tree, &inode, entries, &mut problems)?;
    if inode.is_directory() && way_up(tree.items, &inode, &HashSet::new())?.1 {
        problems.push("it lies within itself, and nobody comes there from the root".to_owned());
    }
    Ok(problems)
}

/// All items of an inode.
fn object(tree: &Checked<'_>, number: InodeNumber) -> Result<Object> {
    let mut object = Object::new(number, tree.block_len);
    let (first, last) = (Key::new(number.0, 0, 0), Key::new(number.0, u8::MAX, u64::MAX));
    Reader::new(tree.nodes, *tree.root).scan(first, last, &mut |key, item| {
        match item {
            ItemRef::Bytes(value) => {
                object.take(&Change { key, old: None, new: Some(Content::Bytes(value)) });
            }
            ItemRef::Run(run) => (0..run.hashes.len()).for_each(|block| {
                let new = Some(Content::Block(run.block(block)));
                object.take(&Change { key: key.plus(block as u64), old: None, new });
            }),
        }
        true
    })?;
    Ok(object)
}

fn names(
    tree: &Checked<'_>,
    inode: &Inode,
    entries: &[(NamePlace, FileKind)],
    problems: &mut Vec<String>,
) -> Result<()> {
    let known: BTreeSet<NamePlace> = match inode.links {
        0 => BTreeSet::new(),
        _ => match links::all(tree.items, inode) {
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
            other => other?.into_iter().collect(),
        },
    };
    for place in known.iter().filter(|place| entries.iter().all(|(found, _)| found != *place)) {
        problems.push(format!("it ought to have a name in directory {}, and has none there", place.directory.0));
    }
    for (place, kind) in entries {
        if !known.contains(place) {
            problems.push(format!("it has a name in directory {} that it does not know of", place.directory.0));
        } else if *kind != inode.kind {
            problems.push(format!("its name in directory {} says that it is a {kind:?}", place.directory.0));
        }
    }
    Ok(())
}
