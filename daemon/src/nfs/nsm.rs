//! NSM version 1, as far as a server of locks needs it: clients tell that they have restarted, and have no locks any more.
//!
//! Invariant: what a client says frees nothing but locks of clients of its own address.

use std::net::IpAddr;

use crate::nfs::nlm::Locking;
use crate::nfs::status::Status;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};

/// The program's number.
pub const PROGRAM: u32 = 100_024;
/// The program's version.
pub const VERSION: u32 = 1;
/// The procedure with which one tells that it has restarted.
pub const NOTIFY: u32 = 6;
/// Longest name, in bytes.
const NAME_LENGTH_MAX: usize = 1024;

/// Runs a procedure; `None` if there is none of that number: nobody but us has others monitored here.
pub fn run(
    procedure: u32,
    client: IpAddr,
    locking: &Locking,
    mut arguments: Decoder<'_>,
    reply: &mut Encoder,
) -> Option<Result<Status, Garbage>> {
    let mut run = || {
        match procedure {
            0 => {}
            1 => {
                arguments.opaque(NAME_LENGTH_MAX)?;
                // That one could not be monitored here, and our number.
                reply.u32(1);
                reply.u32(locking.state().cast_unsigned());
            }
            NOTIFY => {
                let (name, _state) = (arguments.opaque(NAME_LENGTH_MAX)?, arguments.u32()?);
                locking.client_restarted(client, name);
            }
            _ => return Ok(None),
        }
        Ok(Some(Status::OK))
    };
    run().transpose()
}
