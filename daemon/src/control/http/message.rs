//! Requests and responses.

use std::io::{self, Write};

/// What is to be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Look; also for HEAD, whose answer has no body.
    Get,
    /// Do, or make.
    Post,
    /// Make, by its name.
    Put,
    /// Change.
    Patch,
    /// End.
    Delete,
}

impl Method {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let methods = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];
        methods.into_iter().find(|method| method.as_str() == name)
    }
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over the unix socket: its permission bits let the caller in.
    Unix,
    /// Over TCP: anybody may have sent it.
    Tcp,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How it came.
    pub transport: Transport,
    /// From whom, as far as the kernel knows: `uid 0` over the unix socket, the address over TCP.
    pub peer: String,
    /// What is to be done.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// What stands behind `?`, still percent-encoded; empty where there is none.
    pub query: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `Cookie`.
    pub cookie: Option<String>,
    /// The header `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Who sent it, once it was let in: over TCP, somebody who knows the token.
    pub fn who(&self) -> String {
        match self.transport {
            Transport::Unix => self.peer.clone(),
            Transport::Tcp => format!("token from {}", self.peer),
        }
    }
}

/// Writes an answer that has no end in sight, until that fails or there is no more.
pub type Stream = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// What an answer carries.
pub enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Whatever is written, until the connection ends.
    Stream(Stream),
}

/// An answer.
pub struct Response {
    /// The status.
    pub status: u16,
    /// The body's media type.
    pub media_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// An answer of these bytes.
    pub fn new(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, media_type, headers: Vec::new(), body: Body::Bytes(body.into()) }
    }

    /// The first line and the headers.
    pub(super) fn head(&self, keep_alive: bool) -> Vec<u8> {
        let reason = reason(self.status);
        let mut head = format!("HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\n", self.status, self.media_type);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Body::Bytes(bytes) = &self.body {
            head += &format!("Content-Length: {}\r\n", bytes.len());
        }
        head += "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
        head += if keep_alive { "Connection: keep-alive\r\n\r\n" } else { "Connection: close\r\n\r\n" };
        head.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Other",
    }
}
