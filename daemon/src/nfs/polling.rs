//! Asks a socket for a moment before a thread sleeps on it.
//!
//! Waking a thread on an idle processor takes longer than answering a call, and a client with one call in flight pays for it each
//! time. So a thread whose client has just been quick asks again and again for as long as a wake-up would cost it.
//!
//! Invariant: after asking in vain nobody asks for that client until it has been quick again, and no more threads ask at
//! once than half the processors: who sleeps does not take the time of who works.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

/// How long to ask, and what is quick.
const TIME_MAX: Duration = Duration::from_micros(100);

/// Who asks now, of all connections.
pub struct Polling {
    threads: AtomicUsize,
    threads_max: usize,
}

/// What one client has done of late.
#[derive(Default)]
pub struct Habit {
    is_quick: AtomicBool,
}

impl Polling {
    /// Nobody asks. `processors` is how many there are.
    pub fn new(processors: usize) -> Self {
        Self { threads: AtomicUsize::new(0), threads_max: (processors / 2).max(1) }
    }

    /// Waits for bytes, the end or an error of `stream` without sleeping, if that is promising, and for a moment only.
    pub fn wait(&self, stream: &TcpStream, habit: &Habit) {
        if !habit.is_quick.load(Ordering::Relaxed) {
            return;
        }
        if self.threads.fetch_add(1, Ordering::Relaxed) < self.threads_max {
            let began = Instant::now();
            let mut byte = [0];
            while matches!(
                recv(stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT),
                Err(rustix::io::Errno::AGAIN)
            ) && began.elapsed() < TIME_MAX
            {
                std::hint::spin_loop();
            }
        }
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Habit {
    /// Remembers how long the last call took to come.
    pub fn note(&self, waited: Duration) {
        self.is_quick.store(waited < TIME_MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn it_asks_for_quick_clients_only_and_takes_no_byte() {
        let (polling, habit) = (Polling::new(2), Habit::default());
        let (mut client, server) = pair();
        habit.note(Duration::from_secs(1));
        polling.wait(&server, &habit);
        habit.note(Duration::ZERO);
        // In vain, but not for ever; then for bytes, and for the end.
        polling.wait(&server, &habit);
        client.write_all(b"x").unwrap();
        polling.wait(&server, &habit);
        assert_eq!(server.peek(&mut [0; 2]).unwrap(), 1);
        drop(client);
        polling.wait(&server, &habit);
        assert_eq!(polling.threads.load(Ordering::Relaxed), 0);
    }
}
