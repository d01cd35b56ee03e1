//! Clones: writable datasets with a snapshot's content.

use cow_api::v1::{Change, CloneSnapshot, Code, Dataset, Problem};

use crate::clock;
use crate::service::convert::property_change;
use crate::service::problem::problem;
use crate::service::sharing::PROPERTY;
use crate::service::{Answer, Service};

impl Service {
    /// Makes a dataset with a snapshot's content. What it takes does not depend on how much that is.
    pub fn clone_snapshot(&self, snapshot: &str, request: &CloneSnapshot) -> Answer<Dataset> {
        if request.properties.block_size.is_some() {
            let problem = Problem::new(Code::Unsupported, format!("cannot choose the block size of {}", request.name));
            return Err(problem.with_hint("a clone shares the blocks of its origin, so it has the same"));
        }
        let mut change = property_change(&request.properties)?;
        // Who may mount the origin says nothing of who may mount its clone: that inherits by its own name.
        change.user.insert(PROPERTY.to_owned(), None);
        let info = self.pool().clone_snapshot(snapshot, &request.name, &change, clock::now()).map_err(problem)?;
        self.share(&info.name)?;
        self.dataset_changed(&info.name, Change::Created);
        Ok(self.shown_dataset(&info))
    }
}
