//! Who works on a host.

use cow_api::v1::{self, Code, NewEnvironmentUser, Problem};

use crate::hosts::{Command, Patient};
use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::environments::record::EnvironmentRecord;
use crate::virtualization::environments::shown::USERS_MAX;
use crate::virtualization::environments::{Environments, unsealed};

impl Environments {
    /// Makes a user of a host known, who must be let in; or lets one that is known come in otherwise.
    pub fn add_user(&self, name: &str, new: &NewEnvironmentUser) -> Answer<v1::Environment> {
        let mut row = self.named(name)?;
        if row.record.users_made + 1 >= USERS_MAX {
            return Err(Problem::new(Code::Conflict, format!("environment '{name}' had too many users")));
        }
        let fresh = row.record.new_user(&new.user, &new.credential, &self.key).map_err(unsealed)?;
        let tried = EnvironmentRecord { users: vec![fresh.clone()], ..row.record };
        let target = self.target_of(&Row { id: row.id, record: tried }, None)?;
        let finished = self.hosts.run(&target, &Command::new("exit 0"), &Patient)?;
        if finished.exit_code != 0 {
            let detail = format!("user '{}' of environment '{name}' cannot run bash", new.user);
            return Err(Problem::new(Code::HostFailed, detail));
        }
        let row = self.change(row.id, |record| {
            match record.users.iter_mut().find(|user| user.name == new.user) {
                Some(user) => (user.kind, user.sealed) = (fresh.kind, fresh.sealed),
                None => {
                    record.users_made += 1;
                    let number = record.users_made;
                    record.users.push(crate::virtualization::environments::UserRecord { number, ..fresh });
                }
            }
            Ok(())
        })?;
        self.shown(&row)
    }

    /// Forgets a user of a host, who may not be its first.
    pub fn remove_user(&self, name: &str, user: &str) -> Answer<v1::Environment> {
        let row = self.change(self.named(name)?.id, |record| {
            let at =
                record.users.iter().position(|known| known.name == user).ok_or_else(|| {
                    Problem::new(Code::NotFound, format!("environment '{name}' has no user '{user}'"))
                })?;
            if at == 0 {
                let detail = format!("cannot remove '{user}': it is the first user of environment '{name}'");
                return Err(Problem::new(Code::Conflict, detail).with_hint("'cowctl env remove' forgets all of it"));
            }
            record.users.remove(at);
            Ok(())
        })?;
        self.hosts.forget(row.id);
        self.shown(&row)
    }
}
