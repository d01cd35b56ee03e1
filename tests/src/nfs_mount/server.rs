//! Calls to the server, for whoever makes them, until it answers.
//!
//! Invariant: a call is given up only when nothing is mounted any more. After a connection was lost, what the server may
//! have lost is written again before anything else is asked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fuser::{Errno, Request};

use crate::nfs_client::{Call, Client, Failure, Outcome, Reader, User};
use crate::nfs_mount::unstable::Unstable;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// NFS3ERR_JUKEBOX: try again later.
const LATER: u32 = 10_008;
/// Groups that AUTH_SYS has room for.
const GROUPS_MAX: usize = 16;

/// The server, whichever process it is now.
pub struct Server {
    address: SocketAddr,
    path: PathBuf,
    idle: Mutex<Vec<(u64, Client)>>,
    /// Counts how often connections were lost: those of before are not used again.
    era: AtomicU64,
    /// The era in which the server is known to have everything.
    recovered: Mutex<u64>,
    /// What was written and not committed.
    pub unstable: Unstable,
}

impl Server {
    /// The server of a mount at `path`, with a connection to it.
    pub fn new(address: SocketAddr, path: PathBuf, client: Client) -> Self {
        let (idle, era) = (Mutex::new(vec![(0, client)]), AtomicU64::new(0));
        Self { address, path, idle, era, recovered: Mutex::new(0), unstable: Unstable::default() }
    }

    /// Calls and decodes. Tells besides whether the call may have been done twice.
    pub fn ask<T>(
        &self,
        user: &User,
        call: &Call,
        decode: impl Fn(&mut Reader<'_>) -> Outcome<T>,
    ) -> (Result<T, Errno>, bool) {
        let mut again = false;
        loop {
            let (era, mut client) = match self.client() {
                Ok(client) => client,
                Err(errno) => return (Err(errno), again),
            };
            client.user = user.clone();
            let failure = match client.call(call) {
                Ok(results) => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((era, client));
                    let mut reader = Reader(&results);
                    match reader.status().and_then(|()| decode(&mut reader)) {
                        Ok(decoded) => return (Ok(decoded), again),
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            match failure {
                Failure::Status(LATER) => thread::sleep(PAUSE),
                Failure::Io(_) => {
                    again = true;
                    let _ = self.era.compare_exchange(era, era + 1, Ordering::AcqRel, Ordering::Relaxed);
                }
                failure => return (Err(errno(&failure)), again),
            }
        }
    }

    /// A connection that is good as far as is known, to a server that has everything.
    fn client(&self) -> Result<(u64, Client), Errno> {
        loop {
            let era = self.era.load(Ordering::Acquire);
            let idle = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|(of, _)| *of == era);
                idle.pop()
            };
            if let Some(found) = idle {
                return Ok(found);
            }
            let connected = Client::connect(self.address).and_then(|mut client| {
                client.null()?;
                let mut recovered = self.recovered.lock().unwrap_or_else(PoisonError::into_inner);
                if *recovered < era {
                    self.unstable.write_again(&mut client)?;
                    *recovered = era;
                }
                Ok((era, client))
            });
            match connected {
                Ok(connected) => return Ok(connected),
                Err(_) if self.is_mounted() => thread::sleep(PAUSE),
                Err(_) => return Err(Errno::EIO),
            }
        }
    }

    /// Writes again what a server may have lost that has ended and begun unseen.
    pub fn rewrite(&self) -> Result<(), Errno> {
        let (era, mut client) = self.client()?;
        let done = self.unstable.write_again(&mut client);
        if done.is_err() {
            let _ = self.era.compare_exchange(era, era + 1, Ordering::AcqRel, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_mounted(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let path = self.path.to_string_lossy().replace(' ', "\\040");
        mounts.lines().any(|line| line.split(' ').nth(4) == Some(&path) && line.contains(" - fuse.nfs "))
    }
}

/// Who asks, with the groups of the process.
pub fn user(request: &Request) -> User {
    let (uid, gid) = (request.uid(), request.gid());
    let groups = if uid == 0 { Vec::new() } else { groups(request.pid()) };
    User { uid, gid, groups }
}

fn groups(process: u32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    groups.split_whitespace().filter_map(|group| group.parse().ok()).take(GROUPS_MAX).collect()
}

/// NFS's numbers are Linux's where both are old.
fn errno(failure: &Failure) -> Errno {
    match failure {
        Failure::Status(63) => Errno::ENAMETOOLONG,
        Failure::Status(66) => Errno::ENOTEMPTY,
        Failure::Status(69) => Errno::EDQUOT,
        Failure::Status(70 | 10_001) => Errno::ESTALE,
        Failure::Status(10_004) => Errno::EOPNOTSUPP,
        Failure::Status(status @ 1..=31) => Errno::from_i32(*status as i32),
        Failure::Refused(..) => Errno::EACCES,
        _ => Errno::EIO,
    }
}
