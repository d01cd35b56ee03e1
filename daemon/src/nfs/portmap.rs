//! Stands in for rpcbind (RFC 1833) where a host has none: tells clients that all our programs are at one port.
//!
//! Clients ask here for the lock manager, which they cannot be told the port of otherwise, and clients that have restarted
//! ask for our status monitor. Nobody can register anything.
//!
//! Invariant: no answer by UDP is longer than what was asked.

use crate::nfs::rpc::Accepted;
use crate::nfs::status::Status;
use crate::nfs::xdr::{Decoder, Encoder, Garbage};
use crate::nfs::{mount, nlm, nsm, v3};

/// The program's number.
pub const PROGRAM: u32 = 100_000;
/// The program's versions: the one of portmap, and those of rpcbind.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 2..=4;

/// The numbers of TCP and UDP among protocols.
const PROTOCOLS: [(u32, &str); 2] = [(6, "tcp"), (17, "udp")];
/// Longest text in arguments, in bytes.
const TEXT_LENGTH_MAX: usize = 1024;

/// Our programs and versions, by TCP.
pub const PROGRAMS: [(u32, u32); 4] = [
    (v3::PROGRAM, v3::VERSION),
    (mount::PROGRAM, mount::VERSION),
    (nlm::PROGRAM, nlm::VERSION),
    (nsm::PROGRAM, nsm::VERSION),
];

/// How somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The program's version.
    pub version: u32,
    /// The procedure.
    pub procedure: u32,
    /// Whether by a datagram, whose sender may not be who it says.
    pub by_datagram: bool,
}

/// Runs a procedure. `port` is where all programs are, and where the status monitor is by UDP.
pub fn run(asked: Asked, port: u16, arguments: Decoder<'_>, reply: &mut Encoder) -> Result<Status, Accepted> {
    match (asked.version, asked.procedure) {
        (_, 0) => {}
        (2, 3) => reply.u32(port_of(arguments, port).map_err(|Garbage| Accepted::GarbageArguments)?.into()),
        (2, 4) if !asked.by_datagram => dump(port, reply),
        (3 | 4, 3) => {
            let address = address_of(arguments, port).map_err(|Garbage| Accepted::GarbageArguments)?;
            reply.opaque(address.as_bytes());
        }
        _ => return Err(Accepted::ProcedureUnavailable),
    }
    Ok(Status::OK)
}

/// The answer to portmap's question; zero is nowhere.
fn port_of(mut arguments: Decoder<'_>, port: u16) -> Result<u16, Garbage> {
    let (program, version, protocol) = (arguments.u32()?, arguments.u32()?, arguments.u32()?);
    let network = PROTOCOLS.iter().find(|(number, _)| *number == protocol).map_or("", |(_, name)| name);
    Ok(if is_at_port(program, version, network) { port } else { 0 })
}

/// The answer to rpcbind's question: any of our addresses, at the port; nothing is nowhere.
fn address_of(mut arguments: Decoder<'_>, port: u16) -> Result<String, Garbage> {
    let (program, version) = (arguments.u32()?, arguments.u32()?);
    let network = arguments.opaque(TEXT_LENGTH_MAX)?;
    let [_address, _owner] = [arguments.opaque(TEXT_LENGTH_MAX)?, arguments.opaque(TEXT_LENGTH_MAX)?];
    let network = std::str::from_utf8(network).map_err(|_| Garbage)?;
    let any = if network.ends_with('6') { "::" } else { "0.0.0.0" };
    let is_here = is_at_port(program, version, network.trim_end_matches('6'));
    Ok(if is_here { format!("{any}.{}.{}", port >> 8, port & 0xff) } else { String::new() })
}

/// Clients that ask for a version of ours that we do not have are told by the program itself.
fn is_at_port(program: u32, _version: u32, network: &str) -> bool {
    match network {
        "tcp" => PROGRAMS.iter().any(|(known, _)| *known == program),
        "udp" => program == nsm::PROGRAM,
        _ => false,
    }
}

fn dump(port: u16, reply: &mut Encoder) {
    let by_tcp = PROGRAMS.iter().map(|(program, version)| (program, version, 6));
    for (program, version, protocol) in by_tcp.chain([(&nsm::PROGRAM, &nsm::VERSION, 17)]) {
        reply.bool(true);
        [*program, *version, protocol, port.into()].into_iter().for_each(|word| reply.u32(word));
    }
    reply.bool(false);
}
