//! Reads requests off a connection.
//!
//! Invariant: a request has arrived within its time or is refused, however slowly its bytes drip; no more is kept
//! than the limits say.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Header, Status};

use crate::control::http::socket::Socket;
use crate::control::http::{Handler, Limits, Method, Request};

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is none, or of a kind that is not taken.
    Malformed(String),
    /// No resource takes that method.
    UnknownMethod(String),
    /// It is larger than the limits say.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// The connection ended, or was quiet for too long.
    Gone,
}

/// A request, and how to go on after it.
pub struct Received {
    /// The request.
    pub request: Request,
    /// Whether the answer has no body.
    pub head_only: bool,
    /// Whether more requests may follow.
    pub keep_alive: bool,
}

/// The requests of a connection.
pub struct Incoming<'a> {
    socket: &'a mut Socket,
    limits: &'a Limits,
    /// Knows which bodies may be larger.
    handler: Option<&'a dyn Handler>,
    /// What was read and not yet taken.
    buffer: Vec<u8>,
}

/// The first line and the headers.
struct Head {
    method: String,
    target: String,
    is_http_1_0: bool,
    content_length: usize,
    connection: String,
    expects_continue: bool,
    authorization: Option<String>,
    cookie: Option<String>,
    last_event_id: Option<String>,
    /// Bytes of it.
    length: usize,
}

impl<'a> Incoming<'a> {
    /// Requests that come over `socket`.
    pub fn new(socket: &'a mut Socket, limits: &'a Limits) -> Self {
        Self { socket, limits, handler: None, buffer: Vec::new() }
    }

    /// The same, where a handler knows which bodies may be larger.
    pub fn known_to(self, handler: &'a dyn Handler) -> Self {
        Self { handler: Some(handler), ..self }
    }

    /// Waits for the next request.
    pub fn next(&mut self) -> Result<Received, Refusal> {
        if self.buffer.is_empty() {
            match self.read_some(Instant::now() + self.limits.idle_time) {
                Err(Refusal::TooSlow) => return Err(Refusal::Gone),
                other => other?,
            }
        }
        let deadline = Instant::now() + self.limits.request_time;
        let head = self.head(deadline)?;
        let larger = self.handler.and_then(|handler| handler.body_bytes_max(&head.target, head.cookie.as_deref()));
        if head.content_length > larger.unwrap_or(self.limits.body_bytes) {
            return Err(Refusal::TooLarge);
        }
        self.buffer.drain(..head.length);
        if head.expects_continue && self.buffer.len() < head.content_length {
            self.socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Refusal::Gone)?;
        }
        while self.buffer.len() < head.content_length {
            self.read_some(deadline)?;
        }
        let body = self.buffer.drain(..head.content_length).collect();
        self.received(head, body)
    }

    fn received(&self, head: Head, body: Vec<u8>) -> Result<Received, Refusal> {
        let head_only = head.method == "HEAD";
        let method = if head_only { Some(Method::Get) } else { Method::parse(&head.method) };
        let (path, query) = split_target(&head.target)?;
        let keep_alive = match head.connection.as_str() {
            close if close.contains("close") => false,
            keep if keep.contains("keep-alive") => true,
            _ => !head.is_http_1_0,
        };
        let request = Request {
            transport: self.socket.transport(),
            peer: self.socket.peer(),
            method: method.ok_or(Refusal::UnknownMethod(head.method))?,
            path,
            query,
            authorization: head.authorization,
            cookie: head.cookie,
            last_event_id: head.last_event_id,
            body,
        };
        Ok(Received { request, head_only, keep_alive })
    }

    fn head(&mut self, deadline: Instant) -> Result<Head, Refusal> {
        loop {
            if let Some(head) = parse_head(&self.buffer, self.limits)? {
                return Ok(head);
            }
            if self.buffer.len() >= self.limits.head_bytes {
                return Err(Refusal::TooLarge);
            }
            self.read_some(deadline)?;
        }
    }

    /// Reads what is there, at least one byte.
    fn read_some(&mut self, deadline: Instant) -> Result<(), Refusal> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Err(Refusal::TooSlow);
        }
        self.socket.set_read_timeout(left).map_err(|_| Refusal::Gone)?;
        let mut bytes = [0; 8 << 10];
        match self.socket.read(&mut bytes) {
            Ok(0) => Err(Refusal::Gone),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if is_timeout(&error) => Err(Refusal::TooSlow),
            Err(_) => Err(Refusal::Gone),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The head, once all of it is there.
fn parse_head(bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Refusal> {
    let mut headers = vec![EMPTY_HEADER; limits.headers];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(Status::Complete(length)) if length <= limits.head_bytes => length,
        Ok(Status::Complete(_)) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(Refusal::Malformed(error.to_string())),
    };
    let mut head = Head {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        is_http_1_0: parsed.version == Some(0),
        content_length: 0,
        connection: String::new(),
        expects_continue: false,
        authorization: None,
        cookie: None,
        last_event_id: None,
        length,
    };
    let mut length_given = false;
    for header in parsed.headers.iter() {
        head.take(header, &mut length_given)?;
    }
    Ok(Some(head))
}

impl Head {
    fn take(&mut self, header: &Header<'_>, length_given: &mut bool) -> Result<(), Refusal> {
        let wrong = |what: &str| Err(Refusal::Malformed(what.to_owned()));
        let name = header.name.to_ascii_lowercase();
        let Ok(value) = std::str::from_utf8(header.value) else {
            // Only headers that mean nothing here may have other bytes.
            let matters = ["content-length", "transfer-encoding", "authorization"].contains(&name.as_str());
            return if matters { wrong("a header is not UTF-8") } else { Ok(()) };
        };
        match name.as_str() {
            // Two lengths, or a length and chunks, are how one request is smuggled within another.
            "content-length" if *length_given => return wrong("Content-Length is given twice"),
            "content-length" => {
                *length_given = true;
                let Some(length) = parse_length(value) else { return wrong("Content-Length is not a number") };
                self.content_length = length;
            }
            "transfer-encoding" => return wrong("chunked bodies are not taken: send Content-Length"),
            "connection" => self.connection = value.to_ascii_lowercase(),
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            "authorization" => self.authorization = Some(value.to_owned()),
            "cookie" => self.cookie = Some(value.to_owned()),
            "last-event-id" => self.last_event_id = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// Digits and nothing else. One that no number can hold is larger than any limit.
fn parse_length(value: &str) -> Option<usize> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(usize::MAX))
}

/// Path and query of a target: `/path?query`, or with a scheme and host in front.
fn split_target(target: &str) -> Result<(String, String), Refusal> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    if !path.starts_with('/') {
        return Err(Refusal::Malformed("the request's target is no path".to_owned()));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Ok((path.to_owned(), query.to_owned()))
}
