//! One HTTP/1.1 exchange over a stream: a request with a whole body, and the whole answer.
//!
//! Invariant: an answer that was cut off is an error, never a shorter body.

use std::io::{self, BufRead, BufReader, Read, Write};

/// Most bytes of an answer's head.
const HEAD_LEN_MAX: u64 = 64 << 10;
/// Most bytes of an answer's body.
const BODY_LEN_MAX: u64 = 1 << 30;
/// Most header lines of an answer.
const HEADERS_MAX: usize = 64;

/// A request.
#[derive(Debug)]
pub struct Request<'r> {
    pub method: &'static str,
    /// Path and query.
    pub target: &'r str,
    pub host: &'r str,
    pub token: Option<&'r str>,
    /// JSON, if there is any.
    pub body: Option<&'r [u8]>,
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// How long an answer's body is.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Chunked,
    Length(u64),
    UntilClosed,
}

/// Sends a request and reads the answer to it.
pub fn exchange(stream: &mut (impl Read + Write), request: &Request<'_>) -> io::Result<Response> {
    stream.write_all(&encode(request))?;
    stream.flush()?;
    let mut reader = BufReader::new(stream);
    loop {
        let head = read_head(&mut reader)?;
        let (status, framing) = decode_head(&head)?;
        // An interim answer says only that there will be another.
        if !(100..200).contains(&status) {
            return Ok(Response { status, body: read_body(&mut reader, &framing)? });
        }
    }
}

fn encode(request: &Request<'_>) -> Vec<u8> {
    let Request { method, target, host, .. } = request;
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n");
    text += &format!("User-Agent: cowctl/{}\r\nConnection: close\r\n", env!("CARGO_PKG_VERSION"));
    if let Some(token) = request.token {
        text += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(body) = request.body {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    [text.as_bytes(), request.body.unwrap_or_default()].concat()
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut limited = reader.take(HEAD_LEN_MAX);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if limited.read_until(b'\n', &mut head)? == 0 {
            return Err(malformed("the answer ends within its head"));
        }
    }
    Ok(head)
}

fn decode_head(head: &[u8]) -> io::Result<(u16, Framing)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(head).map_err(|error| malformed(&format!("the answer is no HTTP: {error}")))?;
    let (Some(status), true) = (response.code, parsed.is_complete()) else {
        return Err(malformed("the answer is no HTTP"));
    };
    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    let framing = match (value("transfer-encoding"), value("content-length")) {
        _ if status == 204 || status == 304 => Framing::Length(0),
        (Some(encoding), _) if encoding == "chunked" => Framing::Chunked,
        (Some(encoding), _) => return Err(malformed(&format!("the answer is encoded as '{encoding}'"))),
        (None, Some(length)) => Framing::Length(length.parse().map_err(|_| malformed("the answer's length is none"))?),
        (None, None) => Framing::UntilClosed,
    };
    Ok((status, framing))
}

fn read_body(reader: &mut impl BufRead, framing: &Framing) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match framing {
        Framing::Length(length) => read_exactly(reader, *length, &mut body)?,
        Framing::UntilClosed => {
            reader.take(BODY_LEN_MAX).read_to_end(&mut body)?;
        }
        Framing::Chunked => while read_chunk(reader, &mut body)? {},
    }
    Ok(body)
}

/// Appends a chunk. Returns whether another follows.
fn read_chunk(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    let mut line = Vec::new();
    reader.take(HEAD_LEN_MAX).read_until(b'\n', &mut line)?;
    let Ok(httparse::Status::Complete((_, length))) = httparse::parse_chunk_size(&line) else {
        return Err(malformed("a piece of the answer has no length"));
    };
    read_exactly(reader, length, body)?;
    let mut end = Vec::new();
    read_exactly(reader, 2, &mut end)?;
    if end != b"\r\n" {
        return Err(malformed("a piece of the answer is longer than it says"));
    }
    Ok(length > 0)
}

fn read_exactly(reader: &mut impl BufRead, length: u64, into: &mut Vec<u8>) -> io::Result<()> {
    if length > BODY_LEN_MAX {
        return Err(malformed("the answer is too long"));
    }
    let read = reader.take(length).read_to_end(into)?;
    if (read as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn malformed(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream whose other end has said its part already.
    struct Said {
        answer: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Read for Said {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            // A byte at a time, as a network may.
            let length = buffer.len().min(1);
            self.answer.read(&mut buffer[..length])
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ask(answer: &[u8]) -> io::Result<Response> {
        let mut stream = Said { answer: io::Cursor::new(answer.to_vec()), heard: Vec::new() };
        let request =
            Request { method: "POST", target: "/v1/a", host: "h", token: Some("secret"), body: Some(b"{\"a\":1}") };
        let answered = exchange(&mut stream, &request);
        let heard = String::from_utf8(stream.heard).unwrap();
        assert!(heard.starts_with("POST /v1/a HTTP/1.1\r\nHost: h\r\n") && heard.ends_with("\r\n\r\n{\"a\":1}"));
        assert!(heard.contains("\r\nAuthorization: Bearer secret\r\n") && heard.contains("\r\nContent-Length: 7\r\n"));
        answered
    }

    #[test]
    fn every_framing_is_read_and_every_cut_is_seen() {
        for (answer, status) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..], 200),
            (b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", 404),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello", 201),
        ] {
            assert_eq!(ask(answer).unwrap(), Response { status, body: b"hello".to_vec() });
            for cut in 0..answer.len() {
                assert!(ask(&answer[..cut]).is_err(), "cut at {cut}");
            }
        }
        assert_eq!(ask(b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap().body, b"hello");
        assert_eq!(ask(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().body, b"");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for answer in [
            &b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx\r\n",
        ] {
            assert!(ask(answer).is_err(), "{}", answer.escape_ascii());
        }
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 200_000]].concat();
        assert!(ask(&endless).is_err());
    }
}
