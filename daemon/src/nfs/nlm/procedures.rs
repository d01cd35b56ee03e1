//! The procedures of NLM version 4.
//!
//! Invariant: a lock is set only for a client that the share's rules admit, by a caller that may read or write the file, and
//! only once it is durable that the client may hold locks. What a client holds itself it can always give back.

use std::net::IpAddr;
use std::sync::Arc;

use crate::locks::{Claim, Client, File, Kind, Outcome, Owner, Range, Wait};
use crate::nfs::nlm::codec::{Arguments, Form, Stat, Subject, decode_notice, decode_share, encode_holder, encode_stat};
use crate::nfs::nlm::granting::Wanted;
use crate::nfs::nlm::locking::Locking;
use crate::nfs::status::Status;
use crate::nfs::target::Request;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// A call, as all procedures see it.
pub struct Call<'a> {
    /// Who asks, and for whom.
    pub request: &'a Request<'a>,
    /// The locks.
    pub locking: &'a Arc<Locking>,
    /// The address of ours that the client uses.
    pub server: Option<IpAddr>,
}

/// Runs a procedure; `None` if there is none of that number. The calls that are answered by other calls (_MSG and _RES) are
/// not served: clients that come by TCP use those that are answered by replies.
pub fn run(
    procedure: u32,
    call: &Call<'_>,
    mut arguments: Decoder<'_>,
    reply: &mut Encoder,
) -> Option<Result<Status, Garbage>> {
    let mut run = || {
        let stat = match procedure {
            0 => Stat::GRANTED,
            1 => call.test(&Arguments::decode(&mut arguments, Form::Kind)?, reply),
            2 => call.answer(&Arguments::decode(&mut arguments, Form::Full)?, reply, Call::lock),
            3 => call.answer(&Arguments::decode(&mut arguments, Form::Block)?, reply, Call::cancel),
            4 => call.answer(&Arguments::decode(&mut arguments, Form::Bare)?, reply, Call::unlock),
            5 => call.answer(&Arguments::decode(&mut arguments, Form::Kind)?, reply, |_, _| Stat::DENIED),
            20 | 21 => share(decode_share(&mut arguments)?, procedure == 21, reply),
            22 => {
                let arguments = Arguments { block: false, ..Arguments::decode(&mut arguments, Form::Full)? };
                call.answer(&arguments, reply, Call::lock)
            }
            23 => {
                let (name, _state) = decode_notice(&mut arguments)?;
                call.locking.client_restarted(call.request.peer.ip(), name);
                Stat::GRANTED
            }
            _ => return Ok(None),
        };
        Ok(Some(counted(stat)))
    };
    run().transpose()
}

/// Share reservations are of DOS and no lock of this server sees them: who asks is told that there are none.
fn share(cookie: &[u8], ends: bool, reply: &mut Encoder) -> Stat {
    let stat = if ends { Stat::GRANTED } else { Stat::FAILED };
    encode_stat(reply, cookie, stat);
    reply.u32(0);
    stat
}

/// The outcome among the statuses that are counted.
fn counted(stat: Stat) -> Status {
    match stat {
        Stat::STALE_HANDLE => Status::STALE,
        Stat::FAILED => Status::ACCESS,
        Stat::DENIED_NO_LOCKS => Status::NO_SPACE,
        Stat::READ_ONLY => Status::READ_ONLY,
        Stat::TOO_BIG | Stat::DEADLOCK => Status::INVALID,
        _ => Status::OK,
    }
}

impl Call<'_> {
    fn answer(&self, arguments: &Arguments<'_>, reply: &mut Encoder, run: fn(&Self, &Arguments<'_>) -> Stat) -> Stat {
        let stat = run(self, arguments);
        encode_stat(reply, arguments.cookie, stat);
        stat
    }

    fn test(&self, arguments: &Arguments<'_>, reply: &mut Encoder) -> Stat {
        let outcome = self.open(arguments).map(|claim| self.locking.locks().test(&claim));
        let stat = outcome.as_ref().map_or_else(|stat| *stat, Stat::from);
        encode_stat(reply, arguments.cookie, stat);
        if let Ok(Outcome::Denied(holder)) = outcome {
            encode_holder(reply, &holder);
        }
        stat
    }

    fn lock(&self, arguments: &Arguments<'_>) -> Stat {
        let claim = match self.open(arguments) {
            Ok(claim) => claim,
            Err(stat) => return stat,
        };
        let client = claim.owner.client.clone();
        if !self.locking.knows(&client) {
            // Nothing need be durable for a client that gets nothing.
            match self.locking.locks().test(&claim) {
                _ if arguments.reclaim => return Stat::DENIED_GRACE_PERIOD,
                Outcome::Granted => {}
                Outcome::Denied(_) if arguments.block => {}
                outcome => return (&outcome).into(),
            }
        }
        let outcome =
            self.locking.for_client(&client, self.server, arguments.state, || self.lock_durably(claim, arguments));
        outcome.as_ref().map_or(Stat::DENIED_NO_LOCKS, Stat::from)
    }

    /// Sets a lock of a client that is known to hold some after a restart.
    fn lock_durably(&self, claim: Claim, arguments: &Arguments<'_>) -> Outcome {
        let locks = self.locking.locks();
        if arguments.reclaim {
            return locks.reclaim(claim);
        }
        let Subject { caller, handle, owner, process, offset, length } = arguments.subject;
        let granter = self.locking.granter();
        let wait = if arguments.block {
            let [caller, handle, owner] = [caller, handle, owner].map(Box::from);
            let wanted = Wanted { caller, handle, owner, process, offset, length, server: self.server };
            Wait::Until { number: 0, waiter: granter.blocked(&claim, wanted) }
        } else {
            Wait::No
        };
        let outcome = locks.lock(claim.clone(), wait);
        granter.answered(&claim, &outcome);
        outcome
    }

    fn cancel(&self, arguments: &Arguments<'_>) -> Stat {
        let Some(claim) = self.own(arguments) else { return Stat::DENIED };
        let is_cancelled = self.locking.locks().cancel(&claim, 0);
        // The grant may be on its way to a client that no longer wants it.
        if self.locking.granter().cancelled(&claim, is_cancelled) { Stat::GRANTED } else { Stat::DENIED }
    }

    fn unlock(&self, arguments: &Arguments<'_>) -> Stat {
        let Some(claim) = self.own(arguments) else { return Stat::STALE_HANDLE };
        self.locking.granter().unlocked(&claim);
        (&self.locking.locks().unlock(claim.file, &claim.owner, claim.range)).into()
    }

    /// What a caller wants that may lock the file.
    fn open(&self, arguments: &Arguments<'_>) -> Result<Claim, Stat> {
        let failed = |status: Status| match status {
            Status::STALE | Status::BAD_HANDLE => Stat::STALE_HANDLE,
            Status::TRY_LATER if !arguments.reclaim => Stat::DENIED_GRACE_PERIOD,
            _ => Stat::FAILED,
        };
        let target = self.request.target(arguments.subject.handle).map_err(failed)?;
        if arguments.kind == Kind::Exclusive && target.inode_to_change().is_err() {
            return Err(Stat::READ_ONLY);
        }
        let attributes = target.attributes().map_err(failed)?;
        // Who may only read can lock exclusively nevertheless, as flock does; for fcntl the client asks for more.
        target.check_may_read(&attributes).or_else(|_| target.check_may_write(&attributes)).map_err(failed)?;
        self.claim(target.file(), arguments).ok_or(Stat::TOO_BIG)
    }

    /// What a client may have of a file whatever the share's rules now say; `None` if the handle is none of ours.
    fn own(&self, arguments: &Arguments<'_>) -> Option<Claim> {
        let handle = self.request.key.open(arguments.subject.handle).ok()?;
        let file = File { dataset: handle.dataset, snapshot: handle.snapshot, inode: handle.inode };
        self.claim(file, arguments)
    }

    fn claim(&self, file: File, arguments: &Arguments<'_>) -> Option<Claim> {
        let Subject { caller, owner, process, offset, length, .. } = arguments.subject;
        let client = client(self.request.peer.ip(), caller);
        Some(Claim {
            file,
            owner: Owner { client: Arc::new(client), number: process.cast_unsigned().into() },
            range: Range::new(offset, length)?,
            kind: arguments.kind,
            process,
            handle: owner.into(),
        })
    }
}

/// The client of that name at an address.
pub fn client(address: IpAddr, name: &[u8]) -> Client {
    Client { address: Some(address.to_canonical()), name: String::from_utf8_lossy(name).into_owned() }
}
