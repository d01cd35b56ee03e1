//! Calls that come by UDP: those to the status monitor, which clients that have restarted make in no other way, and to rpcbind's
//! stand-in.
//!
//! Invariant: nothing else is answered, and no answer is longer than the call, so that nobody who uses another's address makes
//! us send it more than was sent.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::nfs::rpc::{self, Header};
use crate::nfs::service::{Answer, Origin, Service};
use crate::nfs::{nsm, portmap};

/// Longest call, in bytes.
const LENGTH_MAX: usize = 1400;
/// Bytes of a record's mark, which datagrams have none of.
const MARK_LEN: usize = 4;
/// How soon the thread sees that it shall end.
const PATIENCE: Duration = Duration::from_millis(200);

/// A socket that is read. Dropping it ends that.
pub struct Datagrams {
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Datagrams {
    /// Answers calls at an address. `owner` holds the service.
    pub fn start<O: AsRef<Service> + Send + Sync + 'static>(address: SocketAddr, owner: Arc<O>) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let ending = is_ending.clone();
        let thread = std::thread::Builder::new().name("nfs-datagrams".to_owned()).spawn(move || {
            let mut buffer = [0; LENGTH_MAX];
            while !ending.load(Ordering::Acquire) {
                match socket.recv_from(&mut buffer) {
                    Ok((length, peer)) => answer(&socket, (*owner).as_ref(), peer, &buffer[..length]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // Such as that an earlier answer found nobody.
                    Err(_) => std::thread::yield_now(),
                }
            }
        })?;
        Ok(Self { is_ending, thread: Some(thread) })
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(socket: &UdpSocket, service: &Service, peer: SocketAddr, call: &[u8]) {
    let Ok(Header::Call(header, _)) = rpc::decode(call) else { return };
    if ![nsm::PROGRAM, portmap::PROGRAM].contains(&header.program) {
        return;
    }
    let origin = Origin::new(peer, None).of_datagram();
    let reply = match service.answer(&origin, call, false) {
        Answer::Reply(reply) => reply.bytes()[MARK_LEN..].to_vec(),
        Answer::Kept(reply) => reply[MARK_LEN..].to_vec(),
        Answer::Promised(_) | Answer::Nothing | Answer::End => return,
    };
    if reply.len() <= call.len() {
        let _ = socket.send_to(&reply, peer);
    }
}
