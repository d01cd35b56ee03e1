//! Keeps users from changing behind a dSource's or VDB's back what it stands on: its datasets, and its snapshots.
//!
//! Invariant: who is refused is told whose it is, and the verb that does what was wanted.

use std::collections::HashSet;

use cow_api::v1::{Code, Problem};

use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::records::{Point, Source, Timeflow};

/// What somebody wants to do with a dataset or snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// To destroy it, with all below it.
    Destroy,
    /// To give it another name.
    Rename,
    /// To give it a snapshot's content.
    Rewind,
}

impl Deed {
    fn word(self) -> &'static str {
        match self {
            Self::Destroy => "destroy",
            Self::Rename => "rename",
            Self::Rewind => "rewind",
        }
    }

    /// What does the same with a dSource or VDB.
    fn verb(self, source: &Source) -> String {
        let (name, is_virtual) = (&source.name, source.is_virtual());
        match self {
            Self::Destroy if is_virtual => format!("'cowctl vdb delete {name}' destroys it with all its timeflows"),
            Self::Destroy => format!("'cowctl source unlink {name}' destroys it with all its snapshots"),
            Self::Rename => "hosts mount it by its name: make a clone of one of its snapshots, by any name".to_owned(),
            Self::Rewind if is_virtual => format!("'cowctl vdb rewind {name}' does that, on a timeflow of its own"),
            Self::Rewind => format!("provision a VDB from the snapshot: 'cowctl vdb provision VDB {name}@..'"),
        }
    }
}

/// The datasets that dSources and VDBs need.
struct StandsOn {
    sources: Vec<Row<Source>>,
    flows: Vec<Row<Timeflow>>,
}

impl StandsOn {
    /// Fails if one of them needs a dataset, or one below it.
    fn check(&self, name: &str, deed: Deed) -> Answer<()> {
        let is_hit = |dataset: &str| dataset == name || deed != Deed::Rewind && is_below(dataset, name);
        let uses = |row: &&Row<Source>| {
            let mut own =
                self.flows.iter().filter(|flow| flow.record.source == row.id).map(|flow| &flow.record.dataset);
            is_hit(&row.record.folder()) || own.any(|dataset| is_hit(dataset))
        };
        match self.sources.iter().find(uses) {
            Some(row) => Err(refused(name, deed, &row.record)),
            None => Ok(()),
        }
    }
}

impl Virtualization {
    /// Fails if a dSource or VDB needs one of these datasets and snapshots, which somebody wants to destroy.
    pub fn check_destroy(&self, names: &[String]) -> Answer<()> {
        let (snapshots, datasets): (Vec<&str>, _) =
            names.iter().map(String::as_str).partition(|name| name.contains('@'));
        if !snapshots.is_empty() {
            let points = self.state.read(|view| view.all::<Point>())?;
            let needed: HashSet<&str> = points.iter().map(|row| row.record.name.as_str()).collect();
            let hit = snapshots.into_iter().find(|name| needed.contains(name));
            hit.map_or(Ok(()), |name| self.check_snapshot(name, Deed::Destroy))?;
        }
        if datasets.is_empty() {
            return Ok(());
        }
        let stands = self.stands_on()?;
        datasets.into_iter().try_for_each(|name| stands.check(name, Deed::Destroy))
    }

    /// Fails if a dSource or VDB needs a dataset, or one below it.
    pub fn check_dataset(&self, name: &str, deed: Deed) -> Answer<()> {
        self.stands_on()?.check(name, deed)
    }
    fn stands_on(&self) -> Answer<StandsOn> {
        let (sources, flows) = self.state.read(|view| Ok((view.all::<Source>()?, view.all::<Timeflow>()?)))?;
        Ok(StandsOn { sources, flows })
    }

    /// Fails if a snapshot is one of a dSource or VDB.
    pub fn check_snapshot(&self, name: &str, deed: Deed) -> Answer<()> {
        let points = self.state.read(|view| view.all::<Point>())?;
        let Some(point) = points.into_iter().find(|row| row.record.name == name) else { return Ok(()) };
        let source = self.state.read(|view| view.get::<Source>(point.record.source))?;
        let hint = match deed {
            Deed::Rename => format!("'cowctl bookmark add NAME {name}' names it"),
            _ => {
                "a policy of retention removes snapshots that are not wanted any more: 'cowctl help policy'".to_owned()
            }
        };
        Err(refused(name, deed, &source.record).with_hint(hint))
    }
}

fn is_below(dataset: &str, name: &str) -> bool {
    dataset.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'))
}

fn refused(name: &str, deed: Deed, source: &Source) -> Problem {
    let detail = format!("cannot {} {name}: {} needs it", deed.word(), source.describe());
    Problem::new(Code::Conflict, detail).with_hint(deed.verb(source))
}
