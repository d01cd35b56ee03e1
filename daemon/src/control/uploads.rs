//! What `dvp upload` speaks: a session, a login, a token, and the artifact in a form.
//!
//! Invariant: nothing is taken in before the API's token was given as password, in a session that is still young; and
//! both sessions and uploads are bounded.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cow_api::v1::{Code, Plugin, Problem};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::actions::{Actions, Asked};
use crate::control::http::{Method, Request, Response};
use crate::control::route::JSON;
use crate::control::token::Token;
use crate::virtualization::{Plugins, Verbs};

/// Where it all is.
pub const PREFIX: &str = "/resources/json/";
/// Where artifacts are sent.
const UPLOAD: &str = "/resources/json/delphix/data/upload";
/// Most bytes of an artifact with its form.
const UPLOAD_BYTES_MAX: usize = 64 << 20;
/// Most sessions at once; the oldest give way.
const SESSIONS_MAX: usize = 64;
/// How long a session lasts.
const SESSION_TIME: Duration = Duration::from_mins(30);
/// The cookie's name.
const COOKIE: &str = "JSESSIONID";

/// A session of a client.
struct Session {
    began: Instant,
    is_logged_in: bool,
    /// What the next upload must carry.
    upload_token: Option<String>,
}

/// The sessions of clients.
pub struct Uploads {
    token: Option<Token>,
    sessions: Mutex<HashMap<String, Session>>,
}

impl Uploads {
    /// Lets in who knows the token; without one, nobody.
    pub fn new(token: Option<Token>) -> Self {
        Self { token, sessions: Mutex::default() }
    }

    /// Most bytes of a body, where it may be larger than others.
    pub fn body_bytes_max(&self, target: &str, cookie: Option<&str>) -> Option<usize> {
        let is_ours = target == UPLOAD && session_id(cookie).is_some_and(|id| self.is_logged_in(id));
        is_ours.then_some(UPLOAD_BYTES_MAX)
    }

    /// Answers a request below [`PREFIX`].
    pub fn answer(&self, verbs: &Verbs, request: &Request) -> Response {
        let answer = self.done(verbs, request);
        answer.unwrap_or_else(|problem| {
            let error = json!({
                "type": "APIError",
                "id": problem.code.as_str(),
                "details": problem.detail,
                "action": problem.hint,
                "commandOutput": problem.output,
            });
            answer_of(problem.status, &json!({ "type": "ErrorResult", "status": "ERROR", "error": error }))
        })
    }

    fn done(&self, verbs: &Verbs, request: &Request) -> Result<Response, Problem> {
        let what = request.path.strip_prefix(PREFIX).unwrap_or_default();
        if (request.method, what) == (Method::Post, "delphix/session") {
            return self.begin();
        }
        let id = session_id(request.cookie.as_deref()).unwrap_or_default();
        if (request.method, what) == (Method::Post, "delphix/login") {
            self.log_in(id, &request.body)?;
            return Ok(ok(&Value::from("USER-1")));
        }
        if !self.is_logged_in(id) {
            return Err(Problem::new(Code::Unauthorized, "nobody is logged in in this session, or it is too old"));
        }
        match (request.method, what) {
            (Method::Post, "delphix/toolkit/requestUploadToken") => {
                let token = random_text()?;
                if let Some(session) = self.sessions.lock().get_mut(id) {
                    session.upload_token = Some(token.clone());
                }
                Ok(ok(&json!({ "type": "FileUploadResult", "token": token, "url": UPLOAD })))
            }
            (Method::Post, "delphix/data/upload") => {
                let taken = self.take(&verbs.plugins, id, &request.body);
                record(&verbs.actions, request, &taken);
                let plugin = taken?.id;
                let result =
                    json!({ "type": "OKResult", "status": "OK", "result": plugin, "action": "ACTION-1", "job": null });
                Ok(answer_of(200, &result))
            }
            (Method::Get, action) if action.starts_with("delphix/action/") => {
                // An upload is answered when it is done, so that an action which somebody knows of is, too.
                Ok(ok(&json!({ "type": "Action", "state": "COMPLETED", "jobState": "COMPLETED", "events": [] })))
            }
            _ => Err(Problem::new(Code::NoSuchRoute, format!("there is no {}", request.path.escape_default()))),
        }
    }

    fn begin(&self) -> Result<Response, Problem> {
        let id = random_text()?;
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, session| session.began.elapsed() < SESSION_TIME);
        while sessions.len() >= SESSIONS_MAX {
            // Who never logged in goes first.
            let oldest = sessions.iter().min_by_key(|(_, session)| (session.is_logged_in, session.began));
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            sessions.remove(&oldest);
        }
        sessions.insert(id.clone(), Session { began: Instant::now(), is_logged_in: false, upload_token: None });
        let mut answer = ok(&json!({ "type": "APISession" }));
        answer.headers.push(("Set-Cookie", format!("{COOKIE}={id}; Path=/resources; HttpOnly")));
        Ok(answer)
    }

    fn log_in(&self, id: &str, body: &[u8]) -> Result<(), Problem> {
        let login: Value = serde_json::from_slice(body).unwrap_or_default();
        let password = login["password"].as_str().unwrap_or_default();
        let is_right = self.token.as_ref().is_some_and(|token| token.admits(Some(&format!("Bearer {password}"))));
        let mut sessions = self.sessions.lock();
        let session = sessions.get_mut(id).filter(|session| session.began.elapsed() < SESSION_TIME);
        match session {
            Some(session) if is_right => {
                session.is_logged_in = true;
                Ok(())
            }
            _ => Err(Problem::new(Code::Unauthorized, "the password is wrong")
                .with_hint("give the API's token, which is in cowd's control.token_file; any user will do")),
        }
    }

    fn is_logged_in(&self, id: &str) -> bool {
        let sessions = self.sessions.lock();
        sessions.get(id).is_some_and(|session| session.is_logged_in && session.began.elapsed() < SESSION_TIME)
    }

    fn take(&self, plugins: &Plugins, id: &str, body: &[u8]) -> Result<Plugin, Problem> {
        let malformed = || Problem::new(Code::InvalidRequest, "this is no upload of an artifact");
        let (token, artifact) = form(body).ok_or_else(malformed)?;
        let expected = self.sessions.lock().get_mut(id).and_then(|session| session.upload_token.take());
        if expected.is_none_or(|expected| expected.as_bytes() != token) {
            return Err(Problem::new(Code::Unauthorized, "the upload's token is not the one that was asked for"));
        }
        let file = Draft::write(plugins.directory(), artifact)?;
        plugins.upload(&file.0)
    }
}

/// Records an upload as what it is: a request to install or upgrade.
fn record(actions: &Actions, request: &Request, taken: &Result<Plugin, Problem>) {
    let (what, request, who) = ("Take in an uploaded plugin".to_owned(), format!("POST {UPLOAD}"), request.who());
    let details = taken.iter().map(|plugin| ("name".to_owned(), plugin.name.clone())).collect();
    actions.record(Asked { who, what, request, details }, taken.as_ref().map(|_| None));
}

/// An artifact that is looked at, and gone afterwards.
struct Draft(PathBuf);

impl Draft {
    fn write(directory: &Path, artifact: &[u8]) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| Problem::new(Code::Io, format!("cannot keep the upload: {error}"));
        fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join(format!(".upload-{}.json", random_text()?));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let draft = Self(path);
        file.write_all(artifact).map_err(failed)?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn answer_of(status: u16, value: &Value) -> Response {
    Response::new(status, JSON, value.to_string())
}

fn ok(result: &Value) -> Response {
    answer_of(200, &json!({ "type": "OKResult", "status": "OK", "result": result, "action": null, "job": null }))
}

/// The session that a cookie names. The client sends back all of what it was told to keep.
fn session_id(cookie: Option<&str>) -> Option<&str> {
    let pairs = cookie?.split(';').map(str::trim);
    pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == COOKIE).map(|(_, id)| id)
}

fn random_text() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    let failed = |error| Problem::new(Code::Internal, format!("there are no random bytes: {error}"));
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()).map_err(failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token and the file of a form, whose boundary is its first line.
fn form(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (boundary, mut rest) = split(body, b"\r\n")?;
    if !boundary.starts_with(b"--") || boundary.len() > 200 {
        return None;
    }
    let end = [b"\r\n", boundary].concat();
    let (mut token, mut file) = (None, None);
    while let Some((head, content)) = split(rest, b"\r\n\r\n") {
        let (content, after) = split(content, &end)?;
        let head = String::from_utf8_lossy(head);
        if head.contains("name=\"token\"") {
            token = Some(content);
        } else if head.contains("name=\"file\"") {
            file = Some(content);
        }
        rest = after;
    }
    Some((token?, file?))
}

/// What stands in front of a mark, and behind it.
fn split<'b>(bytes: &'b [u8], mark: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..at], &bytes[at + mark.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_taken_apart_and_anything_else_is_none() {
        let body =
            b"--B\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nT\r\n--B\r\nContent-Disposition:form-data; \
            name=\"file\"; filename=\"a\"\r\nContent-Type: x\r\n\r\n{\"a\": \"\\r\\n\"}\r\n--B--\r\n";
        assert_eq!(form(body), Some((&b"T"[..], &b"{\"a\": \"\\r\\n\"}"[..])));
        for end in 0..body.len() - 6 {
            assert_eq!(form(&body[..end]), None, "{end}");
        }
        assert_eq!(session_id(Some("a=b; JSESSIONID=x; Path=/")), Some("x"));
        assert_eq!(session_id(Some("JSESSIONIDx=x")), None);
    }
}
