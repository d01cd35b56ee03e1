//! The daemon, as commands ask it.
//!
//! Invariant: every failure becomes a [`Problem`], the daemon's own where it sent one.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use cow_api::v1::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arguments::Given;
use crate::failure::Failure;
use crate::http::{Request, Response, exchange};

/// Where cowd listens unless it is told otherwise.
const DEFAULT_SOCKET: &str = "/run/cow/control.sock";
/// How long a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long the daemon may take for one answer. Long work is a job, which answers at once.
const ANSWER_TIME: Duration = Duration::from_secs(600);

/// Where the daemon is.
#[derive(Debug, PartialEq, Eq)]
enum Endpoint {
    Socket(PathBuf),
    Tcp { authority: String, token: Option<String> },
}

/// The daemon.
#[derive(Debug)]
pub struct Client(Endpoint);

impl Client {
    /// The daemon that flags or the environment name.
    pub fn new(globals: &Given) -> Result<Self, Failure> {
        let token_file = globals.value("token-file");
        let socket = |path: &str| Ok(Self(Endpoint::Socket(path.into())));
        match (globals.value("socket"), globals.value("url")) {
            (Some(_), Some(_)) => Err(Failure::usage("both --socket and --url are given", "give one of them")),
            (Some(path), None) => socket(path),
            (None, Some(url)) => Ok(Self(tcp(url, token_file)?)),
            (None, None) => match (variable("COW_SOCKET"), variable("COW_URL")) {
                (Some(path), _) => socket(&path),
                (None, Some(url)) => Ok(Self(tcp(&url, token_file)?)),
                (None, None) => socket(DEFAULT_SOCKET),
            },
        }
    }

    /// Reads something.
    pub fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, Failure> {
        self.ask("GET", target, None)
    }

    /// Asks for something to be done.
    pub fn post<T: DeserializeOwned>(&self, target: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.ask("POST", target, Some(json(body)))
    }

    /// Changes a part of something.
    pub fn patch<T: DeserializeOwned>(&self, target: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.ask("PATCH", target, Some(json(body)))
    }

    /// Puts something there.
    pub fn put<T: DeserializeOwned>(&self, target: &str) -> Result<T, Failure> {
        self.ask("PUT", target, None)
    }

    /// Takes something away.
    pub fn delete<T: DeserializeOwned>(&self, target: &str) -> Result<T, Failure> {
        self.ask("DELETE", target, None)
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, Failure> {
        let response = self.exchange(method, target, body.as_deref())?;
        if !(200..300).contains(&response.status) {
            return Err(problem_of(&response).into());
        }
        serde_json::from_slice(&response.body).map_err(|error| {
            let detail = format!("the daemon's answer to {method} {target} is not what was expected: {error}");
            Problem::new(Code::Internal, detail).with_hint("cowctl and cowd may be of different versions").into()
        })
    }

    fn exchange(&self, method: &'static str, target: &str, body: Option<&[u8]>) -> Result<Response, Failure> {
        let (host, token) = match &self.0 {
            Endpoint::Socket(_) => ("cowd", None),
            Endpoint::Tcp { authority, token } => (authority.as_str(), token.as_deref()),
        };
        let request = Request { method, target, host, token, body };
        let answered = match &self.0 {
            Endpoint::Socket(path) => UnixStream::connect(path).map(|stream| {
                let timed = stream.set_read_timeout(Some(ANSWER_TIME));
                (Box::new(stream) as Box<dyn Stream>, timed)
            }),
            Endpoint::Tcp { authority, .. } => connect(authority).map(|stream| {
                let timed = stream.set_read_timeout(Some(ANSWER_TIME));
                (Box::new(stream) as Box<dyn Stream>, timed)
            }),
        };
        let (mut stream, timed) = answered.map_err(|error| self.unreachable(&error))?;
        timed.and_then(|()| exchange(&mut stream, &request)).map_err(|error| self.broken_off(&error))
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let problem = Problem::new(Code::Unreachable, format!("cannot reach cowd at {self}: {error}"));
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "only root and the group of the socket may use it",
            _ => "is it running? --socket or COW_SOCKET say where it listens",
        };
        problem.with_hint(hint).into()
    }

    fn broken_off(&self, error: &io::Error) -> Failure {
        let detail = format!("the daemon at {self} did not answer: {error}");
        let hint = "what was asked for may have been done";
        Problem::new(Code::Unreachable, detail).with_hint(hint).into()
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Endpoint::Socket(path) => write!(f, "{}", path.display()),
            Endpoint::Tcp { authority, .. } => write!(f, "http://{authority}"),
        }
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn tcp(url: &str, token_file: Option<&str>) -> Result<Endpoint, Failure> {
    let Some(rest) = url.strip_prefix("http://") else {
        let hint = "write http://HOST:PORT; encryption is left to what stands before it";
        return Err(Failure::usage(format!("'{url}' is no URL of cowd"), hint));
    };
    let authority = rest.trim_end_matches('/');
    if authority.is_empty() || authority.contains(['/', '@', ' ', '?']) {
        return Err(Failure::usage(format!("'{url}' is no URL of cowd"), "write http://HOST:PORT"));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    Ok(Endpoint::Tcp { authority, token: token_file.map(read_token).transpose()? })
}

fn read_token(file: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { Code::PermissionDenied } else { Code::Io };
        Failure::problem(code, format!("cannot read the token from {file}: {error}"))
    })?;
    let token = text.trim();
    if token.is_empty() || token.contains(|character: char| !character.is_ascii_graphic()) {
        return Err(Failure::usage(format!("{file} holds no token"), "it is one word on one line"));
    }
    Ok(token.to_owned())
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIME) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data becomes JSON")
}

/// The daemon's problem, or what its status means where it sent none.
fn problem_of(response: &Response) -> Problem {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| {
        let by_status = Code::all().find(|code| code.status() == response.status).unwrap_or(Code::Unknown);
        // Of the codes with this status, only this one says nothing about what is stored.
        let code = if response.status == 500 { Code::Internal } else { by_status };
        Problem::new(code, format!("the daemon answered with HTTP status {}", response.status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, authority) in [
            ("http://h:1", Some("h:1")),
            ("http://h:1/", Some("h:1")),
            ("http://h", Some("h:80")),
            ("http://[::1]:9", Some("[::1]:9")),
            ("http://[::1]", Some("[::1]:80")),
            ("https://h", None),
            ("h:1", None),
            ("http://", None),
            ("http://h/v1", None),
            ("http://user@h", None),
        ] {
            let found = tcp(url, None).ok();
            let wanted = authority.map(|authority| Endpoint::Tcp { authority: authority.to_owned(), token: None });
            assert_eq!(found, wanted, "{url}");
        }
    }

    #[test]
    fn a_status_without_a_problem_still_has_a_code() {
        let bare = |status| problem_of(&Response { status, body: b"<html>".to_vec() }).code;
        assert_eq!((bare(401), bare(507), bare(418)), (Code::Unauthorized, Code::NoSpace, Code::Unknown));
        assert_eq!(bare(500), Code::Internal);
        let sent = Problem::new(Code::Held, "cannot destroy a@b").with_hint("release it");
        let body = serde_json::to_vec(&sent).unwrap();
        assert_eq!(problem_of(&Response { status: 409, body }), sent);
    }
}
