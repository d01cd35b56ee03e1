//! Brings a superblock back that is lost, when its administrator says so.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use cow_api::v1::Problem;
use cow_storage::error::{Error, ErrorKind};
use cow_storage::media::{Directory, Media};
use cow_storage::pool::{Pool, RecoveredSuperblock};

use crate::clock;
use crate::daemon::store::not_opened;

/// Recovers it in the pool at `path`, and tells what was done.
pub fn recover_superblock(path: &Path) -> Result<String, Problem> {
    let recover = || {
        let media: Arc<dyn Media> = Arc::new(Directory::open(path)?);
        Pool::recover_superblock(&media)
    };
    match recover() {
        Ok(recovered) => Ok(told(path, &recovered)),
        Err(error) if error.kind() == ErrorKind::Invalid => Err(not_needed(path, error)),
        Err(error) => Err(not_opened(path, error)),
    }
}

fn not_needed(path: &Path, error: Error) -> Problem {
    not_opened(path, error).with_hint("nothing was changed; start cowd as usual")
}

fn told(path: &Path, recovered: &RecoveredSuperblock) -> String {
    let RecoveredSuperblock { commit, committed, records, passed_over, .. } = recovered;
    let mut text = String::new();
    for passed in passed_over {
        let _ = writeln!(text, "passed over commit {}, of which not all is there: {}", passed.commit, passed.reason);
    }
    let (path, when) = (path.display(), clock::time(*committed));
    let _ = writeln!(text, "recovered the superblock of the pool in {path}: it names commit {commit}, of {when}");
    let changes = if *records == 1 { "change" } else { "changes" };
    let _ = writeln!(text, "the next start of cowd replays what the intent log has since then: {records} {changes}");
    text
}
