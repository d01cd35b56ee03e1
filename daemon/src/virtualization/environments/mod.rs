//! Environments: the hosts that are known, and who works there.
//!
//! Invariant: what proves to be a user is remembered sealed and told to nobody; a host's key is pinned when it is made
//! known, and only [`Environments::accept_key`] pins another.

mod record;
mod shown;
mod toolkit;
mod users;

use std::sync::{Arc, OnceLock};

use cow_api::v1::{self, Code, NewEnvironment, Problem};

use crate::clock;
use crate::hosts::{Facts, Hosts, Patient, Target, Why};
use crate::secrets::Key;
use crate::service::Answer;
use crate::state::{Row, State};
pub use crate::virtualization::environments::record::{EnvironmentRecord, UserRecord};
pub use crate::virtualization::environments::shown::{host_reference, reference, referred, user_reference};
use crate::virtualization::environments::toolkit::Looked;

/// Longest name of an environment, in bytes.
const NAME_LEN_MAX: usize = 100;

/// What works with environments.
pub trait Tenants: Send + Sync {
    /// What uses an environment, as in `dSource 'prod'`: while anything does it cannot be removed.
    fn used_by(&self, environment: u64) -> Answer<Vec<String>>;
    /// Looks for what plugins can find there; called when it was made known or looked at again. What plugins fail at is
    /// theirs to tell of, and no failure of this.
    fn discover(&self, environment: u64) -> Answer<()>;
}

/// The hosts that are known.
pub struct Environments {
    state: Arc<State>,
    key: Key,
    hosts: Hosts,
    tenants: OnceLock<Arc<dyn Tenants>>,
    looked: Looked,
}

impl Environments {
    /// What the state remembers.
    pub fn new(state: Arc<State>, key: Key, hosts: Hosts) -> Self {
        Self { state, key, hosts, tenants: OnceLock::new(), looked: Looked::default() }
    }

    /// Tells who works with environments. Only the first call counts.
    pub fn set_tenants(&self, tenants: Arc<dyn Tenants>) {
        let _ = self.tenants.set(tenants);
    }

    /// The connections.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// An environment by its name.
    pub fn named(&self, name: &str) -> Answer<Row<EnvironmentRecord>> {
        self.state.read(|view| view.named(name))
    }

    /// An environment by its number.
    pub fn get(&self, id: u64) -> Answer<Row<EnvironmentRecord>> {
        self.state.read(|view| view.get(id))
    }

    /// A host as a user of its environment sees it; as the first where none is named.
    pub fn target(&self, id: u64, user: Option<&str>) -> Answer<Target> {
        let row = self.get(id)?;
        self.target_of(&row, user)
    }

    fn target_of(&self, row: &Row<EnvironmentRecord>, user: Option<&str>) -> Answer<Target> {
        let Row { id, record } = row;
        let found = match user {
            None => record.users.first(),
            Some(name) => record.users.iter().find(|user| user.name == name),
        };
        let found = found.ok_or_else(|| {
            let detail = format!("environment '{}' has no user '{}'", record.name, user.unwrap_or_default());
            Problem::new(Code::NotFound, detail).with_hint("'cowctl env user add' makes one known")
        })?;
        record.target(*id, found, &self.key).map_err(|error| {
            let detail =
                format!("cannot read the credential of '{}' in environment '{}': {error}", found.name, record.name);
            Problem::new(Code::Corrupt, detail)
                .with_hint("put back the key file that belongs to this state, or add the user again")
        })
    }

    /// All of them.
    pub fn list(&self) -> Answer<v1::Environments> {
        let rows = self.state.read(|view| view.all::<EnvironmentRecord>())?;
        let environments = rows.iter().map(|row| self.shown(row)).collect::<Answer<_>>()?;
        Ok(v1::Environments { environments })
    }

    /// One of them.
    pub fn show(&self, name: &str) -> Answer<v1::Environment> {
        self.shown(&self.named(name)?)
    }

    fn shown(&self, row: &Row<EnvironmentRecord>) -> Answer<v1::Environment> {
        let fingerprint = self.hosts.fingerprint(&row.record.host_key)?;
        Ok(shown::shown(row, fingerprint))
    }

    /// Makes a host known: comes in, looks around, and brings the toolkit.
    pub fn add(&self, new: &NewEnvironment) -> Answer<v1::Environment> {
        check_name(&new.name)?;
        if self.state.read(|view| view.find::<EnvironmentRecord>(0, &new.name))?.is_some() {
            return Err(Problem::new(Code::Exists, format!("there is an environment '{}' already", new.name)));
        }
        let host_key = match &new.host_key {
            Some(key) => key.trim().to_owned(),
            None => self.hosts.scan_key(&new.address, new.port, &Patient)?,
        };
        self.hosts.fingerprint(&host_key)?;
        let mut record = EnvironmentRecord {
            name: new.name.clone(),
            address: new.address.clone(),
            port: new.port,
            users: Vec::new(),
            users_made: 0,
            host_key,
            toolkit: new.toolkit.clone().unwrap_or_default(),
            guid: random_id()?,
            facts: Facts::default(),
            checked: clock::time(clock::now()),
        };
        let user = record.new_user(&new.user, &new.credential, &self.key).map_err(unsealed)?;
        record.users.push(user);
        // It has no number yet: for its connection one will do that no other has.
        let for_now = u64::from_str_radix(&record.guid, 16).unwrap_or(0) | 1 << 63;
        let mut row = Row { id: for_now, record };
        let looked = self.look(&mut row);
        self.hosts.forget(for_now);
        looked?;
        row.id = self.state.write(|edit| edit.insert(&row.record))?;
        self.looked.note(row.id);
        tracing::info!(environment = new.name, address = new.address, "made a host known");
        self.discover(row.id);
        self.shown(&row)
    }

    /// Looks at a host again, and brings the toolkit up to date.
    pub fn refresh(&self, name: &str) -> Answer<v1::Environment> {
        let mut row = self.named(name)?;
        self.look(&mut row)?;
        self.looked.note(row.id);
        let (facts, checked) = (row.record.facts.clone(), row.record.checked);
        let row = self.change(row.id, |record| {
            (record.facts, record.checked) = (facts, checked);
            Ok(())
        })?;
        self.discover(row.id);
        self.shown(&row)
    }

    /// Comes in as the first user, looks around, and brings the toolkit.
    fn look(&self, row: &mut Row<EnvironmentRecord>) -> Answer<()> {
        let target = self.target_of(row, None)?;
        row.record.facts = self.hosts.inspect(&target, &Patient)?;
        row.record.checked = clock::time(clock::now());
        if row.record.toolkit.is_empty() {
            row.record.toolkit = format!("{}/cow-toolkit", row.record.facts.home.trim_end_matches('/'));
        }
        let target = Target { toolkit: row.record.toolkit.clone(), ..target };
        self.hosts.push_toolkit(&target, &Patient)?;
        Ok(())
    }

    /// Pins the key that a host shows now.
    pub fn accept_key(&self, name: &str) -> Answer<v1::Environment> {
        let row = self.named(name)?;
        let key = self.hosts.scan_key(&row.record.address, row.record.port, &Patient)?;
        let shown = self.hosts.fingerprint(&key)?;
        let row = self.change(row.id, |record| {
            record.host_key = key;
            Ok(())
        })?;
        self.hosts.forget(row.id);
        tracing::info!(environment = name, key = shown, "pinned another key of a host");
        self.shown(&row)
    }

    /// Forgets a host, unless anything uses it. What was brought there is removed where that can be done.
    pub fn remove(&self, name: &str) -> Answer<v1::Environment> {
        let row = self.named(name)?;
        let users = self.tenants.get().map_or(Ok(Vec::new()), |tenants| tenants.used_by(row.id))?;
        if !users.is_empty() {
            let detail = format!("cannot remove environment '{name}': it is used by {}", users.join(", "));
            return Err(Problem::new(Code::Conflict, detail).with_hint("delete or unlink those first"));
        }
        let answer = self.shown(&row)?;
        let target = self.target_of(&row, None);
        self.state.write(|edit| edit.remove::<EnvironmentRecord>(row.id))?;
        if let Ok(target) = target
            && let Err(error) = self.hosts.remove_toolkit(&target, &Patient)
        {
            tracing::info!(environment = name, %error, "what was brought to a host stays there");
        }
        self.hosts.forget(row.id);
        self.looked.forget(row.id);
        Ok(answer)
    }

    /// Changes what is remembered, as it is now.
    fn change(
        &self,
        id: u64,
        change: impl FnOnce(&mut EnvironmentRecord) -> Answer<()>,
    ) -> Answer<Row<EnvironmentRecord>> {
        self.state.write(|edit| {
            let mut row = edit.get::<EnvironmentRecord>(id)?;
            change(&mut row.record)?;
            edit.update(id, &row.record)?;
            Ok(row)
        })
    }

    fn discover(&self, id: u64) {
        if let Some(tenants) = self.tenants.get()
            && let Err(problem) = tenants.discover(id)
        {
            tracing::warn!(environment = id, %problem, "cannot look for what plugins find on a host");
        }
    }
}

fn check_name(name: &str) -> Answer<()> {
    let is_fine = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > NAME_LEN_MAX || name.starts_with(['-', '.']) || !name.chars().all(is_fine) {
        let detail = format!("'{}' cannot be the name of an environment", name.escape_default());
        return Err(Problem::new(Code::InvalidName, detail).with_hint("use letters, digits, '-', '_' and '.'"));
    }
    Ok(())
}

fn unsealed(error: std::io::Error) -> Problem {
    Problem::new(Code::Io, format!("cannot seal a credential: {error}"))
}

/// A new name that nothing else has.
fn random_id() -> Answer<String> {
    let mut bytes = [0; 8];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    filled.map_err(|error| {
        Problem::from(crate::hosts::HostError {
            host: "this host".to_owned(),
            act: "draw a name".to_owned(),
            why: Why::Here(error.to_string()),
        })
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
