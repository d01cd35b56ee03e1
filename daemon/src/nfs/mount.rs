//! MOUNT version 3 (RFC 1813, 5): from a path to the first handle, and who has asked for one.
//!
//! Invariant: a client gets a handle only of a share that its address may use. What the list of mounts
//! says is a hint for people; nothing depends on it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use cow_storage::format::InodeNumber;
use cow_storage::fs::{Caller, Context, FileKind};
use parking_lot::Mutex;

use crate::nfs::clients;
use crate::nfs::rpc::AUTH_SYS;
use crate::nfs::status::Status;
use crate::nfs::target::{Request, Target};
use crate::nfs::uses::Uses;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};
use crate::shares::Share;

/// The program's number.
pub const PROGRAM: u32 = 100_005;
/// The program's version.
pub const VERSION: u32 = 3;
/// The names of its procedures, by number.
pub const PROCEDURES: [&str; 6] = ["null", "mnt", "dump", "umnt", "umntall", "export"];

/// Longest path (MNTPATHLEN), in bytes.
const PATH_LENGTH_MAX: usize = 1024;
/// Mounts remembered; more than this forgets the ones asked for longest ago.
const MOUNTS_MAX: usize = 16 << 10;
/// Most bytes of a list in a reply.
const LIST_LENGTH_MAX: usize = 1 << 20;

/// A path that a client has mounted, as far as it has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The client.
    pub client: IpAddr,
    /// The path as the client gave it.
    pub path: String,
    /// When it asked last.
    pub since: SystemTime,
}

/// Who has mounted what.
#[derive(Default)]
pub struct Mounts(Mutex<BTreeMap<(IpAddr, String), SystemTime>>);

impl Mounts {
    /// All mounts, by client and path.
    pub fn list(&self) -> Vec<Mount> {
        let mounts = self.0.lock();
        mounts.iter().map(|((client, path), &since)| Mount { client: *client, path: path.clone(), since }).collect()
    }

    fn add(&self, client: IpAddr, path: &[u8]) {
        let mut mounts = self.0.lock();
        if mounts.len() >= MOUNTS_MAX
            && let Some(oldest) = mounts.iter().min_by_key(|(_, since)| **since).map(|(key, _)| key.clone())
        {
            mounts.remove(&oldest);
        }
        mounts.insert((client, String::from_utf8_lossy(path).into_owned()), SystemTime::now());
    }

    fn remove(&self, client: IpAddr, path: Option<&[u8]>) {
        let path = path.map(String::from_utf8_lossy);
        self.0.lock().retain(|(of, at), _| *of != client || path.as_ref().is_some_and(|path| path != at));
    }
}

/// Who has told that it mounts what, and who uses what.
pub struct Told<'a> {
    /// As far as clients have told.
    pub mounts: &'a Mounts,
    /// As their calls show.
    pub uses: &'a Uses,
}

/// Runs a procedure; `None` if there is none of that number.
pub fn run(
    procedure: u32,
    request: &Request<'_>,
    told: &Told<'_>,
    mut arguments: Decoder<'_>,
    reply: &mut Encoder,
) -> Option<Result<Status, Garbage>> {
    let client = request.peer.ip().to_canonical();
    let mut path = || arguments.opaque(PATH_LENGTH_MAX);
    Some(Ok(match procedure {
        0 => Status::OK,
        1 => match path() {
            Ok(path) => mount(request, told.mounts, path, reply),
            Err(garbage) => return Some(Err(garbage)),
        },
        2 => dump(&mounted(request, told), reply),
        3 => match path() {
            Ok(path) => {
                told.mounts.remove(client, Some(path));
                if let Some((share, _)) = request.views.share_by_path(path) {
                    told.uses.leave(client, Some(share.dataset));
                }
                Status::OK
            }
            Err(garbage) => return Some(Err(garbage)),
        },
        4 => {
            told.mounts.remove(client, None);
            told.uses.leave(client, None);
            Status::OK
        }
        5 => export(request, reply),
        _ => return None,
    }))
}

fn mount(request: &Request<'_>, mounts: &Mounts, path: &[u8], reply: &mut Encoder) -> Status {
    match find(request, path) {
        Ok(target) => {
            mounts.add(request.peer.ip().to_canonical(), path);
            reply.u32(Status::OK.0);
            reply.opaque(&request.handle(&target));
            reply.u32(1);
            reply.u32(AUTH_SYS);
            Status::OK
        }
        Err(status) => {
            reply.u32(status.0);
            status
        }
    }
}

/// Walks from the share to the directory that the path names. Who mounts is the client's system and
/// no user: directories on the way are not asked for permission, as every later call will be.
fn find(request: &Request<'_>, path: &[u8]) -> Result<Target, Status> {
    let (share, names) = request.views.share_by_path(path).ok_or(Status::NO_ENTRY)?;
    let view = request.views.share_by_id(share.dataset, None)?;
    let mut at = request.admitted(view, InodeNumber::ROOT)?;
    let own = at.context.clone();
    for name in names {
        at.context = Context { caller: Caller::Superuser, ..own.clone() };
        let (found, attributes) = request.lookup(&at, name)?;
        if attributes.kind != FileKind::Directory {
            return Err(Status::NOT_DIRECTORY);
        }
        at = found;
    }
    Ok(at)
}

/// Clients and paths: those that were told, and shares that a client uses as if it had.
fn mounted(request: &Request<'_>, told: &Told<'_>) -> Vec<(String, String)> {
    let clients = clients::list(Vec::new(), told.mounts.list(), told.uses.list(), request.views);
    let lines = clients.into_iter().flat_map(|client| {
        let address = client.address.to_string();
        let paths = client.mounts.into_iter().flat_map(|mount| match mount.told[..] {
            [] => vec![mount.path],
            _ => mount.told.into_iter().map(|told| told.path).collect(),
        });
        paths.map(move |path| (address.clone(), path)).collect::<Vec<_>>()
    });
    lines.collect()
}

fn dump(lines: &[(String, String)], reply: &mut Encoder) -> Status {
    let length = |(client, path): &(String, String)| list_item_length(client) + list_item_length(path);
    let shown = fitting(lines, length);
    reply.reserve(shown.iter().map(length).sum::<usize>() + 8);
    for (client, path) in shown {
        reply.bool(true);
        reply.opaque(client.as_bytes());
        reply.opaque(path.as_bytes());
    }
    reply.bool(false);
    Status::OK
}

/// Lists the shares that the asking host may use, each with the networks that may. The port says nothing here: who asks
/// is a user of that host, and who mounts its system.
fn export(request: &Request<'_>, reply: &mut Encoder) -> Status {
    let host = request.peer.ip();
    let shares = request.views.shares().into_iter().filter(|share| share.access.rule_of_host(host).is_some());
    let lines: Vec<(String, Vec<String>)> = shares.map(|share| (share.path.clone(), networks(&share))).collect();
    let length = |(path, networks): &(String, Vec<String>)| {
        list_item_length(path) + networks.iter().map(|network| list_item_length(network)).sum::<usize>() + 4
    };
    let shown = fitting(&lines, length);
    reply.reserve(shown.iter().map(length).sum::<usize>() + 8);
    for (path, networks) in shown {
        reply.bool(true);
        reply.opaque(path.as_bytes());
        for network in networks {
            reply.bool(true);
            reply.opaque(network.as_bytes());
        }
        reply.bool(false);
    }
    reply.bool(false);
    Status::OK
}

fn networks(share: &Share) -> Vec<String> {
    share.access.rules.iter().map(|rule| rule.network.to_string()).collect()
}

/// Bytes of a text in a list, with the flag before it.
fn list_item_length(text: &str) -> usize {
    8 + text.len().next_multiple_of(4)
}

/// As many of the first lines as one reply holds.
fn fitting<T>(lines: &[T], length: impl Fn(&T) -> usize) -> &[T] {
    let mut all = 0;
    let count = lines.iter().take_while(|line| {
        all += length(line);
        all <= LIST_LENGTH_MAX - 64
    });
    &lines[..count.count()]
}
