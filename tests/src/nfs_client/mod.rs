//! A small NFSv3 client: one connection, calls one by one or many in flight.
//!
//! Invariant: a reply is matched with its call by number, so replies may come in any order.

mod call;
mod reply;
mod wire;

pub use call::{Call, MOUNT, NFS, NLM, NSM, PORTMAP, Set, Stable};
pub use reply::{Around, Entry, WireAttributes, WireTime};
pub use wire::{Reader, Writer};

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// A file handle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub Vec<u8>);

/// Why a call brought no results.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The server answered with this status of NFS or MOUNT.
    #[error("status {0}")]
    Status(u32),
    /// The server did not run the call: RPC's reply and accept (or reject) state.
    #[error("RPC refused: {0} {1}")]
    Refused(u32, u32),
    /// The reply cannot be decoded.
    #[error("the reply cannot be decoded")]
    Garbage,
}

/// A call's outcome.
pub type Outcome<T> = Result<T, Failure>;

/// A user that calls: AUTH_SYS.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, at most 16.
    pub groups: Vec<u32>,
}

/// A connection to a server.
pub struct Client {
    stream: TcpStream,
    next_xid: u32,
    /// For whom calls are made.
    pub user: User,
    input: Vec<u8>,
}

impl Client {
    /// Connects as user 0. Call numbers begin at a place of their own.
    pub fn connect(server: SocketAddr) -> Outcome<Self> {
        Self::over(TcpStream::connect(server)?)
    }

    /// The same from an address of this host; port 0 is any.
    pub fn connect_from(own: SocketAddr, server: SocketAddr) -> Outcome<Self> {
        let socket =
            socket(if own.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }, SocketType::STREAM, None);
        let socket = socket.map_err(io::Error::from)?;
        set_socket_reuseaddr(&socket, true).map_err(io::Error::from)?;
        bind(&socket, &own).map_err(io::Error::from)?;
        connect(&socket, &server).map_err(io::Error::from)?;
        Self::over(TcpStream::from(socket))
    }

    fn over(stream: TcpStream) -> Outcome<Self> {
        static CLIENTS: AtomicU32 = AtomicU32::new(0);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let next_xid = nanos ^ CLIENTS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9);
        Ok(Self { stream, next_xid, user: User::default(), input: Vec::new() })
    }

    /// The connection, for tests that misuse it.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The bytes of a call, with the record's mark, and its number.
    pub fn encode(&mut self, call: &Call) -> (u32, Vec<u8>) {
        let xid = self.next_xid;
        self.next_xid = xid.wrapping_add(1);
        let User { uid, gid, groups } = &self.user;
        let credentials = Writer::default().words(&[0]).opaque(b"client").words(&[*uid, *gid, groups.len() as u32]);
        let credentials = credentials.words(groups).0;
        let header = Writer::default().words(&[0, xid, 0, 2, call.program, call.version(), call.procedure, 1]);
        let mut record = header.opaque(&credentials).words(&[0, 0]).0;
        record.extend(&call.arguments);
        let mark = (record.len() - 4) as u32 | 1 << 31;
        record[..4].copy_from_slice(&mark.to_be_bytes());
        (xid, record)
    }

    /// Sends a call without waiting; returns its number.
    pub fn send(&mut self, call: &Call) -> Outcome<u32> {
        let (xid, record) = self.encode(call);
        self.stream.write_all(&record)?;
        Ok(xid)
    }

    /// The next reply, whichever call it is for: number and results.
    pub fn receive(&mut self) -> Outcome<(u32, Outcome<Vec<u8>>)> {
        let mut record = Vec::new();
        loop {
            let mark = u32::from_be_bytes(self.input(4)?.try_into().expect("four bytes"));
            record.extend(self.input((mark & !(1 << 31)) as usize)?);
            if mark & 1 << 31 != 0 {
                break;
            }
        }
        let mut reader = Reader(&record);
        let (xid, kind, state) = (reader.word()?, reader.word()?, reader.word()?);
        if kind != 1 {
            return Err(Failure::Garbage);
        }
        if state != 0 {
            return Ok((xid, Err(Failure::Refused(state, reader.word()?))));
        }
        reader.word()?;
        reader.opaque()?;
        match reader.word()? {
            0 => Ok((xid, Ok(reader.0.to_vec()))),
            accepted => Ok((xid, Err(Failure::Refused(0, accepted)))),
        }
    }

    fn input(&mut self, length: usize) -> Outcome<Vec<u8>> {
        while self.input.len() < length {
            let missing = (length - self.input.len()).max(16 << 10);
            let start = self.input.len();
            self.input.resize(start + missing, 0);
            let got = self.stream.read(&mut self.input[start..])?;
            self.input.truncate(start + got);
            if got == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        let rest = self.input.split_off(length);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    /// Makes a call and waits for its results.
    pub fn call(&mut self, call: &Call) -> Outcome<Vec<u8>> {
        let xid = self.send(call)?;
        loop {
            let (number, results) = self.receive()?;
            if number == xid {
                return results;
            }
        }
    }

    /// Makes many calls with at most `depth` in flight. `on_reply` gets each one's place among `calls`.
    pub fn pipeline(
        &mut self,
        depth: usize,
        calls: impl IntoIterator<Item = Call>,
        mut on_reply: impl FnMut(usize, Outcome<Vec<u8>>) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut in_flight = HashMap::new();
        let mut calls = calls.into_iter().enumerate();
        loop {
            while in_flight.len() < depth.max(1)
                && let Some((place, call)) = calls.next()
            {
                in_flight.insert(self.send(&call)?, place);
            }
            if in_flight.is_empty() {
                return Ok(());
            }
            let (xid, results) = self.receive()?;
            let place = in_flight.remove(&xid).ok_or(Failure::Garbage)?;
            on_reply(place, results)?;
        }
    }

    /// Calls, checks the status, and decodes the rest.
    fn ask<T>(&mut self, call: &Call, decode: impl FnOnce(&mut Reader<'_>) -> Outcome<T>) -> Outcome<T> {
        let results = self.call(call)?;
        let mut reader = Reader(&results);
        reader.status()?;
        let decoded = decode(&mut reader)?;
        reader.finish()?;
        Ok(decoded)
    }

    /// NULL.
    pub fn null(&mut self) -> Outcome<()> {
        self.call(&Call::null()).map(drop)
    }

    /// MNT.
    pub fn mount(&mut self, path: &str) -> Outcome<Handle> {
        self.ask(&Call::mount(1, path.as_bytes()), |reader| {
            let handle = reader.handle()?;
            let flavors = reader.word()?;
            (0..flavors).try_for_each(|_| reader.word().map(drop))?;
            Ok(handle)
        })
    }

    /// GETATTR.
    pub fn attributes(&mut self, file: &Handle) -> Outcome<WireAttributes> {
        self.ask(&Call::get_attributes(file), |reader| reader.attributes())
    }

    /// SETATTR.
    pub fn set_attributes(&mut self, file: &Handle, set: &Set, guard: Option<(u32, u32)>) -> Outcome<Around> {
        self.ask(&Call::set_attributes(file, set, guard), |reader| reader.around())
    }

    /// LOOKUP: the handle, and attributes if told.
    pub fn lookup(&mut self, directory: &Handle, name: &[u8]) -> Outcome<(Handle, Option<WireAttributes>)> {
        self.ask(&Call::lookup(directory, name), |reader| {
            let found = (reader.handle()?, reader.after()?);
            reader.after()?;
            Ok(found)
        })
    }

    /// Follows names from a directory, separated by slashes.
    pub fn walk(&mut self, from: &Handle, path: &str) -> Outcome<Handle> {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        names.try_fold(from.clone(), |at, name| Ok(self.lookup(&at, name.as_bytes())?.0))
    }

    /// READ: bytes, and whether the file ends there.
    pub fn read(&mut self, file: &Handle, offset: u64, count: u32) -> Outcome<(Vec<u8>, bool)> {
        self.ask(&Call::read(file, offset, count), decode_read)
    }

    /// WRITE: bytes written, what is promised, and the verifier.
    pub fn write(&mut self, file: &Handle, offset: u64, data: &[u8], stable: Stable) -> Outcome<(u32, u32, u64)> {
        self.ask(&Call::write(file, offset, data, stable), decode_written)
    }

    /// COMMIT: the verifier.
    pub fn commit(&mut self, file: &Handle) -> Outcome<u64> {
        self.ask(&Call::commit(file), |reader| {
            reader.around()?;
            reader.long()
        })
    }

    /// CREATE of a file, guarded or unchecked.
    pub fn create(&mut self, directory: &Handle, name: &[u8], guarded: bool, set: &Set) -> Outcome<Handle> {
        self.ask(&Call::create(directory, name, guarded.into(), set), decode_made)
    }

    /// CREATE, exclusive.
    pub fn create_exclusive(&mut self, directory: &Handle, name: &[u8], verifier: u64) -> Outcome<Handle> {
        self.ask(&Call::create_exclusive(directory, name, verifier), decode_made)
    }

    /// MKDIR.
    pub fn make_directory(&mut self, directory: &Handle, name: &[u8], mode: u32) -> Outcome<Handle> {
        let set = Set { mode: Some(mode), ..Set::default() };
        self.ask(&Call::make_directory(directory, name, &set), decode_made)
    }

    /// SYMLINK.
    pub fn make_symlink(&mut self, directory: &Handle, name: &[u8], target: &[u8]) -> Outcome<Handle> {
        self.ask(&Call::make_symlink(directory, name, &Set::default(), target), decode_made)
    }

    /// READLINK.
    pub fn read_link(&mut self, link: &Handle) -> Outcome<Vec<u8>> {
        self.ask(&Call::read_link(link), |reader| {
            reader.after()?;
            Ok(reader.opaque()?.to_vec())
        })
    }

    /// REMOVE.
    pub fn remove(&mut self, directory: &Handle, name: &[u8]) -> Outcome<Around> {
        self.ask(&Call::remove(directory, name), |reader| reader.around())
    }

    /// RMDIR.
    pub fn remove_directory(&mut self, directory: &Handle, name: &[u8]) -> Outcome<Around> {
        self.ask(&Call::remove_directory(directory, name), |reader| reader.around())
    }

    /// RENAME: around both directories.
    pub fn rename(&mut self, from: &Handle, name: &[u8], to: &Handle, new_name: &[u8]) -> Outcome<(Around, Around)> {
        self.ask(&Call::rename(from, name, to, new_name), |reader| Ok((reader.around()?, reader.around()?)))
    }

    /// LINK.
    pub fn link(&mut self, file: &Handle, directory: &Handle, name: &[u8]) -> Outcome<Around> {
        self.ask(&Call::link(file, directory, name), |reader| {
            reader.after()?;
            reader.around()
        })
    }

    /// A whole listing, without `.` and `..`, by READDIRPLUS calls of at most `count` bytes.
    pub fn list(&mut self, directory: &Handle, count: u32) -> Outcome<Vec<Entry>> {
        let (mut all, mut cookie, mut verifier) = (Vec::new(), 0, 0);
        loop {
            let call = Call::read_directory_plus(directory, cookie, verifier, count, count);
            let (new_verifier, entries, end) = self.ask(&call, |reader| reader.listing(true))?;
            verifier = new_verifier;
            cookie = entries.last().map_or(cookie, |entry| entry.cookie);
            all.extend(entries.into_iter().filter(|entry| entry.name != b"." && entry.name != b".."));
            if end {
                return Ok(all);
            }
        }
    }
}

/// The results of CREATE and its fellows after the status: the handle.
fn decode_made(reader: &mut Reader<'_>) -> Outcome<Handle> {
    let handle = reader.optional_handle()?.ok_or(Failure::Garbage)?;
    reader.after()?;
    reader.around()?;
    Ok(handle)
}

/// The results of READ after the status: bytes, and whether the file ends there.
pub fn decode_read(reader: &mut Reader<'_>) -> Outcome<(Vec<u8>, bool)> {
    reader.after()?;
    let (count, end) = (reader.word()?, reader.flag()?);
    let data = reader.opaque()?.to_vec();
    if data.len() == count as usize { Ok((data, end)) } else { Err(Failure::Garbage) }
}

/// The results of WRITE after the status: count, what is promised, verifier.
pub fn decode_written(reader: &mut Reader<'_>) -> Outcome<(u32, u32, u64)> {
    reader.around()?;
    Ok((reader.word()?, reader.word()?, reader.long()?))
}
