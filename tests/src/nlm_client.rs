//! A client that locks files (NLM version 4): what it asks, and what it is called with.
//!
//! [`Lockd`] stands for all programs of clients that servers call: rpcbind, the lock manager and the status monitor, at one
//! port of all addresses of the loopback.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::nfs_client::{Call, Client, Handle, NLM, NSM, Outcome, Reader, Writer};

/// Outcomes, as the X/Open document numbers them.
pub mod stat {
    /// It is done.
    pub const GRANTED: u32 = 0;
    /// Another is in the way.
    pub const DENIED: u32 = 1;
    /// There are too many locks.
    pub const NO_LOCKS: u32 = 2;
    /// It waits.
    pub const BLOCKED: u32 = 3;
    /// Only locks from before a restart are taken now.
    pub const GRACE: u32 = 4;
    /// It would wait for itself.
    pub const DEADLOCK: u32 = 5;
    /// Nothing may be written there.
    pub const READ_ONLY: u32 = 6;
    /// The file is gone.
    pub const STALE: u32 = 7;
    /// No file has such bytes.
    pub const TOO_BIG: u32 = 8;
    /// It cannot be done.
    pub const FAILED: u32 = 9;
}

/// A lock that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The file.
    pub handle: Handle,
    /// The process.
    pub process: u32,
    /// Whether others may not share it.
    pub exclusive: bool,
    /// The first byte.
    pub offset: u64,
    /// How many; zero has no end.
    pub length: u64,
}

/// Who is in the way, as TEST tells: whether alone, the process, its handle, first byte and how many.
pub type Holder = (bool, u32, Vec<u8>, u64, u64);

/// A client with a name.
pub struct LockClient {
    /// The connection.
    pub client: Client,
    /// What it calls itself.
    pub name: String,
    /// The number that grows when it restarts.
    pub state: u32,
}

impl Lock {
    /// All of a file.
    pub fn all(handle: &Handle, process: u32, exclusive: bool) -> Self {
        Self { handle: handle.clone(), process, exclusive, offset: 0, length: 0 }
    }

    /// The same of these bytes.
    #[must_use]
    pub fn bytes(self, offset: u64, length: u64) -> Self {
        Self { offset, length, ..self }
    }
}

impl LockClient {
    /// A client at an address of the loopback: the last of its four numbers.
    pub fn connect(own: u8, server: SocketAddr) -> Outcome<Self> {
        let client = Client::connect_from(SocketAddr::from(([127, 0, 0, own], 0)), server)?;
        Ok(Self { client, name: format!("client-{own}"), state: 1 })
    }

    /// The call that asks for a lock.
    pub fn lock_call(&self, lock: &Lock, block: bool, reclaim: bool) -> Call {
        let to = Writer::default().opaque(b"cook").words(&[block.into(), lock.exclusive.into()]);
        let to = self.subject(to, lock).words(&[reclaim.into(), self.state]);
        Call { program: NLM, procedure: 2, arguments: to.0 }
    }

    /// Asks for a lock.
    pub fn lock(&mut self, lock: &Lock) -> u32 {
        self.ask(&self.lock_call(lock, false, false))
    }

    /// The same, and waits for it.
    pub fn wait(&mut self, lock: &Lock) -> u32 {
        self.ask(&self.lock_call(lock, true, false))
    }

    /// Takes a lock back.
    pub fn reclaim(&mut self, lock: &Lock) -> u32 {
        self.ask(&self.lock_call(lock, false, true))
    }

    /// Asks who is in the way.
    pub fn test(&mut self, lock: &Lock) -> Result<Holder, u32> {
        let to = self.subject(Writer::default().opaque(b"cook").words(&[lock.exclusive.into()]), lock);
        let results = self.client.call(&Call { program: NLM, procedure: 1, arguments: to.0 }).unwrap();
        let mut reader = Reader(&results);
        assert_eq!(reader.opaque().unwrap(), b"cook");
        match reader.word().unwrap() {
            stat::DENIED => {
                let (exclusive, process) = (reader.flag().unwrap(), reader.word().unwrap());
                let handle = reader.opaque().unwrap().to_vec();
                let holder = (exclusive, process, handle, reader.long().unwrap(), reader.long().unwrap());
                reader.finish().unwrap();
                Ok(holder)
            }
            other => Err(other),
        }
    }

    /// Waits no longer.
    pub fn cancel(&mut self, lock: &Lock) -> u32 {
        let to = self.subject(Writer::default().opaque(b"cook").words(&[1, lock.exclusive.into()]), lock);
        self.ask(&Call { program: NLM, procedure: 3, arguments: to.0 })
    }

    /// Gives bytes back.
    pub fn unlock(&mut self, lock: &Lock) -> u32 {
        let to = self.subject(Writer::default().opaque(b"cook"), lock);
        self.ask(&Call { program: NLM, procedure: 4, arguments: to.0 })
    }

    /// Says that a client of a name has no locks.
    pub fn free_all(&mut self, name: &str) {
        let arguments = Writer::default().opaque(name.as_bytes()).words(&[3]).0;
        assert!(self.client.call(&Call { program: NLM, procedure: 23, arguments }).unwrap().is_empty());
    }

    /// Says that a client of a name has restarted.
    pub fn notify(&mut self, name: &str) {
        let arguments = Writer::default().opaque(name.as_bytes()).words(&[3]).0;
        assert!(self.client.call(&Call { program: NSM, procedure: 6, arguments }).unwrap().is_empty());
    }

    /// Makes a call whose answer is a cookie and an outcome.
    pub fn ask(&mut self, call: &Call) -> u32 {
        let results = self.client.call(call).unwrap();
        let mut reader = Reader(&results);
        assert_eq!(reader.opaque().unwrap(), b"cook");
        let outcome = reader.word().unwrap();
        reader.finish().unwrap();
        outcome
    }

    fn subject(&self, to: Writer, lock: &Lock) -> Writer {
        let owner = format!("{}@{}", lock.process, self.name);
        let to = to.opaque(self.name.as_bytes()).opaque(&lock.handle.0).opaque(owner.as_bytes());
        to.words(&[lock.process]).long(lock.offset).long(lock.length)
    }
}

/// What a client was called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// The lock that the client of that name waited for is its own.
    Granted {
        /// The name.
        name: String,
        /// The lock.
        lock: Lock,
    },
    /// A server of that name has restarted, and has that number now.
    Restarted {
        /// The name.
        name: String,
        /// The number.
        state: u32,
    },
}

/// How a client behaves when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// It answers with this.
    Answers(u32),
    /// It does not answer.
    Hangs,
    /// It takes no calls.
    Refuses,
}

/// The programs of all clients on the loopback.
pub struct Lockd {
    /// The port of all of them.
    pub port: u16,
    calls: Receiver<(IpAddr, Called)>,
    manners: Arc<Mutex<HashMap<IpAddr, Manners>>>,
}

impl Lockd {
    /// Listens at a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, calls) = channel();
        let manners = Arc::<Mutex<HashMap<IpAddr, Manners>>>::default();
        thread::spawn({
            let manners = manners.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let (tell, manners) = (tell.clone(), manners.clone());
                    thread::spawn(move || drop(serve(stream, port, &tell, &manners)));
                }
            }
        });
        Self { port, calls, manners }
    }

    /// How the client at this address behaves from now on; by default it answers that all is well.
    pub fn set(&self, own: u8, manners: Manners) {
        self.manners.lock().unwrap().insert(IpAddr::from([127, 0, 0, own]), manners);
    }

    /// The next call, to which client. `None` if none comes within a time.
    pub fn next(&self, within: Duration) -> Option<(u8, Called)> {
        match self.calls.recv_timeout(within) {
            Ok((IpAddr::V4(address), called)) => Some((address.octets()[3], called)),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => panic!("the listener ends never, and is one for IPv4"),
            Err(RecvTimeoutError::Timeout) => None,
        }
    }
}

fn serve(
    mut stream: TcpStream,
    port: u16,
    tell: &Sender<(IpAddr, Called)>,
    manners: &Mutex<HashMap<IpAddr, Manners>>,
) -> io::Result<()> {
    let own = stream.local_addr()?.ip();
    loop {
        let mut mark = [0; 4];
        stream.read_exact(&mut mark)?;
        let mut record = vec![0; (u32::from_be_bytes(mark) & !(1 << 31)) as usize];
        stream.read_exact(&mut record)?;
        let manners = manners.lock().unwrap().get(&own).copied().unwrap_or(Manners::Answers(stat::GRANTED));
        if manners == Manners::Refuses {
            return Ok(());
        }
        let (xid, results, called) = answer(&record, port, manners).map_err(io::Error::other)?;
        let is_hanging = called.is_some() && manners == Manners::Hangs;
        called.into_iter().for_each(|called| drop(tell.send((own, called))));
        if !is_hanging {
            let reply = [Writer::default().words(&[xid, 1, 0, 0, 0, 0]).0, results].concat();
            stream.write_all(&(reply.len() as u32 | 1 << 31).to_be_bytes())?;
            stream.write_all(&reply)?;
        }
    }
}

/// A call's number, the results, and what it was about.
fn answer(record: &[u8], port: u16, manners: Manners) -> Outcome<(u32, Vec<u8>, Option<Called>)> {
    let mut reader = Reader(record);
    let [xid, _call, _rpc, program, version, procedure, _flavor] = [(); 7].map(|()| reader.word().unwrap());
    reader.opaque()?;
    let (_, _) = (reader.word()?, reader.opaque()?);
    let text = |reader: &mut Reader<'_>| reader.opaque().map(|text| String::from_utf8_lossy(text).into_owned());
    let (results, called) = match (program, version, procedure) {
        (100_000, 2, 3) => {
            reader.take(16)?;
            (Writer::default().words(&[u32::from(port)]), None)
        }
        (NLM, 4, 5) => {
            let (_cookie, exclusive, name) = (reader.opaque()?, reader.flag()?, text(&mut reader)?);
            let (handle, owner) = (Handle(reader.opaque()?.to_vec()), text(&mut reader)?);
            let (process, offset, length) = (reader.word()?, reader.long()?, reader.long()?);
            assert_eq!(owner, format!("{process}@{name}"));
            let lock = Lock { handle, process, exclusive, offset, length };
            let outcome = if let Manners::Answers(outcome) = manners { outcome } else { 0 };
            (Writer::default().opaque(b"").words(&[outcome]), Some(Called::Granted { name, lock }))
        }
        (NSM, 1, 6) => {
            let (name, state) = (text(&mut reader)?, reader.word()?);
            (Writer::default(), Some(Called::Restarted { name, state }))
        }
        other => panic!("{other:?} is called"),
    };
    reader.finish()?;
    Ok((xid, results.0, called))
}
