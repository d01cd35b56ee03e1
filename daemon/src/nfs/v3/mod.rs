//! NFS version 3 (RFC 1813): a file for each group of procedures.
//!
//! Invariant: every call whose arguments can be decoded gets a status and the results that go with
//! it; a refusal before the file was reached carries empty attributes.

mod attributes;
mod create;
mod facts;
mod link;
mod list;
mod lookup;
mod read;
mod types;
mod write;

use cow_storage::error::Error;

use crate::nfs::status::Status;
use crate::nfs::target::Request;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// The program's number.
pub const PROGRAM: u32 = 100_003;
/// The program's version.
pub const VERSION: u32 = 3;

/// Most bytes in one READ or WRITE.
pub const TRANSFER_MAX: u32 = 1 << 20;

/// Why a procedure encodes no results of its own.
pub enum Refusal {
    /// The arguments cannot be decoded.
    Garbage,
    /// The call failed before there were attributes to tell.
    Status(Status),
}

impl From<Garbage> for Refusal {
    fn from(_: Garbage) -> Self {
        Self::Garbage
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Status(error.into())
    }
}

/// What a procedure comes to: the status that it has encoded with its results.
type Outcome = Result<Status, Refusal>;

/// A procedure: decodes arguments, acts, and encodes status and results.
type Run = fn(&Request<'_>, Decoder<'_>, &mut Encoder) -> Outcome;

/// A procedure, and what is special about it.
pub struct Procedure {
    /// Its name, in lower case.
    pub name: &'static str,
    run: Run,
    /// Words of empty attributes that follow a status other than OK.
    failure_words: usize,
    /// What is done lest it run twice.
    pub once: Once,
}

/// What is done lest a call that is sent again runs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// Nothing: running it twice is the same as running it once.
    No,
    /// Its reply is kept.
    Kept,
    /// And its id is in the log with the change that it made, so that it is known after a crash too. Others may run before
    /// that is durable, while it waits for its answer.
    Logged,
    /// The same, but it makes more durable than its own change, and waits for that itself.
    Durable,
}

const fn procedure(name: &'static str, run: Run, failure_words: usize, once: Once) -> Procedure {
    Procedure { name, run, failure_words, once }
}

/// All procedures by number.
pub const PROCEDURES: [Procedure; 22] = [
    procedure("null", null, 0, Once::No),
    procedure("getattr", attributes::get, 0, Once::No),
    procedure("setattr", attributes::set, 2, Once::Logged),
    procedure("lookup", lookup::lookup, 1, Once::No),
    procedure("access", attributes::access, 1, Once::No),
    procedure("readlink", lookup::read_link, 1, Once::No),
    procedure("read", read::read, 1, Once::No),
    procedure("write", write::write, 2, Once::Kept),
    procedure("create", create::create, 2, Once::Logged),
    procedure("mkdir", create::make_directory, 2, Once::Logged),
    procedure("symlink", create::make_symlink, 2, Once::Logged),
    procedure("mknod", create::make_node, 2, Once::Logged),
    procedure("remove", link::remove, 2, Once::Logged),
    procedure("rmdir", link::remove_directory, 2, Once::Logged),
    procedure("rename", link::rename, 4, Once::Durable),
    procedure("link", link::link, 3, Once::Logged),
    procedure("readdir", list::read_directory, 1, Once::No),
    procedure("readdirplus", list::read_directory_plus, 1, Once::No),
    procedure("fsstat", facts::file_system_state, 1, Once::No),
    procedure("fsinfo", facts::file_system_limits, 1, Once::No),
    procedure("pathconf", facts::path_limits, 1, Once::No),
    procedure("commit", write::commit, 2, Once::No),
];

/// Runs a procedure, and encodes its results after what `reply` holds.
pub fn run(
    procedure: &Procedure,
    request: &Request<'_>,
    arguments: Decoder<'_>,
    reply: &mut Encoder,
) -> Result<Status, Garbage> {
    let start = reply.len();
    match (procedure.run)(request, arguments, reply) {
        Ok(status) => Ok(status),
        Err(Refusal::Garbage) => Err(Garbage),
        Err(Refusal::Status(status)) => {
            reply.truncate(start);
            encode_failure(procedure, status, reply);
            Ok(status)
        }
    }
}

/// The results of a call that failed before there were attributes to tell.
pub fn encode_failure(procedure: &Procedure, status: Status, reply: &mut Encoder) {
    reply.u32(status.0);
    (0..procedure.failure_words).for_each(|_| reply.u32(0));
}

fn null(_: &Request<'_>, _: Decoder<'_>, _: &mut Encoder) -> Outcome {
    Ok(Status::OK)
}
