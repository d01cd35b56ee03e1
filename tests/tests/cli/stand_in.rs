//! Something that answers in the daemon's place, for what a real one does not do on demand: take long, find damage.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use cow_tests::scratch::Scratch;
use serde_json::{Value, json};

/// Something at a socket. Its thread ends with the test.
pub struct StandIn {
    socket: PathBuf,
    _scratch: Scratch,
}

impl StandIn {
    /// Answers each request with what `answer` makes of its method and target.
    pub fn new(mut answer: impl FnMut(&str, &str) -> (u16, Value) + Send + 'static) -> Self {
        let scratch = Scratch::new("stand-in");
        let socket = scratch.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                // A client that goes away is what some tests are about.
                let _ = serve(stream, &mut answer);
            }
        });
        Self { socket, _scratch: scratch }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

fn serve(stream: UnixStream, answer: &mut impl FnMut(&str, &str) -> (u16, Value)) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.to_ascii_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    reader.take(length.unwrap_or(0)).read_to_end(&mut Vec::new())?;
    let mut words = lines[0].split(' ');
    let (method, target) = (words.next().unwrap().to_ascii_uppercase(), words.next().unwrap());
    let (status, body) = answer(&method, target);
    let body = body.to_string();
    write!(&stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A job as the daemon tells of it, number 1.
pub fn job(kind: &str, state: &str, report: Value) -> Value {
    json!({
        "id": 1, "kind": kind, "subject": "something", "created": "2026-03-01T09:30:00Z", "report": report,
        "progress": { "state": state, "percent": 42.0, "bytes_done": 42, "bytes_total": 100, "rate": 1.0 }
    })
}
