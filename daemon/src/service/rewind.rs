//! Rewind: a dataset has a snapshot's content again, and what it had is kept.

use cow_api::v1::{Change, Rewind, Rewound};

use crate::clock;
use crate::service::problem::problem;
use crate::service::{Answer, Service};

impl Service {
    /// Sets a dataset to a snapshot of its own timeline or its origin's.
    pub fn rewind(&self, name: &str, request: &Rewind) -> Answer<Rewound> {
        let saved = self.pool().rewind(name, &request.to, clock::now()).map_err(problem)?;
        self.share(name)?;
        self.dataset_changed(name, Change::Rewound);
        let info = self.pool().dataset(name).map_err(problem)?;
        self.content_changed(info.id);
        Ok(Rewound { dataset: self.shown_dataset(&info), saved: self.shown_snapshot(name, &saved) })
    }
}
