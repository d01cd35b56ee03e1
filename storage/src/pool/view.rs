//! What the last commit left, to be read for long while further commits come.
//!
//! Invariant: catalog, system tree and account are of one commit, and that one is pinned: nothing of it is folded away or
//! unlinked as long as the view lives.

use crate::account::AccountState;
use crate::catalog::Catalog;
use crate::error::{ErrorKind, Result};
use crate::format::Birth;
use crate::pool::core::Core;
use crate::pool::epoch::Pin;
use crate::scrub::Scene;
use crate::tree::Root;

/// The roots of the last commit that is durable.
#[derive(Clone)]
pub struct Latest {
    /// Its number.
    pub birth: Birth,
    /// Its system tree.
    pub system: Root,
    /// Its account.
    pub account: AccountState,
}

/// One commit, pinned.
pub struct View {
    /// Its roots.
    pub roots: Latest,
    /// Its datasets and snapshots.
    pub catalog: Catalog,
    _pin: Pin,
}

impl Core {
    /// Pins the last commit. It does not wait for a commit under way.
    pub fn committed_view(&self) -> Result<View> {
        self.check_reading()?;
        // Pinned first: what is then the latest is no older.
        let pin = self.epoch.pin();
        let roots = self.latest.lock().clone();
        match Catalog::load(&*self.store, &roots.system) {
            Ok(catalog) => Ok(View { roots, catalog, _pin: pin }),
            // The stored one is damaged: the one in memory will do, which between two commits is the same.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(self.view_between_commits()),
            Err(error) => Err(error),
        }
    }

    fn view_between_commits(&self) -> View {
        let _committed = self.committed.lock();
        let pin = self.epoch.pin();
        View { roots: self.latest.lock().clone(), catalog: self.catalog.read().clone(), _pin: pin }
    }
}

impl View {
    /// The same, for those who verify.
    pub fn scene<'a>(&'a self, core: &'a Core) -> Scene<'a> {
        let Latest { system, account, .. } = &self.roots;
        Scene { store: &core.store, catalog: &self.catalog, system, account }
    }
}
