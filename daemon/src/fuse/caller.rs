//! Whose permissions count for a request.
//!
//! The kernel has checked them already (`default_permissions`), since it answers much from what it keeps
//! and would not ask. What is checked here besides is what the kernel cannot know: whom root is taken for,
//! and what becomes of set-user-id and set-group-id bits. It sends no supplementary groups, so these are
//! read of the process, at each request that may depend on them: a process changes them between two calls.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cow_storage::format::Timestamp;
use cow_storage::fs::{Caller, Context, Credentials};
use fuser::{Errno, Request};

use crate::fuse::failure::Outcome;
use crate::shares::{Access, ClientIdentity, Identity, Network, Rule, Squash};

/// This host, as a client.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The thread.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl From<&Request> for Asker {
    fn from(request: &Request) -> Self {
        Self { pid: request.pid(), uid: request.uid(), gid: request.gid() }
    }
}

impl Asker {
    /// The groups that the thread has besides; none if it has ended.
    fn groups(&self) -> Vec<u32> {
        if self.pid == 0 {
            return Vec::new();
        }
        fs::read_to_string(format!("/proc/{}/status", self.pid)).map_or_else(|_| Vec::new(), |status| groups(&status))
    }
}

fn groups(status: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or("");
    line.split_whitespace().filter_map(|group| group.parse().ok()).collect()
}

/// Whom askers are taken for.
pub struct Callers {
    access: Access,
}

impl Callers {
    /// As they say; with `root_squash`, root is the anonymous user of `shares`.
    pub fn new(shares: &Access, root_squash: bool) -> Self {
        let squash = if root_squash { Squash::Root } else { Squash::None };
        let rules = vec![Rule { network: Network::ALL_IPV4, writable: true, squash }];
        Self { access: Access { rules, privileged_port: false, ..shares.clone() } }
    }

    /// Whom one is taken for, without the groups that it has besides.
    pub fn plain(&self, asker: Asker) -> Outcome<Identity> {
        self.identity(asker, Vec::new())
    }

    /// Whom one is taken for.
    pub fn full(&self, asker: Asker) -> Outcome<Identity> {
        // The superuser's do not matter, squashed or not.
        let groups = if asker.uid == 0 { Vec::new() } else { asker.groups() };
        self.identity(asker, groups)
    }

    fn identity(&self, asker: Asker, groups: Vec<u32>) -> Outcome<Identity> {
        let user = ClientIdentity::User(Credentials { uid: asker.uid, gid: asker.gid, groups });
        Ok(self.access.admit(HERE, &user).ok_or(Errno::EACCES)?.identity)
    }
}

/// A call whose change is durable once it is synced, as on a disk.
pub fn context(caller: Caller, now: Timestamp) -> Context {
    Context { now, caller, durable: false, call: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_squashed_where_it_is_asked_for() {
        let root = Asker { pid: 0, uid: 0, gid: 7 };
        let identity = |squash| Callers::new(&Access::default(), squash).full(root).unwrap();
        assert_eq!(identity(false), Identity { caller: Caller::Superuser, group: 7 });
        let nobody = Credentials { uid: 65_534, gid: 65_534, groups: Vec::new() };
        assert_eq!(identity(true), Identity { caller: Caller::User(nobody), group: 65_534 });
    }

    #[test]
    fn groups_are_read_of_the_process() {
        assert_eq!(groups("Name:\tx\nGroups:\t4 20 1000 \nNStgid:\t1\n"), [4, 20, 1000]);
        assert_eq!(groups("Name:\tx\nGroups:\t \n"), Vec::<u32>::new());
        assert_eq!(groups(""), Vec::<u32>::new());
    }
}
