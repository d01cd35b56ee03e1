//! Calls of our own to programs on clients: their lock manager and their status monitor, found through their rpcbind.
//!
//! Invariant: a call takes bounded time and memory whatever the peer does.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::nfs::record::LAST_FRAGMENT;
use crate::nfs::xdr::{Decoder, Garbage};

/// The program that knows the ports of others.
const RPCBIND: u32 = 100_000;
/// The port that it is asked at.
pub const RPCBIND_PORT: u16 = 111;
/// How long a connection may take to be there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a reply may take.
const REPLY_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest reply, in bytes.
const REPLY_LENGTH_MAX: usize = 4096;
/// The number of TCP among protocols.
const TCP: u32 = 6;

/// Why a call brought no results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer cannot have run it.
    #[error("the peer cannot be reached")]
    NotReached,
    /// The peer may have run it.
    #[error("the peer does not answer")]
    NotAnswered,
}

/// Where the ports of programs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The port of the peers' rpcbind.
    pub port: u16,
}

impl Default for Directory {
    fn default() -> Self {
        Self { port: RPCBIND_PORT }
    }
}

/// A connection to one program of a peer.
pub struct Caller {
    stream: TcpStream,
    program: u32,
    version: u32,
    next_xid: u32,
}

impl Directory {
    /// Connects to a program of a peer, from an address of ours if it is still one.
    pub fn connect(&self, from: Option<IpAddr>, peer: IpAddr, program: u32, version: u32) -> Result<Caller, CallError> {
        let to_rpcbind = Caller::connect(from, (peer, self.port).into(), RPCBIND, if peer.is_ipv4() { 2 } else { 4 })?;
        // Whatever fails here, the program itself was not called.
        let port = to_rpcbind.port_of(program, version, peer.is_ipv4()).map_err(|_| CallError::NotReached)?;
        Caller::connect(from, (peer, port).into(), program, version)
    }
}

impl Caller {
    fn connect(from: Option<IpAddr>, to: SocketAddr, program: u32, version: u32) -> Result<Self, CallError> {
        let stream = open(from, to).or_else(|error| from.map_or(Err(error), |_| open(None, to)));
        let stream = stream.map_err(|_| CallError::NotReached)?;
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        Ok(Self { stream, program, version, next_xid: nanos })
    }

    /// Calls a procedure, and returns its results.
    pub fn call(&mut self, procedure: u32, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
        let xid = self.next_xid;
        self.next_xid = xid.wrapping_add(1);
        // As user 0 (AUTH_SYS), without a name of a machine, groups or a verifier.
        let header = [xid, 0, 2, self.program, self.version, procedure, 1, 20, 0, 0, 0, 0, 0, 0, 0];
        let length = header.len() * 4 + arguments.len();
        let words = std::iter::once(LAST_FRAGMENT | length as u32).chain(header);
        let mut record: Vec<u8> = words.flat_map(u32::to_be_bytes).collect();
        record.extend(arguments);
        self.stream.write_all(&record).map_err(|_| CallError::NotAnswered)?;
        let until = Instant::now() + REPLY_TIME_MAX;
        loop {
            let reply = self.read_record(until).map_err(|_| CallError::NotAnswered)?;
            if let Some(results) = results(&reply, xid)? {
                return Ok(results);
            }
        }
    }

    /// Asks rpcbind, which this must be connected to, for a program's port.
    fn port_of(mut self, program: u32, version: u32, is_ipv4: bool) -> Result<u16, CallError> {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let arguments = if is_ipv4 {
            words(&[program, version, TCP, 0])
        } else {
            [words(&[program, version, 4]), b"tcp6".to_vec(), words(&[0, 0])].concat()
        };
        let results = self.call(3, &arguments)?;
        let mut decoder = Decoder::new(&results);
        let port = if is_ipv4 {
            decoder.u32().ok().and_then(|port| u16::try_from(port).ok())
        } else {
            decoder.opaque(128).ok().and_then(port_in)
        };
        port.filter(|&port| port != 0).ok_or(CallError::NotReached)
    }

    fn read_record(&mut self, until: Instant) -> io::Result<Vec<u8>> {
        let mut record = Vec::new();
        loop {
            let mut mark = [0; 4];
            self.read_all(&mut mark, until)?;
            let mark = u32::from_be_bytes(mark);
            let length = (mark & !LAST_FRAGMENT) as usize;
            if record.len() + length > REPLY_LENGTH_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let start = record.len();
            record.resize(start + length, 0);
            self.read_all(&mut record[start..], until)?;
            if mark & LAST_FRAGMENT != 0 {
                return Ok(record);
            }
            // Empty fragments without end must end as well.
            if Instant::now() > until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn read_all(&mut self, mut bytes: &mut [u8], until: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => bytes = &mut bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open(from: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Connecting takes no longer than sending may.
    set_socket_timeout(&socket, Timeout::Send, Some(CONNECT_TIME_MAX))?;
    if let Some(from) = from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        bind(&socket, &SocketAddr::from((from, 0)))?;
    }
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The results in a reply; `None` if it is one to another call.
pub fn results(reply: &[u8], xid: u32) -> Result<Option<Vec<u8>>, CallError> {
    let mut decoder = Decoder::new(reply);
    let mut decode = || {
        let (number, _reply, state) = (decoder.u32()?, decoder.u32()?, decoder.u32()?);
        if number != xid {
            return Ok(None);
        }
        let _verifier = (decoder.u32()?, decoder.opaque(400)?);
        Ok(Some((state, decoder.u32()?)))
    };
    match decode() {
        Ok(None) => Ok(None),
        Ok(Some((0, 0))) => Ok(Some(decoder.rest().to_vec())),
        // The peer says that it did not run it.
        Ok(Some(_)) => Err(CallError::NotReached),
        Err(Garbage) => Err(CallError::NotAnswered),
    }
}

/// The port in a universal address: its last two numbers.
pub fn port_in(universal: &[u8]) -> Option<u16> {
    let mut parts = std::str::from_utf8(universal).ok()?.rsplit('.');
    let (low, high): (u8, u8) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(u16::from_be_bytes([high, low]))
}
