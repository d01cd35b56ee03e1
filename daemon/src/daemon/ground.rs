//! The hosts that the daemon works on: what is known of them, and the connections to them.

use std::sync::Arc;

use cow_api::v1::{Code, Problem};

use crate::config::Config;
use crate::daemon::failure::failure;
use crate::hosts::Hosts;
use crate::secrets::Key;
use crate::state::State;
use crate::virtualization::Environments;

/// The file of the key that seals what is secret in the state, in its directory.
const KEY: &str = "key";
/// Beside the control socket: the directory of the sockets of connections.
const SOCKETS: &str = "cow-ssh";

/// What is known of hosts, and nobody connected yet.
pub fn environments(config: &Config, state: Arc<State>) -> Result<Arc<Environments>, Problem> {
    let key = Key::load_or_create(&state.directory().join(KEY));
    let key = key.map_err(|error| failure(&error, "without it, what is sealed in cowd's state cannot be read"))?;
    let directory = config.control.with_file_name(SOCKETS);
    let hosts = Hosts::new(&directory).map_err(|error| {
        let detail = format!("cannot make a directory for connections to hosts: {error}");
        Problem::new(Code::Io, detail).with_hint("it is made beside the control socket, whose path must be short")
    })?;
    Ok(Arc::new(Environments::new(state, key, hosts)))
}
