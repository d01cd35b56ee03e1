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
use crate::sync::Ordering;
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

/// An answer of the catalog, and the commit that it is of, pinned.
pub struct Asked<T> {
    /// The answer.
    pub answer: T,
    /// The commit's roots.
    pub roots: Latest,
    _pin: Pin,
}

impl Core {
    /// Pins the last commit. It does not wait for a commit under way.
    pub fn committed_view(&self) -> Result<View> {
        let (pin, roots) = self.committed_roots()?;
        self.view_of(pin, roots)
    }

    /// The same without what is in the catalog, which takes reading it.
    pub fn committed_roots(&self) -> Result<(Pin, Latest)> {
        self.check_reading()?;
        // Pinned first: what is then the latest is no older.
        let pin = self.epoch.pin();
        let roots = self.latest.lock().clone();
        Ok((pin, roots))
    }

    /// Reads the catalog of a pinned commit.
    pub fn view_of(&self, pin: Pin, roots: Latest) -> Result<View> {
        match Catalog::load(&*self.store, &roots.system) {
            Ok(catalog) => Ok(View { roots, catalog, _pin: pin }),
            // The stored one is damaged: the one in memory will do, which between two commits is the same.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(self.view_between_commits()),
            Err(error) => Err(error),
        }
    }

    /// Asks the catalog of the last commit a short question, and pins that commit. It waits for a commit under way only from
    /// when that has changed the catalog until it is durable.
    pub fn ask<T>(&self, mut question: impl FnMut(&Catalog) -> Result<T>) -> Result<Asked<T>> {
        self.check_reading()?;
        if let Some(asked) = self.try_ask(&mut question)? {
            return Ok(asked);
        }
        let _committed = self.committed.lock();
        // If they do not agree even now, the last commit failed.
        self.try_ask(&mut question)?.ok_or_else(|| ErrorKind::Poisoned.into())
    }

    fn try_ask<T>(&self, question: &mut impl FnMut(&Catalog) -> Result<T>) -> Result<Option<Asked<T>>> {
        let pin = self.epoch.pin();
        let catalog = self.catalog.read();
        let roots = self.latest.lock().clone();
        if self.catalog_birth.load(Ordering::Acquire) != roots.birth.0 {
            return Ok(None);
        }
        Ok(Some(Asked { answer: question(&catalog)?, roots, _pin: pin }))
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
