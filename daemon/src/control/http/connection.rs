//! One connection: request after request, until one of the two ends it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::control::http::incoming::{Incoming, Refusal};
use crate::control::http::socket::Socket;
use crate::control::http::{Body, Handler, Limits, Response};

/// How much of what a refused peer still sends is read away, and for how long: closing with bytes unread would reset
/// the connection, and the peer would not see why it was refused.
const LINGER_BYTES: usize = 256 << 10;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Serves a connection until its end.
pub fn serve(mut socket: Socket, handler: &dyn Handler, limits: &Limits, is_stopping: &AtomicBool) {
    if socket.set_write_timeout(limits.answer_time).is_err() {
        return;
    }
    let mut output = match socket.try_clone() {
        Ok(output) => output,
        Err(_) => return,
    };
    let mut incoming = Incoming::new(&mut socket, limits).known_to(handler);
    loop {
        let received = match incoming.next() {
            Ok(received) => received,
            Err(Refusal::Gone) => return,
            Err(refusal) => {
                let refused = handler.refuse(&refusal);
                if send(&mut output, refused, false, false).is_ok() {
                    linger(&mut output);
                }
                return;
            }
        };
        // A mistake in one answer must not be the end of others.
        let answer = catch_unwind(AssertUnwindSafe(|| handler.answer(received.request)));
        let answer = answer.unwrap_or_else(|_| handler.panicked());
        let keep_alive = received.keep_alive && !is_stopping.load(Ordering::Acquire);
        match send(&mut output, answer, keep_alive, received.head_only) {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

/// Sends an answer. Returns whether the connection can go on.
fn send(output: &mut Socket, answer: Response, keep_alive: bool, head_only: bool) -> io::Result<bool> {
    let keep_alive = keep_alive && matches!(answer.body, Body::Bytes(_));
    let mut bytes = answer.head(keep_alive);
    match answer.body {
        _ if head_only => output.write_all(&bytes)?,
        Body::Bytes(body) => {
            bytes.extend(body);
            output.write_all(&bytes)?;
        }
        Body::Stream(stream) => {
            output.write_all(&bytes)?;
            stream(output)?;
        }
    }
    Ok(keep_alive)
}

fn linger(socket: &mut Socket) {
    let deadline = Instant::now() + LINGER_TIME;
    let mut left = LINGER_BYTES;
    let mut bytes = [0; 8 << 10];
    if socket.shutdown(Shutdown::Write).is_err() {
        return;
    }
    while left > 0 && Instant::now() < deadline {
        let wait = deadline.saturating_duration_since(Instant::now());
        match socket.set_read_timeout(wait).and_then(|()| socket.read(&mut bytes)) {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
    }
}
