//! Verification of what the last commit left, while the pool is in use.

use crate::error::Result;
use crate::pool::VerifyReport;
use crate::pool::core::Core;
use crate::scrub::{self, Damage};
use crate::superblock::Superblock;

impl Core {
    /// Reads and checks everything, or what a dataset with its snapshots or a snapshot reaches.
    pub fn verify(&self, of: Option<&str>, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<VerifyReport> {
        self.verify_by_windows(of, scrub::WINDOW_LEN, progress)
    }

    /// The same, with so many bytes of memory for slots.
    pub fn verify_by_windows(
        &self,
        of: Option<&str>,
        window_len: usize,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<VerifyReport> {
        let view = self.committed_view()?;
        let of = of.map(|name| view.catalog.resolve(name)).transpose()?;
        let mut report = scrub::verify(view.scene(self), of, window_len, progress)?;
        if of.is_none() {
            report.damage.extend(self.verify_superblock(view.roots.birth.0)?);
        }
        Ok(report)
    }

    /// Of the two slots one must have what was durable when `commit` was, or later.
    pub(in crate::pool) fn verify_superblock(&self, commit: u64) -> Result<Option<Damage>> {
        // Twice: a commit may write the older slot while it is read, and the next commit the other one.
        let read = || Superblock::both(&*self.media);
        let mut slots = read()?.into_iter().chain(read()?).flatten();
        let is_there = slots.any(|found| found.commit >= commit && found.pool == self.id);
        let problem =
            "the superblock is damaged: after a crash the pool would come back as it was a commit ago, or not at all";
        Ok((!is_there).then(|| Damage::of_the_pool(problem.to_owned())))
    }
}

#[cfg(test)]
pub(in crate::pool) mod tests;
