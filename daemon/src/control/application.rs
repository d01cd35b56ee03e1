//! From a request to its answer: who may ask, what is asked, and how problems are told.

use std::time::Instant;

use cow_api::v1::{Code, PROBLEM_MEDIA_TYPE, Problem};

use crate::control::audit::Audit;
use crate::control::call::Call;
use crate::control::http::{Handler, Refusal, Request, Response, Transport};
use crate::control::route::{Found, Route, find};
use crate::control::routes;
use crate::control::token::Token;
use crate::control::uploads::{self, Uploads};
use crate::virtualization::Verbs;

/// Answers requests.
pub struct Application {
    verbs: Verbs,
    token: Option<Token>,
    uploads: Uploads,
    routes: Vec<&'static Route>,
}

impl Application {
    /// Answers by `verbs`. Without a token, nobody is let in over TCP.
    pub fn new(verbs: Verbs, token: Option<Token>) -> Self {
        Self { verbs, uploads: Uploads::new(token.clone()), token, routes: routes::all().collect() }
    }

    fn done(&self, request: Request) -> Result<Response, Response> {
        if request.path.starts_with(uploads::PREFIX) {
            return Ok(self.uploads.answer(&self.verbs, &request));
        }
        if !admitted(self.token.as_ref(), &request) {
            return Err(unauthorized());
        }
        let (route, parameters) = match find(&self.routes, request.method, &request.path) {
            Found::Route(route, parameters) => (route, parameters),
            Found::OtherMethods(others) => {
                let allow: Vec<&str> = others.into_iter().map(|method| method.as_str()).collect();
                return Err(not_allowed(&request, allow.join(", ")));
            }
            Found::Nothing => return Err(no_such_route(&request.path)),
        };
        let began = Instant::now();
        let call = Call::new(route, parameters, request).map_err(|problem| refused(&problem))?;
        let audit = Audit::begin(&self.verbs.actions, route, &call);
        let answer = (route.handle)(&self.verbs, &call);
        if let Some(audit) = audit {
            audit.end(&answer);
        }
        let (method, path, micros) = (route.method.as_str(), route.path, began.elapsed().as_micros() as u64);
        match answer {
            Ok(answer) => {
                tracing::debug!(method, path, status = u64::from(answer.status), micros, "answered");
                Ok(answer)
            }
            Err(problem) => {
                let code = problem.code.as_str();
                // What users do wrong is told to them; what goes wrong here, to whoever runs this.
                if problem.status >= 500 && ![Code::NoSpace, Code::HostFailed].contains(&problem.code) {
                    tracing::error!(method, path, code, micros, problem = %problem.detail, "failed");
                } else {
                    tracing::debug!(method, path, code, micros, problem = %problem.detail, "refused");
                }
                Err(refused(&problem))
            }
        }
    }
}

impl Handler for Application {
    fn answer(&self, request: Request) -> Response {
        self.done(request).unwrap_or_else(|refused| refused)
    }

    fn body_bytes_max(&self, target: &str, cookie: Option<&str>) -> Option<usize> {
        self.uploads.body_bytes_max(target, cookie)
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        refused(&match refusal {
            Refusal::Malformed(what) => Problem::new(Code::InvalidRequest, format!("this is no request: {what}")),
            Refusal::UnknownMethod(name) => {
                Problem::new(Code::MethodNotAllowed, format!("there is no method {}", name.escape_default()))
            }
            Refusal::TooLarge => Problem::new(Code::RequestTooLarge, "the request is larger than any that makes sense"),
            Refusal::TooSlow | Refusal::Gone => {
                Problem::new(Code::RequestTimeout, "the request did not arrive in time")
            }
        })
    }

    fn panicked(&self) -> Response {
        let problem = Problem::new(Code::Internal, "the daemon made a mistake while it answered");
        refused(&problem.with_hint("its log says where; please report it"))
    }
}

/// Whether a request may be answered: the unix socket's mode has decided already.
fn admitted(token: Option<&Token>, request: &Request) -> bool {
    match request.transport {
        Transport::Unix => true,
        Transport::Tcp => token.is_some_and(|token| token.admits(request.authorization.as_deref())),
    }
}

fn unauthorized() -> Response {
    let problem = Problem::new(Code::Unauthorized, "the bearer token is missing or wrong");
    let mut answer = refused(&problem.with_hint("send 'Authorization: Bearer TOKEN', with cowctl '--token-file FILE'"));
    answer.headers.push(("WWW-Authenticate", "Bearer".to_owned()));
    answer
}

fn not_allowed(request: &Request, allow: String) -> Response {
    let detail = format!("{} does not take {}", request.path.escape_default(), request.method.as_str());
    let mut answer = refused(&Problem::new(Code::MethodNotAllowed, detail).with_hint(format!("it takes {allow}")));
    answer.headers.push(("Allow", allow));
    answer
}

fn no_such_route(path: &str) -> Response {
    let problem = Problem::new(Code::NoSuchRoute, format!("there is no {}", path.escape_default()));
    refused(&problem.with_hint("/v1/openapi.json lists what there is; the / in a dataset's name is written %2F"))
}

/// A problem as an answer.
fn refused(problem: &Problem) -> Response {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    Response::new(problem.status, PROBLEM_MEDIA_TYPE, body)
}

#[cfg(test)]
mod tests {
    use crate::control::http::{Body, Method};

    use super::*;

    fn request(transport: Transport, authorization: Option<&str>) -> Request {
        Request {
            transport,
            peer: String::new(),
            method: Method::Get,
            path: "/v1/status".to_owned(),
            query: String::new(),
            authorization: authorization.map(str::to_owned),
            cookie: None,
            last_event_id: None,
            body: Vec::new(),
        }
    }

    #[test]
    fn over_tcp_only_who_knows_the_token_is_let_in() {
        let token = Token::new("0123456789abcdef");
        let right = Some("Bearer 0123456789abcdef");
        for (token, transport, authorization, expected) in [
            (None, Transport::Unix, None, true),
            (Some(&token), Transport::Unix, None, true),
            (None, Transport::Tcp, right, false),
            (Some(&token), Transport::Tcp, None, false),
            (Some(&token), Transport::Tcp, Some("Bearer x"), false),
            (Some(&token), Transport::Tcp, right, true),
        ] {
            assert_eq!(admitted(token, &request(transport, authorization)), expected);
        }
    }

    #[test]
    fn refusals_are_problems() {
        for (answer, status, code) in [
            (unauthorized(), 401, "unauthorized"),
            (not_allowed(&request(Transport::Unix, None), "PUT".to_owned()), 405, "method_not_allowed"),
            (no_such_route("/\u{7}"), 404, "no_such_route"),
        ] {
            let Body::Bytes(bytes) = answer.body else { panic!("{code}") };
            let problem: Problem = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((answer.status, problem.code.as_str()), (status, code));
            assert_eq!(answer.media_type, PROBLEM_MEDIA_TYPE);
            assert!(problem.hint.is_some());
        }
    }
}
