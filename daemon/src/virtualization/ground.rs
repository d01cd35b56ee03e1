//! Hosts, by the environments that are known.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use cow_api::v1::{Code, Problem};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::hosts::{Command, Finished, Pull, Push, RemoteMount, Target};
use crate::plugins::{Connection, Credentials, Environment, Host, Script, ScriptOutput, Secret, Sync as Fetch, User};
use crate::service::Answer;
use crate::virtualization::environments::{Environments, host_reference, reference, referred, user_reference};
use crate::virtualization::outside::{Copied, Copying, Ground, IsCancelled, Stop};
use crate::virtualization::records::{Mounted, Place};

/// How a host and the engine see each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Addresses {
    engine: IpAddr,
    host: IpAddr,
}

/// Hosts, by the environments that are known.
pub struct HostGround {
    environments: Arc<Environments>,
    /// Options of mount(8), but for the transport's.
    options: String,
    /// By environment, as they were when it was last asked.
    addresses: Mutex<HashMap<u64, Addresses>>,
}

impl HostGround {
    /// Hosts that mount from `port`. Without a way for them to find the lock server, locks are each host's own.
    pub fn new(environments: Arc<Environments>, port: u16, shares_locks: bool) -> Self {
        let locks = if shares_locks { "" } else { ",nolock" };
        let options = format!("vers=3,port={port},mountport={port},hard{locks}");
        Self { environments, options, addresses: Mutex::default() }
    }

    fn target(&self, place: &Place) -> Answer<Target> {
        self.environments.target(place.environment, Some(&place.user))
    }

    fn shell(&self, place: &Place, text: &str, is_cancelled: IsCancelled<'_>) -> Answer<String> {
        let command = Command::new(text);
        let finished = self.environments.hosts().run(&self.target(place)?, &command, &Stop(is_cancelled))?;
        Ok(String::from_utf8_lossy(&finished.stdout).trim().to_owned())
    }

    /// By what sshd says of the connection: what the host sees is what it mounts from.
    fn addresses(&self, place: &Place, is_cancelled: IsCancelled<'_>) -> Answer<Addresses> {
        if let Some(known) = self.addresses.lock().get(&place.environment) {
            return Ok(*known);
        }
        let said = self.shell(place, "echo \"$SSH_CONNECTION\"", is_cancelled)?;
        let words: Vec<&str> = said.split_whitespace().collect();
        let parsed = match words[..] {
            [engine, _, host, _] => engine.parse().ok().zip(host.parse().ok()),
            _ => None,
        };
        let Some((engine, host)) = parsed else {
            let detail =
                format!("the host of {} does not say by which address it is reached", self.name(place.environment)?);
            return Err(
                Problem::new(Code::Unsupported, detail).with_hint("its sshd must set SSH_CONNECTION, as OpenSSH does")
            );
        };
        let addresses = Addresses { engine, host };
        self.addresses.lock().insert(place.environment, addresses);
        Ok(addresses)
    }

    fn remote(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<RemoteMount> {
        // mount(8) takes `tcp` for IPv4 alone.
        let (source, transport) = match self.addresses(&mounted.place, is_cancelled)?.engine {
            IpAddr::V4(address) => (format!("{address}:{export}"), "tcp"),
            IpAddr::V6(address) => (format!("[{address}]:{export}"), "tcp6"),
        };
        let options = format!("{},proto={transport},mountproto={transport}", self.options);
        Ok(RemoteMount { source, path: mounted.path.clone(), options })
    }

    /// Who a plugin means, by reference alone: it may have made up the rest. Of the user it is the name.
    fn meant(&self, connection: &Connection) -> Answer<Place> {
        let environment = self.environment(&connection.environment.reference)?;
        let record = self.environments.get(environment)?.record;
        let by_reference =
            record.users.iter().find(|user| user_reference(environment, user.number) == connection.user.reference);
        let by_name = record.users.iter().find(|user| user.name == connection.user.name);
        let user = by_reference.or(by_name).or(record.users.first());
        Ok(Place { environment, user: user.map_or_else(String::new, |user| user.name.clone()) })
    }
}

impl Ground for HostGround {
    fn place(&self, environment: &str, user: Option<&str>) -> Answer<Place> {
        let row = self.environments.named(environment)?;
        let target = self.environments.target(row.id, user)?;
        Ok(Place { environment: row.id, user: target.user })
    }

    fn environments(&self) -> Answer<Vec<String>> {
        Ok(self.environments.list()?.environments.into_iter().map(|environment| environment.name).collect())
    }

    fn name(&self, environment: u64) -> Answer<String> {
        Ok(self.environments.get(environment)?.record.name)
    }

    fn connection(&self, place: &Place) -> Answer<Connection> {
        let (row, target) = (self.environments.get(place.environment)?, self.target(place)?);
        let number = row.record.users.iter().find(|user| user.name == place.user).map_or(1, |user| user.number);
        let host = Host {
            name: row.record.address.clone(),
            reference: host_reference(row.id),
            binary_path: target.binary_path(),
            scratch_path: target.scratch_path(),
        };
        let user = User { name: place.user.clone(), reference: user_reference(row.id, number) };
        Ok(Connection { environment: Environment { name: row.record.name, reference: reference(row.id), host }, user })
    }

    fn environment(&self, text: &str) -> Answer<u64> {
        let known = referred(text).filter(|id| self.environments.get(*id).is_ok());
        known.ok_or_else(|| {
            let problem = Problem::new(
                Code::NotFound,
                format!("the plugin names an environment '{}' that is not known", text.escape_default()),
            );
            problem.with_hint("this is a mistake in the plugin: it must name one that it was given")
        })
    }

    fn ids(&self, place: &Place, is_cancelled: IsCancelled<'_>) -> Answer<(u32, u32)> {
        let said = self.shell(place, "id -u; id -g", is_cancelled)?;
        let mut numbers = said.lines().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(user)), Some(Ok(group))) => Ok((user, group)),
            _ => Err(Problem::new(Code::Io, format!("cannot tell the ids of {} on its host", place.user))),
        }
    }

    fn address(&self, place: &Place, is_cancelled: IsCancelled<'_>) -> Answer<IpAddr> {
        Ok(self.addresses(place, is_cancelled)?.host)
    }

    fn mount(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<()> {
        let (target, remote) = (self.target(&mounted.place)?, self.remote(mounted, export, is_cancelled)?);
        let (hosts, stop) = (self.environments.hosts(), Stop(is_cancelled));
        hosts.make_directory(&target, &mounted.path, &stop)?;
        Ok(hosts.mount(&target, &remote, &stop)?)
    }

    fn unmount(&self, mounted: &Mounted, export: &str, is_cancelled: IsCancelled<'_>) -> Answer<()> {
        let (target, remote) = (self.target(&mounted.place)?, self.remote(mounted, export, is_cancelled)?);
        Ok(self.environments.hosts().unmount(&target, &remote, &Stop(is_cancelled))?)
    }

    fn run(&self, script: &Script, is_cancelled: IsCancelled<'_>) -> Answer<ScriptOutput> {
        let place = self.meant(&script.connection)?;
        self.environments.keep_toolkit(place.environment, &Stop(is_cancelled))?;
        let target = self.target(&place)?;
        let mut command = Command::new(script.command.clone());
        command.variables = script.variables.clone().into_iter().collect();
        command.variables.push(("DLPX_BIN_JQ".to_owned(), target.jq_path()));
        command.use_login_shell = script.use_login_shell;
        let Finished { exit_code, stdout, stderr } =
            self.environments.hosts().run(&target, &command, &Stop(is_cancelled))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(ScriptOutput { exit_code, stdout: text(stdout), stderr: text(stderr) })
    }

    fn pull(&self, fetch: &Fetch, to: &Path, is_cancelled: IsCancelled<'_>, copied: Copied<'_>) -> Answer<()> {
        let target = self.target(&self.meant(&fetch.connection)?)?;
        let pull = Pull {
            directory: fetch.source_directory.clone(),
            user: fetch.rsync_user.clone(),
            excludes: fetch.exclude_paths.clone(),
            links_to_follow: fetch.sym_links_to_follow.clone(),
        };
        Ok(self.environments.hosts().pull(&target, to, &pull, &Copying(is_cancelled, copied))?)
    }

    fn push(&self, from: &Path, place: &Place, directory: &str, is_cancelled: IsCancelled<'_>) -> Answer<()> {
        let (target, stop) = (self.target(place)?, Stop(is_cancelled));
        let push = Push { directory: directory.to_owned(), removes_others: false };
        Ok(self.environments.hosts().push(&target, from, &push, &stop)?)
    }

    fn credentials(&self, supplier: &Map<String, Value>) -> Answer<Credentials> {
        let text = |name: &str| supplier.get(name).and_then(Value::as_str).map(str::to_owned);
        let username = text("username").unwrap_or_default();
        let secret = match (text("password"), text("privateKey").or_else(|| text("private_key"))) {
            (Some(password), _) => Secret::Password(password),
            (None, Some(private_key)) => {
                let public_key = text("publicKey").or_else(|| text("public_key")).unwrap_or_default();
                Secret::KeyPair { private_key, public_key }
            }
            (None, None) => {
                let kind = text("type").unwrap_or_else(|| "of this kind".to_owned());
                let problem = Problem::new(Code::Unsupported, format!("credentials {kind} cannot be retrieved"));
                return Err(problem.with_hint("give a username with a password or a private key"));
            }
        };
        Ok(Credentials { username, secret })
    }
}
