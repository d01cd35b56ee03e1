//! Create, list, get, set, rename.

use cow_api::v1::{Change, Code, CreateDataset, Dataset, Listing, Problem, PropertyChange, RootDirectory};
use cow_storage::catalog::Holder;
use cow_storage::error::ErrorKind;
use cow_storage::format::InodeNumber;
use cow_storage::fs::{AttributeChange, Caller, Context};

use crate::clock;
use crate::service::convert::{Names, new_properties, property_change};
use crate::service::problem::problem;
use crate::service::sharing::is_at_or_below;
use crate::service::space::POINTERS_MAX;
use crate::service::{Answer, Service};

impl Service {
    /// Makes a dataset.
    pub fn create_dataset(&self, request: &CreateDataset) -> Answer<Dataset> {
        let properties = new_properties(request.profile, &request.properties)?;
        let root = root_attributes(&request.root)?;
        if request.parents {
            self.create_parents(&request.name)?;
        }
        let info = self.pool().create_dataset(&request.name, &properties, clock::now()).map_err(problem)?;
        if let Some(root) = root {
            let files = self.pool().file_system_at(Holder::Head(info.id)).map_err(problem)?;
            let context = Context { now: clock::now(), caller: Caller::Superuser, durable: true, call: None };
            files.set_attributes(&context, InodeNumber::ROOT, &root, None).map_err(problem)?;
        }
        self.share(&info.name)?;
        self.dataset_changed(&info.name, Change::Created);
        Ok(self.shown_dataset(&info))
    }

    /// Makes the datasets above a name that are missing, with default properties.
    fn create_parents(&self, name: &str) -> Answer<()> {
        for (at, _) in name.match_indices('/') {
            let parent = &name[..at];
            match self.pool().create_dataset(parent, &Default::default(), clock::now()) {
                Ok(info) => {
                    self.share(&info.name)?;
                    self.dataset_changed(&info.name, Change::Created);
                }
                Err(error) if error.kind() == ErrorKind::Exists => {}
                Err(error) => return Err(problem(error)),
            }
        }
        Ok(())
    }

    /// Datasets and, if wanted, snapshots: all, or those of `under` and of what is below it.
    pub fn list(&self, under: Option<&str>, with_snapshots: bool) -> Answer<Listing> {
        let listing = self.listing()?;
        let names = Names::of(&listing);
        let wanted = |name: &str| under.is_none_or(|under| is_at_or_below(name, under));
        let datasets = listing.datasets.iter().filter(|info| wanted(&info.name));
        let datasets: Vec<Dataset> = datasets.map(|info| self.listed_dataset(&names, info)).collect();
        if let Some(under) = under.filter(|_| datasets.is_empty()) {
            let problem = Problem::new(Code::NotFound, format!("there is no dataset {under}"));
            return Err(problem.with_hint("'cowctl list' shows what there is"));
        }
        let snapshots = listing.snapshots.iter().filter(|_| with_snapshots);
        let snapshots = snapshots.map(|info| names.snapshot(info)).filter(|snapshot| wanted(&snapshot.dataset));
        Ok(Listing { snapshots: snapshots.collect(), datasets })
    }

    /// One dataset, with what destroying it would free.
    pub fn dataset(&self, name: &str) -> Answer<Dataset> {
        let info = self.pool().dataset(name).map_err(problem)?;
        Ok(Dataset { exclusive: self.would_free(name, POINTERS_MAX)?, ..self.shown_dataset(&info) })
    }

    /// Changes properties.
    pub fn set_properties(&self, name: &str, change: &PropertyChange) -> Answer<Dataset> {
        if change.block_size.is_some() {
            let problem = Problem::new(Code::Unsupported, format!("cannot change the block size of {name}"));
            return Err(problem.with_hint("it is fixed when a dataset is created; import or copy into a new one"));
        }
        self.pool().set_properties(name, &property_change(change)?, clock::now()).map_err(problem)?;
        self.dataset_changed(name, Change::Set);
        self.dataset(name)
    }

    /// Gives a dataset and all below it another name.
    pub fn rename_dataset(&self, name: &str, to: &str) -> Answer<Dataset> {
        // With the table held: else another dataset that gets the old name meanwhile would take this one's place in it.
        let in_step = self.sharing.lock();
        let info = self.pool().rename_dataset(name, to, clock::now()).map_err(problem)?;
        self.share_family(&in_step, &info.name)?;
        drop(in_step);
        self.dataset_changed(&info.name, Change::Renamed);
        Ok(self.shown_dataset(&info))
    }
}

/// What to set of a root directory, if anything.
fn root_attributes(root: &RootDirectory) -> Answer<Option<AttributeChange>> {
    let wrong = |mode: &str| {
        let problem = Problem::new(Code::InvalidRequest, format!("'{mode}' is no mode"));
        problem.with_hint("write permission bits in octal, as in 0770")
    };
    let octal = |mode: &String| u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
    let mode = root.mode.as_ref().map(|mode| octal(mode).ok_or_else(|| wrong(mode))).transpose()?;
    let change = AttributeChange { uid: root.uid, gid: root.gid, mode, ..AttributeChange::default() };
    Ok((change != AttributeChange::default()).then_some(change))
}
