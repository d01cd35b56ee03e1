//! The same semantics, written plainly: nodes with names in memory. Links are counted, never kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::ErrorKind::{self, *};
use crate::format::Timestamp;
use crate::fs::*;

pub type Answer<T = ()> = Result<T, ErrorKind>;

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub bytes: Vec<u8>,
    pub names: BTreeMap<Vec<u8>, u64>,
    pub parent: u64,
    pub verifier: Option<u64>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
}

impl Node {
    pub fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    fn may(&self, who: &Context, wanted: u32) -> Answer {
        let bits = match &who.caller {
            Caller::Superuser => 7,
            Caller::User(user) if user.uid == self.uid => self.mode / 64 % 8,
            Caller::User(user) if member(user, self.gid) => self.mode / 8 % 8,
            Caller::User(_) => self.mode % 8,
        };
        if bits & wanted == wanted { Ok(()) } else { Err(Access) }
    }

    fn is_mine(&self, who: &Context) -> bool {
        match &who.caller {
            Caller::Superuser => true,
            Caller::User(user) => user.uid == self.uid,
        }
    }

    fn may_write(&self, who: &Context) -> Answer {
        if self.is_mine(who) { Ok(()) } else { self.may(who, 2) }
    }

    fn drop_setid(&mut self) {
        if !self.is_directory() {
            self.mode &= if self.mode & 8 != 0 { 0o1777 } else { 0o3777 };
        }
    }
}

fn member(user: &Credentials, gid: u32) -> bool {
    user.gid == gid || user.groups.contains(&gid)
}

fn is_user(who: &Context) -> Option<&Credentials> {
    match &who.caller {
        Caller::Superuser => None,
        Caller::User(user) => Some(user),
    }
}

pub struct Model {
    pub nodes: BTreeMap<u64, Node>,
    pub open: BTreeSet<u64>,
    pub next: u64,
}

impl Model {
    pub fn new(now: Timestamp) -> Self {
        let root = Node {
            kind: FileKind::Directory,
            mode: 0o777,
            uid: 0,
            gid: 0,
            bytes: vec![],
            names: BTreeMap::new(),
            parent: 1,
            verifier: None,
            xattrs: BTreeMap::new(),
            accessed: now,
            modified: now,
            changed: now,
        };
        Self { nodes: BTreeMap::from([(1, root)]), open: BTreeSet::new(), next: 2 }
    }

    /// How many names a node has, and what counts as one.
    pub fn links(&self, number: u64) -> u32 {
        let named = self.nodes.values().flat_map(|node| node.names.values()).filter(|&&named| named == number).count();
        let node = &self.nodes[&number];
        if !node.is_directory() {
            return named as u32;
        }
        let below = node.names.values().filter(|number| self.nodes[number].is_directory()).count();
        if number == 1 || named == 1 { 2 + below as u32 } else { 0 }
    }

    /// All paths of a node.
    pub fn paths(&self, number: u64) -> Vec<Vec<u8>> {
        if number == 1 {
            return vec![b"/".to_vec()];
        }
        let names =
            self.nodes.iter().flat_map(|(above, node)| node.names.iter().map(move |(name, to)| (above, name, to)));
        let mut paths = Vec::new();
        for (above, name, _) in names.filter(|(_, _, named)| **named == number) {
            let above = if *above == 1 { vec![vec![]] } else { self.paths(*above) };
            paths.extend(above.into_iter().map(|path| [&path, b"/".as_slice(), name].concat()));
        }
        paths
    }

    fn node(&self, number: u64) -> Answer<&Node> {
        self.nodes.get(&number).ok_or(Stale)
    }

    fn directory(&self, number: u64) -> Answer<&Node> {
        let node = self.node(number)?;
        if node.is_directory() { Ok(node) } else { Err(NotDirectory) }
    }

    fn searchable(&self, who: &Context, number: u64) -> Answer<&Node> {
        let node = self.directory(number)?;
        node.may(who, 1).map(|()| node)
    }

    fn may_add(&self, who: &Context, directory: u64) -> Answer {
        if self.links(directory) == 0 {
            return Err(NotFound);
        }
        self.nodes[&directory].may(who, 3)
    }

    fn may_take(&self, who: &Context, directory: u64, victim: u64) -> Answer {
        let (directory, victim) = (&self.nodes[&directory], &self.nodes[&victim]);
        directory.may(who, 3)?;
        let kept = directory.mode & 0o1000 != 0 && !directory.is_mine(who) && !victim.is_mine(who);
        if kept { Err(Permission) } else { Ok(()) }
    }

    fn stamp(&mut self, number: u64, now: Timestamp, content: bool) {
        let node = self.nodes.get_mut(&number).unwrap();
        node.changed = now;
        if content {
            node.modified = now;
        }
    }

    /// Forgets nodes that nobody names nor has open.
    pub fn sweep(&mut self) {
        let named: BTreeSet<u64> = self.nodes.values().flat_map(|node| node.names.values().copied()).collect();
        self.nodes.retain(|number, _| *number == 1 || named.contains(number) || self.open.contains(number));
    }

    pub fn lookup(&self, who: &Context, directory: u64, name: &[u8]) -> Answer<u64> {
        let node = self.searchable(who, directory)?;
        match name {
            b"." => Ok(directory),
            b".." => self.node(node.parent).map(|_| node.parent),
            b"" => Err(Invalid),
            _ => node.names.get(name).copied().ok_or(NotFound),
        }
    }

    pub fn create(
        &mut self,
        who: &Context,
        directory: u64,
        name: &[u8],
        object: &NewObject,
        mode: u32,
        initial: &AttributeChange,
    ) -> Answer<u64> {
        let parent = self.searchable(who, directory)?;
        match (name, parent.names.get(name), object) {
            (b"." | b"..", ..) => return Err(Exists),
            (b"", ..) => return Err(Invalid),
            (_, Some(found), NewObject::Regular { exclusive }) if exclusive.is_some() => {
                return if self.nodes[found].verifier == *exclusive { Ok(*found) } else { Err(Exists) };
            }
            (_, Some(_), _) => return Err(Exists),
            _ => {}
        }
        self.may_add(who, directory)?;
        let kind = match object {
            NewObject::Regular { .. } => FileKind::Regular,
            NewObject::Directory => FileKind::Directory,
            NewObject::Symlink(_) => FileKind::Symlink,
            _ => FileKind::Fifo,
        };
        let (parent_gid, parent_setgid) = (parent.gid, parent.mode & 0o2000);
        let own_gid = is_user(who).map_or(0, |user| user.gid);
        let uid = is_user(who).map_or(0, |user| user.uid);
        let inherited = if parent_setgid != 0 { parent_gid } else { own_gid };
        if let Some(user) = is_user(who) {
            let gid_fits = initial.gid.is_none_or(|gid| gid == inherited || member(user, gid));
            if initial.uid.is_some_and(|uid| uid != user.uid) || !gid_fits {
                return Err(Permission);
            }
        }
        if initial.size.is_some() && kind != FileKind::Regular {
            return Err(if kind == FileKind::Directory { IsDirectory } else { Invalid });
        }
        let gid = initial.gid.unwrap_or(inherited);
        let mut mode = initial.mode.unwrap_or(mode);
        match kind {
            FileKind::Directory => mode |= parent_setgid,
            FileKind::Symlink => mode = 0o777,
            _ if is_user(who).is_some_and(|user| !member(user, gid)) => mode &= !0o2000,
            _ => {}
        }
        let bytes = match object {
            NewObject::Symlink(target) => target.clone(),
            _ => vec![0; initial.size.unwrap_or(0) as usize],
        };
        let NewObject::Regular { exclusive: verifier } = *object else {
            return Ok(self.add(who, directory, name, kind, (mode, initial.uid.unwrap_or(uid), gid), bytes, None));
        };
        Ok(self.add(who, directory, name, kind, (mode, initial.uid.unwrap_or(uid), gid), bytes, verifier))
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a node")]
    fn add(
        &mut self,
        who: &Context,
        directory: u64,
        name: &[u8],
        kind: FileKind,
        (mode, uid, gid): (u32, u32, u32),
        bytes: Vec<u8>,
        verifier: Option<u64>,
    ) -> u64 {
        let (number, now) = (self.next, who.now);
        self.next += 1;
        let (names, parent, xattrs) = (BTreeMap::new(), directory, BTreeMap::new());
        let (accessed, modified, changed) = (now, now, now);
        let node = Node { kind, mode, uid, gid, bytes, names, parent, verifier, xattrs, accessed, modified, changed };
        self.nodes.insert(number, node);
        self.nodes.get_mut(&directory).unwrap().names.insert(name.to_vec(), number);
        self.stamp(directory, now, true);
        number
    }

    pub fn link(&mut self, who: &Context, number: u64, directory: u64, name: &[u8]) -> Answer {
        self.node(number)?;
        let parent = self.searchable(who, directory)?;
        match name {
            b"." | b".." => return Err(Exists),
            b"" => return Err(Invalid),
            _ if parent.names.contains_key(name) => return Err(Exists),
            _ => self.may_add(who, directory)?,
        }
        if self.nodes[&number].is_directory() {
            return Err(Permission);
        }
        if self.links(number) == 0 {
            return Err(NotFound);
        }
        self.nodes.get_mut(&directory).unwrap().names.insert(name.to_vec(), number);
        self.stamp(directory, who.now, true);
        self.stamp(number, who.now, false);
        Ok(())
    }

    pub fn remove(&mut self, who: &Context, directory: u64, name: &[u8], of_directory: bool) -> Answer {
        let victim = self.lookup(who, directory, name)?;
        match (name, of_directory) {
            (b"." | b"..", false) => return Err(IsDirectory),
            (b".", true) => return Err(Invalid),
            (b"..", true) => return Err(NotEmpty),
            _ => {}
        }
        self.may_take(who, directory, victim)?;
        let node = &self.nodes[&victim];
        match (of_directory, node.is_directory()) {
            (true, false) => return Err(NotDirectory),
            (false, true) => return Err(IsDirectory),
            _ if !node.names.is_empty() => return Err(NotEmpty),
            _ => {}
        }
        self.nodes.get_mut(&directory).unwrap().names.remove(name);
        self.stamp(directory, who.now, true);
        self.stamp(victim, who.now, false);
        self.sweep();
        Ok(())
    }

    pub fn rename(&mut self, who: &Context, (from, old): (u64, &[u8]), (to, new): (u64, &[u8])) -> Answer {
        let (source, target) = (self.searchable(who, from)?, self.searchable(who, to)?);
        if [old, new].iter().any(|name| [b"".as_slice(), b".", b".."].contains(name)) {
            return Err(Invalid);
        }
        let moved = *source.names.get(old).ok_or(NotFound)?;
        let of_directory = self.nodes[&moved].is_directory();
        let mut above = to;
        while above != 1 && above != moved {
            above = self.nodes.get(&above).ok_or(Stale)?.parent;
        }
        if of_directory && above == moved {
            return Err(Invalid);
        }
        let victim = target.names.get(new).copied();
        if victim == Some(moved) {
            return Ok(());
        }
        self.may_take(who, from, moved)?;
        match victim {
            None => self.may_add(who, to)?,
            Some(victim) => {
                self.may_take(who, to, victim)?;
                let node = &self.nodes[&victim];
                match (of_directory, node.is_directory()) {
                    (true, false) => return Err(NotDirectory),
                    (false, true) => return Err(IsDirectory),
                    _ => {}
                }
            }
        }
        if of_directory && from != to {
            self.nodes[&moved].may(who, 2)?;
        }
        if victim.is_some_and(|victim| !self.nodes[&victim].names.is_empty()) {
            return Err(NotEmpty);
        }
        self.nodes.get_mut(&from).unwrap().names.remove(old);
        self.nodes.get_mut(&to).unwrap().names.insert(new.to_vec(), moved);
        if of_directory {
            self.nodes.get_mut(&moved).unwrap().parent = to;
        }
        for (number, content) in [(Some(from), true), (Some(to), true), (Some(moved), false), (victim, false)] {
            number.into_iter().for_each(|number| self.stamp(number, who.now, content));
        }
        self.sweep();
        Ok(())
    }

    fn file(&mut self, who: &Context, number: u64) -> Answer<&mut Node> {
        let node = self.nodes.get_mut(&number).ok_or(Stale)?;
        match node.kind {
            FileKind::Regular => node.may_write(who).map(|()| node),
            FileKind::Directory => Err(IsDirectory),
            _ => Err(Invalid),
        }
    }

    pub fn write(&mut self, who: &Context, number: u64, offset: usize, bytes: &[u8]) -> Answer {
        let node = self.file(who, number)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset + bytes.len();
        node.bytes.resize(node.bytes.len().max(end), 0);
        node.bytes[offset..end].copy_from_slice(bytes);
        self.content_changed(who, number);
        Ok(())
    }

    pub fn punch(&mut self, who: &Context, number: u64, offset: usize, length: usize) -> Answer {
        let node = self.file(who, number)?;
        let end = node.bytes.len().min(offset + length);
        if offset < end {
            node.bytes[offset..end].fill(0);
            self.content_changed(who, number);
        }
        Ok(())
    }

    fn content_changed(&mut self, who: &Context, number: u64) {
        if is_user(who).is_some() {
            self.nodes.get_mut(&number).unwrap().drop_setid();
        }
        self.stamp(number, who.now, true);
    }

    pub fn set(&mut self, who: &Context, number: u64, change: &AttributeChange) -> Answer {
        self.node(number)?;
        if change.size.is_some() {
            self.file(who, number)?;
        }
        let node = self.nodes.get_mut(&number).ok_or(Stale)?;
        let owners = change.uid.is_some() || change.gid.is_some();
        if let (Some(user), true) = (is_user(who), owners) {
            let uid_fits = change.uid.is_none_or(|uid| uid == node.uid);
            let gid_fits = change.gid.is_none_or(|gid| gid == node.gid || member(user, gid));
            if !uid_fits || !gid_fits || !node.is_mine(who) {
                return Err(Permission);
            }
        }
        if change.mode.is_some() && !node.is_mine(who) {
            return Err(Permission);
        }
        for time in [change.accessed, change.modified].into_iter().flatten() {
            match time {
                SetTime::To(_) if !node.is_mine(who) => return Err(Permission),
                SetTime::Now if !node.is_mine(who) => node.may(who, 2)?,
                _ => {}
            }
        }
        if *change == AttributeChange::default() {
            return Ok(());
        }
        set_mode(node, who, change);
        node.uid = change.uid.unwrap_or(node.uid);
        node.gid = change.gid.unwrap_or(node.gid);
        node.verifier = None;
        node.changed = who.now;
        if let Some(size) = change.size {
            node.bytes.resize(size as usize, 0);
            node.modified = who.now;
        }
        for (field, time) in [(&mut node.accessed, change.accessed), (&mut node.modified, change.modified)] {
            match time {
                Some(SetTime::Now) => *field = who.now,
                Some(SetTime::To(time)) => *field = time,
                None => {}
            }
        }
        Ok(())
    }

    pub fn set_xattr(&mut self, who: &Context, number: u64, name: &[u8], value: Option<&[u8]>) -> Answer {
        let node = self.nodes.get_mut(&number).ok_or(Stale)?;
        if !matches!(node.kind, FileKind::Regular | FileKind::Directory) {
            return Err(Permission);
        }
        node.may(who, 2)?;
        match value {
            Some(value) => drop(node.xattrs.insert(name.to_vec(), value.to_vec())),
            None => drop(node.xattrs.remove(name).ok_or(NotFound)?),
        }
        node.changed = who.now;
        Ok(())
    }

    pub fn read(&self, who: &Context, number: u64) -> Answer<&[u8]> {
        let node = self.node(number)?;
        match node.kind {
            FileKind::Directory => Err(IsDirectory),
            FileKind::Regular => {
                let readable = [4, 1].iter().any(|bit| node.may(who, *bit).is_ok()) || node.is_mine(who);
                if readable { Ok(&node.bytes) } else { Err(Access) }
            }
            _ => Err(Invalid),
        }
    }
}

fn set_mode(node: &mut Node, who: &Context, change: &AttributeChange) {
    let owners = change.uid.is_some() || change.gid.is_some();
    match (change.mode, is_user(who)) {
        (Some(_), _) if node.kind == FileKind::Symlink => {
            if owners {
                node.drop_setid();
            }
        }
        (Some(mode), None) => node.mode = mode,
        (Some(mode), Some(user)) => {
            node.mode = mode;
            if owners && !node.is_directory() {
                node.mode &= 0o1777;
            } else if !member(user, change.gid.unwrap_or(node.gid)) {
                node.mode &= !0o2000;
            }
        }
        (None, user) => {
            if owners || (change.size.is_some() && user.is_some()) {
                node.drop_setid();
            }
        }
    }
}
