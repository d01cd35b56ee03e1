//! Hooks: scripts of users' own, which recipes run at their points.

use cow_api::v1::{self, Code, NewHook, Problem};
use serde_json::Value;

use crate::service::Answer;
use crate::state::{Edit, Row};
use crate::virtualization::Virtualization;
use crate::virtualization::records::{Hook, Source};
use crate::virtualization::sources::check_name;

/// Longest script, in bytes.
const SCRIPT_LEN_MAX: usize = 256 << 10;

impl Virtualization {
    /// The hooks of a source.
    pub fn hooks(&self, source: &str) -> Answer<v1::Hooks> {
        let row = self.made(source)?;
        let hooks = self.state.read(|view| view.owned::<Hook>(row.id))?;
        let shown = hooks.iter().map(|hook| self.shown_hook(&row.record, &hook.record));
        Ok(v1::Hooks { hooks: shown.collect::<Answer<_>>()? })
    }

    /// A hook with its script.
    pub fn hook(&self, source: &str, name: &str) -> Answer<v1::Hook> {
        let (row, hook) = self.found_hook(source, name)?;
        let script = self.unseal(&hook.record.script)?;
        Ok(v1::Hook { script: script.as_str().map(str::to_owned), ..self.shown_hook(&row.record, &hook.record)? })
    }

    /// Adds a hook.
    pub fn add_hook(&self, source: &str, new: &NewHook) -> Answer<v1::Hook> {
        let row = self.made(source)?;
        let hook = Hook { source: row.id, ..self.new_hook(&row.record, new)? };
        self.state.write(|edit| {
            // It may have gone meanwhile, and its number is never another's.
            edit.get::<Source>(row.id)?;
            insert(edit, source, &hook)
        })?;
        self.shown_hook(&row.record, &hook)
    }

    /// A hook that is asked for, which is no source's yet.
    pub(super) fn new_hook(&self, source: &Source, new: &NewHook) -> Answer<Hook> {
        check_name("hook", &new.name)?;
        if new.at.is_of_linked() == source.is_virtual() {
            let (at, what) = (new.at.as_str(), source.describe());
            let problem = Problem::new(Code::InvalidRequest, format!("there is no {at} of {what}"));
            return Err(problem.with_hint("pre-sync and post-sync are of dSources, the others of VDBs"));
        }
        if new.script.trim().is_empty() || new.script.len() > SCRIPT_LEN_MAX {
            let detail = format!("the script of hook {} has {} bytes", new.name, new.script.len());
            return Err(Problem::new(Code::InvalidRequest, detail).with_hint("it may have 1 to 262144"));
        }
        let place = match (&new.environment, &new.user) {
            (None, None) => None,
            (Some(environment), user) => Some(self.ground.place(environment, user.as_deref())?),
            (None, user) => Some(self.ground.place(&self.ground.name(source.place.environment)?, user.as_deref())?),
        };
        let script = self.seal(&Value::String(new.script.clone()))?;
        Ok(Hook { source: 0, at: new.at, name: new.name.clone(), script, place })
    }

    /// Removes a hook.
    pub fn remove_hook(&self, source: &str, name: &str) -> Answer<v1::Hook> {
        let (row, hook) = self.found_hook(source, name)?;
        self.state.write(|edit| edit.remove::<Hook>(hook.id))?;
        self.shown_hook(&row.record, &hook.record)
    }

    fn found_hook(&self, source: &str, name: &str) -> Answer<(Row<Source>, Row<Hook>)> {
        let row = self.made(source)?;
        let hooks = self.state.read(|view| view.owned::<Hook>(row.id))?;
        let missing = || {
            let problem = Problem::new(Code::NotFound, format!("{source} has no hook '{name}'"));
            problem.with_hint(format!("'cowctl hook list {source}' shows those that it has"))
        };
        let hook = hooks.into_iter().find(|hook| hook.record.name == name).ok_or_else(missing)?;
        Ok((row, hook))
    }

    fn shown_hook(&self, source: &Source, hook: &Hook) -> Answer<v1::Hook> {
        let place = hook.place.as_ref().unwrap_or(&source.place);
        Ok(v1::Hook {
            source: source.name.clone(),
            name: hook.name.clone(),
            at: hook.at,
            environment: self.ground.name(place.environment)?,
            user: place.user.clone(),
            script: None,
        })
    }
}

/// Adds a hook to a source.
pub fn insert(edit: &Edit<'_>, source: &str, hook: &Hook) -> Answer<()> {
    if edit.owned::<Hook>(hook.source)?.iter().any(|other| other.record.name == hook.name) {
        return Err(Problem::new(Code::Exists, format!("{source} has a hook '{}' already", hook.name)));
    }
    edit.insert(hook).map(drop)
}
