//! Tells the host's rpcbind (RFC 1833, version 4) where our programs listen, so that clients need not be told the port.
//!
//! Invariant: nobody else's registration is taken away: one is replaced only if it is at our own address, or nothing
//! answers there any more, as after a crash of ours.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::nfs::record::LAST_FRAGMENT;
use crate::nfs::xdr::{Decoder, Garbage};
use crate::nfs::{mount, nlm, nsm, v3};

/// Programs and versions that the server speaks.
pub const PROGRAMS: [(u32, u32); 3] =
    [(v3::PROGRAM, v3::VERSION), (mount::PROGRAM, mount::VERSION), (nlm::PROGRAM, nlm::VERSION)];

/// Where rpcbind listens for programs of this host. It knows who calls there.
const SOCKET: &str = "/run/rpcbind.sock";
/// Where it listens besides, as in a container that has its own files.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 111);
const RPCBIND: (u32, u32) = (100_000, 4);
const SET: u32 = 1;
const UNSET: u32 = 2;
const DUMP: u32 = 4;
/// Longest that one call may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest reply that is read, in bytes.
const REPLY_LENGTH_MAX: usize = 1 << 20;
/// Longest text in one, in bytes.
const TEXT_LENGTH_MAX: usize = 4096;

/// Why nothing is registered, in a line.
#[derive(Debug, thiserror::Error)]
pub enum RpcbindError {
    /// It cannot be reached, or does not answer.
    #[error("rpcbind does not answer at {SOCKET} nor at {ADDRESS}")]
    Unreachable(#[source] io::Error),
    /// Its answer makes no sense.
    #[error("rpcbind answers something else than was asked")]
    Garbage(#[from] Garbage),
    /// Another server answers where a program is registered.
    #[error("another server has program {program} registered at {address}, and answers there")]
    Taken {
        /// The program.
        program: u32,
        /// Where, as rpcbind writes it.
        address: String,
    },
    /// It refuses, as where somebody else registered the program.
    #[error("rpcbind refuses program {program} at {address}; it is registered at {registered}")]
    Refused {
        /// The program.
        program: u32,
        /// Where it would be.
        address: String,
        /// Where it is, and whose that is.
        registered: String,
    },
}

/// Our programs in rpcbind's table, until this is dropped.
pub struct Registration {
    entries: Vec<Entry>,
}

/// A row of rpcbind's table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    program: u32,
    version: u32,
    /// `tcp`, or `tcp6`.
    network: String,
    /// Address and port, as rpcbind writes them.
    address: String,
    owner: String,
}

impl Registration {
    /// Registers all programs at this address.
    pub fn new(listens_at: SocketAddr) -> Result<Self, RpcbindError> {
        let registered = dump()?;
        let mut registration = Self { entries: Vec::new() };
        for (program, version) in PROGRAMS {
            for (network, address) in universal(listens_at) {
                let (network, owner) = (network.to_owned(), String::new());
                let entry = Entry { program, version, network, address, owner };
                let before = registered.iter().find(|other| other.is_of(&entry));
                entry.take_place_of(before)?;
                registration.entries.push(entry);
            }
        }
        // A host that is a client itself has a status monitor, which stays.
        let monitors: Vec<Entry> = monitors(listens_at).collect();
        let is_other = |other: &&Entry| {
            other.program == nsm::PROGRAM && monitors.iter().all(|monitor| monitor.address != other.address)
        };
        if registered.iter().filter(is_other).any(|other| other.network.starts_with("tcp") && other.answers()) {
            return Ok(registration);
        }
        for entry in monitors {
            entry.take_place_of(registered.iter().find(|other| other.is_of(&entry)))?;
            registration.entries.push(entry);
        }
        Ok(registration)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Somebody may have registered the programs anew meanwhile: that is theirs.
        let Ok(registered) = dump() else { return };
        let is_ours =
            |entry: &&Entry| registered.iter().any(|other| other.is_of(entry) && other.address == entry.address);
        for entry in self.entries.iter().filter(is_ours) {
            let _ = ask(UNSET, &entry.encode());
        }
    }
}

impl Entry {
    fn is_of(&self, other: &Self) -> bool {
        (self.program, self.version, &self.network) == (other.program, other.version, &other.network)
    }

    /// Registers it, after what nobody serves any more.
    fn take_place_of(&self, before: Option<&Self>) -> Result<(), RpcbindError> {
        let program = self.program;
        if let Some(before) = before {
            if before.address != self.address && before.answers() {
                return Err(RpcbindError::Taken { program, address: before.address.clone() });
            }
            ask(UNSET, &before.encode())?;
        }
        if Decoder::new(&ask(SET, &self.encode())?).bool()? {
            return Ok(());
        }
        let registered = before.map_or("nowhere".to_owned(), |other| format!("{} by {}", other.address, other.owner));
        Err(RpcbindError::Refused { program, address: self.address.clone(), registered })
    }

    /// Whether something takes connections there.
    fn answers(&self) -> bool {
        let Some(address) = socket_address(&self.address) else { return true };
        TcpStream::connect_timeout(&address, PATIENCE).is_ok()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = words(&[self.program, self.version]);
        for text in [&self.network, &self.address, &self.owner] {
            bytes.extend(words(&[text.len() as u32]));
            bytes.extend(text.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, Garbage> {
        let (program, version) = (from.u32()?, from.u32()?);
        let mut text = || from.opaque(TEXT_LENGTH_MAX).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Ok(Self { program, version, network: text()?, address: text()?, owner: text()? })
    }
}

/// The status monitor's rows. Clients use it by UDP.
fn monitors(listens_at: SocketAddr) -> impl Iterator<Item = Entry> {
    universal(listens_at).into_iter().flat_map(|(network, address)| {
        [network.to_owned(), network.replace("tcp", "udp")].map(|network| Entry {
            program: nsm::PROGRAM,
            version: nsm::VERSION,
            network,
            address: address.clone(),
            owner: String::new(),
        })
    })
}

/// Networks and addresses under which a listener is found. One for all addresses of IPv6 has those of IPv4 too.
fn universal(listens_at: SocketAddr) -> Vec<(&'static str, String)> {
    let port = listens_at.port();
    let written = |address: IpAddr| format!("{address}.{}.{}", port >> 8, port & 0xff);
    match listens_at.ip().to_canonical() {
        address if address.is_ipv4() => vec![("tcp", written(address))],
        address if address.is_unspecified() => {
            vec![("tcp", written(Ipv4Addr::UNSPECIFIED.into())), ("tcp6", written(address))]
        }
        address => vec![("tcp6", written(address))],
    }
}

/// Where to reach what is registered at an address.
fn socket_address(written: &str) -> Option<SocketAddr> {
    let (front, low) = written.rsplit_once('.')?;
    let (address, high) = front.rsplit_once('.')?;
    let port = u16::from(high.parse::<u8>().ok()?) << 8 | u16::from(low.parse::<u8>().ok()?);
    let address = match address.parse().ok()? {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    Some(SocketAddr::new(address, port))
}

fn dump() -> Result<Vec<Entry>, RpcbindError> {
    Ok(decode_entries(&ask(DUMP, &[])?)?)
}

fn decode_entries(bytes: &[u8]) -> Result<Vec<Entry>, Garbage> {
    let (mut from, mut entries) = (Decoder::new(bytes), Vec::new());
    while from.bool()? {
        entries.push(Entry::decode(&mut from)?);
    }
    Ok(entries)
}

/// Calls rpcbind, and returns the results.
fn ask(procedure: u32, arguments: &[u8]) -> Result<Vec<u8>, RpcbindError> {
    let asked = match UnixStream::connect(Path::new(SOCKET)) {
        Ok(stream) => stream
            .set_read_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
            .and_then(|()| exchange(stream, procedure, arguments)),
        Err(_) => TcpStream::connect_timeout(&ADDRESS, PATIENCE).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream, procedure, arguments)
        }),
    };
    let reply = asked.map_err(RpcbindError::Unreachable)?;
    Ok(results(&reply)?.to_vec())
}

fn exchange(mut stream: impl Read + Write, procedure: u32, arguments: &[u8]) -> io::Result<Vec<u8>> {
    let (program, version) = RPCBIND;
    // A number for the reply to repeat, a call of RPC version 2, and neither credentials nor verifier.
    let header = words(&[1, 0, 2, program, version, procedure, 0, 0, 0, 0]);
    let mark = LAST_FRAGMENT | (header.len() + arguments.len()) as u32;
    stream.write_all(&[&words(&[mark]), &header, arguments].concat())?;
    let mut reply = Vec::new();
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mark = u32::from_be_bytes(mark);
        let length = (mark & !LAST_FRAGMENT) as usize;
        if reply.len() + length > REPLY_LENGTH_MAX {
            return Err(io::Error::other("the reply is too long"));
        }
        let start = reply.len();
        reply.resize(start + length, 0);
        stream.read_exact(&mut reply[start..])?;
        if mark & LAST_FRAGMENT != 0 {
            return Ok(reply);
        }
    }
}

/// What follows the header of a reply to a call that was run.
fn results(reply: &[u8]) -> Result<&[u8], Garbage> {
    let mut header = Decoder::new(reply);
    let (number, is_reply, is_denied) = (header.u32()?, header.u32()?, header.u32()?);
    let _verifier = (header.u32()?, header.opaque(400)?);
    if (number, is_reply, is_denied, header.u32()?) != (1, 1, 0, 0) {
        return Err(Garbage);
    }
    Ok(header.rest())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_rpcbind_reads_them() {
        for (listens_at, expected, reached) in [
            ("127.0.0.1:2049", vec![("tcp", "127.0.0.1.8.1")], "127.0.0.1:2049"),
            ("0.0.0.0:65535", vec![("tcp", "0.0.0.0.255.255")], "127.0.0.1:65535"),
            ("[::]:111", vec![("tcp", "0.0.0.0.0.111"), ("tcp6", "::.0.111")], "127.0.0.1:111"),
            ("[::1]:2049", vec![("tcp6", "::1.8.1")], "[::1]:2049"),
        ] {
            let found = universal(listens_at.parse().unwrap());
            let found: Vec<(&str, &str)> =
                found.iter().map(|(network, address)| (*network, address.as_str())).collect();
            assert_eq!(found, expected);
            assert_eq!(socket_address(found[0].1), Some(reached.parse().unwrap()));
        }
        for wrong in ["", "1.2", "/run/rpcbind.sock", "1.2.3.4.5", "1.2.3.4.5.256", "::.1"] {
            assert_eq!(socket_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn any_answer_is_decoded_or_refused() {
        let entry = |network: &str| Entry {
            program: 100_003,
            version: 3,
            network: network.to_owned(),
            address: "127.0.0.1.8.1".to_owned(),
            owner: "superuser".to_owned(),
        };
        let (one, two) = (entry("tcp"), entry("tcp6"));
        let bytes = [words(&[1]), one.encode(), words(&[1]), two.encode(), words(&[0])].concat();
        assert_eq!(decode_entries(&bytes), Ok(vec![one, two]));
        let reply = [words(&[1, 1, 0, 0, 0, 0]), bytes.clone()].concat();
        assert_eq!(results(&reply), Ok(&bytes[..]));
        for at in 0..reply.len() {
            assert!(results(&reply[..at]).is_err() || at >= 24);
            assert!(decode_entries(&bytes[..at.min(bytes.len() - 1)]).is_err());
            for value in [0, 1, 0x7f, 0xff] {
                let mut reply = reply.clone();
                reply[at] = value;
                let _ = results(&reply).map(decode_entries);
            }
        }
    }
}
