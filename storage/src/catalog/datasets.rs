//! What can be done to datasets.
//!
//! Invariant: everything is checked before anything is changed. A live dataset knows the one whose name is in front
//! of its own by id, so a rename takes along what lies below; a destroyed one keeps the whole name it had.

use crate::catalog::forest::{Dataset, Edge, Fate};
use crate::catalog::{Catalog, Holder, NAME_MAX, Properties, PropertyChange, State, names, properties};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{DatasetId, SnapshotId, Timestamp};

impl Catalog {
    /// Fails unless [`Self::create_dataset`] would succeed: `Invalid` or `NameTooLong` of a name or property that cannot be,
    /// `NotFound` where the parent is missing, `Exists`.
    pub fn check_new_dataset(&self, name: &str, properties: &Properties) -> Result<()> {
        properties::check(properties)?;
        self.free_place(name).map(|_| ())
    }

    /// Makes a dataset with this content.
    pub fn create_dataset(
        &mut self,
        name: &str,
        properties: &Properties,
        state: State,
        now: Timestamp,
    ) -> Result<DatasetId> {
        self.check_new_dataset(name, properties)?;
        self.add_dataset(name, properties.clone(), state, None, now)
    }

    /// Adds a dataset whose properties are sound.
    pub(in crate::catalog) fn add_dataset(
        &mut self,
        name: &str,
        properties: Properties,
        state: State,
        parent: Option<SnapshotId>,
        now: Timestamp,
    ) -> Result<DatasetId> {
        let (folder, part) = self.free_place(name)?;
        let (id, list) = (DatasetId(self.new_id()), self.new_list());
        if !properties.user.is_empty() {
            self.edits.touch_user_properties(id);
        }
        let head = Some(Edge { parent, list, state });
        let dataset = Dataset { fate: Fate::Live, created: now, folder, name: part.to_owned(), properties, head };
        self.index.enter_dataset(id, &dataset);
        self.datasets.insert(id, dataset);
        self.edits.touch(Holder::Head(id));
        Ok(id)
    }

    /// Gives a dataset another name, and those below it with it.
    pub fn rename_dataset(&mut self, id: DatasetId, to: &str) -> Result<()> {
        let from = self.live_name(id)?;
        if from == to {
            return Ok(());
        }
        if to.strip_prefix(&from).is_some_and(|below| below.starts_with('/')) {
            return Err(Error::new(ErrorKind::Invalid, format!("{from} cannot be renamed to {to}, which is below it")));
        }
        let (folder, part) = self.free_place(to)?;
        let longest = self.below(id).into_iter().map(|below| self.name_of(below).len()).max().unwrap_or(0);
        if longest + to.len() > NAME_MAX + from.len() {
            let message =
                format!("renamed to {to}, datasets below {from} would have names of more than {NAME_MAX} bytes");
            return Err(Error::new(ErrorKind::NameTooLong, message));
        }
        let dataset = self.live_mut(id)?;
        let place = (dataset.folder, std::mem::replace(&mut dataset.name, part.to_owned()));
        dataset.folder = folder;
        self.index.datasets.remove(&place);
        self.index.datasets.insert((folder, part.to_owned()), id);
        Ok(())
    }

    /// Changes properties.
    pub fn set_properties(&mut self, id: DatasetId, change: &PropertyChange) -> Result<()> {
        let dataset = self.live_mut(id)?;
        dataset.properties = properties::changed(&dataset.properties, change)?;
        if !change.user.is_empty() {
            self.edits.touch_user_properties(id);
        }
        Ok(())
    }

    /// Sets what a head holds. Its next inode number never goes back. What the edit of its tree left behind is for
    /// [`Self::retire`], and new pointers must be born after [`Self::threshold`].
    pub fn set_head(&mut self, id: DatasetId, state: State) -> Result<()> {
        let held = &mut self.edge_mut(Holder::Head(id))?.state;
        *held = State { next_inode: held.next_inode.max(state.next_inode), ..state };
        Ok(())
    }

    /// Destroys a dataset with its snapshots, and with `recursive` also those below it; else `NotEmpty` if there are any.
    /// `Busy` if a snapshot has holds. Returns what was destroyed: all of it can be undeleted until it is purged, and
    /// the names are free at once.
    pub fn destroy_dataset(&mut self, id: DatasetId, recursive: bool, now: Timestamp) -> Result<Vec<DatasetId>> {
        let name = self.live_name(id)?;
        let mut doomed = self.below(id);
        if !recursive && !doomed.is_empty() {
            let message = format!("{name} has datasets below it: destroy them first, or all together");
            return Err(Error::new(ErrorKind::NotEmpty, message));
        }
        doomed.insert(0, id);
        doomed.iter().try_for_each(|id| self.timeline(*id).try_for_each(|snapshot| self.check_not_held(snapshot)))?;
        let named: Vec<_> = doomed.iter().map(|id| (*id, self.name_of(*id))).collect();
        for (id, name) in named {
            let dataset = self.live_mut(id)?;
            let place = (dataset.folder.take(), std::mem::replace(&mut dataset.name, name));
            dataset.fate = Fate::Destroyed(now);
            self.index.datasets.remove(&place);
            self.index.awaiting.insert((now, Holder::Head(id)));
        }
        Ok(doomed)
    }

    /// Takes back the destruction of a dataset and the snapshots that went with it. `to` is its new name; without one it gets the
    /// name that it had, whose parent must exist.
    pub fn undelete_dataset(&mut self, id: DatasetId, to: Option<&str>) -> Result<()> {
        let dataset = self.datasets.get(&id);
        let Some((dataset, since)) = dataset.and_then(|dataset| match dataset.fate {
            Fate::Destroyed(since) => Some((dataset, since)),
            _ => None,
        }) else {
            return Err(Error::new(ErrorKind::NotFound, "no such dataset waits to be undeleted"));
        };
        let name = to.unwrap_or(&dataset.name).to_owned();
        let (folder, part) = self
            .free_place(&name)
            .map_err(|error| error.during(format!("undelete {name}; another name is possible")))?;
        self.index.datasets.insert((folder, part.to_owned()), id);
        self.index.awaiting.remove(&(since, Holder::Head(id)));
        if let Some(dataset) = self.datasets.get_mut(&id) {
            (dataset.fate, dataset.folder, dataset.name) = (Fate::Live, folder, part.to_owned());
        }
        self.edits.touch(Holder::Head(id));
        Ok(())
    }

    /// The dataset above and the last part of a name that nothing has yet.
    fn free_place<'a>(&self, name: &'a str) -> Result<(Option<DatasetId>, &'a str)> {
        names::check_dataset(name)?;
        let (above, part) = names::split(name);
        let folder = match above.map(|above| self.find_dataset(above)).transpose() {
            Ok(folder) => folder,
            Err(error) => return Err(error.during(format!("find the parent of {name}; create it first"))),
        };
        if self.index.datasets.contains_key(&(folder, part.to_owned())) {
            return Err(Error::new(ErrorKind::Exists, format!("there is a dataset {name} already")));
        }
        Ok((folder, part))
    }

    /// The dataset, to be changed.
    pub(in crate::catalog) fn live_mut(&mut self, id: DatasetId) -> Result<&mut Dataset> {
        let dataset = self.datasets.get_mut(&id).filter(|dataset| dataset.fate == Fate::Live);
        self.edits.touch(Holder::Head(id));
        dataset.ok_or_else(|| Error::new(ErrorKind::NotFound, "the dataset does not exist any more"))
    }
}
