//! What data virtualization stands on: the hosts that the daemon works on, and the plugins that it runs.

use std::sync::Arc;

use cow_api::v1::{Code, Problem};

use crate::config::Config;
use crate::daemon::failure::failure;
use crate::hosts::Hosts;
use crate::plugins::{Language, Runner, Settings};
use crate::secrets::Key;
use crate::state::State;
use crate::virtualization::{Environments, Plugins};

/// The file of the key that seals what is secret in the state, in its directory.
const KEY: &str = "key";
/// The directory of plugins, in the directory of the state.
const PLUGINS: &str = "plugins";
/// Beside the control socket: the directory of the sockets of connections.
const SOCKETS: &str = "cow-ssh";

/// The key that seals what is secret in the state; made at the first start.
pub fn key(state: &State) -> Result<Key, Problem> {
    let key = Key::load_or_create(&state.directory().join(KEY));
    key.map_err(|error| failure(&error, "without it, what is sealed in cowd's state cannot be read"))
}

/// What is known of hosts, and nobody connected yet.
pub fn environments(config: &Config, state: Arc<State>) -> Result<Arc<Environments>, Problem> {
    let key = key(&state)?;
    let directory = config.control.with_file_name(SOCKETS);
    let hosts = Hosts::new(&directory).map_err(|error| {
        let detail = format!("cannot make a directory for connections to hosts: {error}");
        Problem::new(Code::Io, detail).with_hint("it is made beside the control socket, whose path must be short")
    })?;
    Ok(Arc::new(Environments::new(state, key, hosts)))
}

/// The plugins that are installed, and what runs them.
pub fn plugins(config: &Config, state: Arc<State>) -> Arc<Plugins> {
    let configured = [
        (Language::Python311, &config.plugins.python311),
        (Language::Python38, &config.plugins.python38),
        (Language::Python27, &config.plugins.python27),
    ];
    let configured = configured.into_iter().filter_map(|(language, path)| Some((language, path.clone()?)));
    let interpreters = configured.filter(|(_, path)| !path.as_os_str().is_empty()).collect();
    let settings = Settings {
        directory: state.directory().join(PLUGINS),
        interpreters,
        timeout: config.plugins.timeout,
        memory: config.plugins.memory,
    };
    Arc::new(Plugins::new(state, Arc::new(Runner::new(settings))))
}
