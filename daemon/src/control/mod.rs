//! The control API: HTTP and JSON over a unix socket, and over TCP when it is configured.
//!
//! A request's way: `http` reads it, `application` lets it in and finds its route, the route's function in `routes`
//! decodes it into a type of `cow_api` and calls the service, whose answer or problem is encoded.
//!
//! Invariant: [`routes::all`] is the only list of routes; the router and the OpenAPI document are made of it.

mod application;
mod audit;
mod call;
mod events;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
pub mod http;
mod listen;
mod openapi;
mod route;
mod routes;
mod token;
mod uploads;

use std::io;
use std::net::SocketAddr;

use crate::control::application::Application;
use crate::control::http::{Limits, Listener, Server};
pub use crate::control::listen::{tcp, unix};
pub use crate::control::token::{Token, TokenError};
use crate::virtualization::Verbs;

/// The API while it is served. Dropping it stops it.
pub struct Control {
    server: Server,
    verbs: Verbs,
}

impl Control {
    /// Serves the API on `listeners`. Without a token, nobody is let in over TCP.
    pub fn start(listeners: Vec<Listener>, verbs: Verbs, token: Option<Token>) -> io::Result<Self> {
        let application = Application::new(verbs.clone(), token);
        let server = Server::start(listeners, Box::new(application), Limits::default())?;
        Ok(Self { server, verbs })
    }

    /// Where it listens for TCP, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.address()
    }

    /// Takes no more requests, and lets those end that are being answered.
    pub fn stop(&mut self) {
        // Listeners of events would wait for more.
        self.verbs.service.events().close();
        self.server.stop();
    }
}
