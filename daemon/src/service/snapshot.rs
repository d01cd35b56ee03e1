//! Taking snapshots, several at one instant, and what is known of them.

use cow_api::v1::{Change, Code, NewSnapshot, Problem, Snapshot, Snapshots, TakeSnapshots};
use cow_storage::format::Timestamp;

use crate::clock;
use crate::service::problem::problem;
use crate::service::sharing::is_at_or_below;
use crate::service::space::POINTERS_MAX;
use crate::service::{Answer, Service};

impl Service {
    /// Takes snapshots of several datasets at one instant.
    pub fn take_snapshots(&self, request: &TakeSnapshots) -> Answer<Snapshots> {
        let now = clock::now();
        let by_default = [Timestamp { nanoseconds: 0, ..now }, now].map(|now| clock::time(now).to_string());
        let outcome = self.take_named(request, &by_default[0], now);
        let unnamed = request.snapshots.iter().any(|snapshot| snapshot.name.is_none());
        match outcome {
            // The second snapshot of one second is named with its fraction.
            Err(problem) if problem.code == Code::Exists && unnamed => self.take_named(request, &by_default[1], now),
            outcome => outcome,
        }
    }

    fn take_named(&self, request: &TakeSnapshots, by_default: &str, now: Timestamp) -> Answer<Snapshots> {
        let named = |snapshot: &NewSnapshot| snapshot.name.as_deref().unwrap_or(by_default).to_owned();
        let asked = request.snapshots.iter().map(|snapshot| (snapshot.dataset.clone(), named(snapshot)));
        let mut wanted: Vec<(String, String)> = asked.collect();
        if request.recursive {
            self.add_below(&mut wanted)?;
        }
        if wanted.is_empty() {
            return Err(Problem::new(Code::InvalidRequest, "cannot take snapshots of no dataset at all"));
        }
        let pairs: Vec<(&str, &str)> = wanted.iter().map(|(dataset, name)| (&**dataset, &**name)).collect();
        let infos = self.pool().snapshot(&pairs, now).map_err(problem)?;
        let taken = infos.iter().zip(&wanted);
        let snapshots: Vec<Snapshot> = taken.map(|(info, (dataset, _))| self.shown_snapshot(dataset, info)).collect();
        snapshots.iter().for_each(|snapshot| self.snapshot_changed(&snapshot.name, Change::Created));
        Ok(Snapshots { snapshots })
    }

    /// Adds the datasets below, each by the name of its nearest that was asked for.
    fn add_below(&self, wanted: &mut Vec<(String, String)>) -> Answer<()> {
        let asked = wanted.clone();
        for info in self.listing()?.datasets {
            let above = asked.iter().filter(|(dataset, _)| is_at_or_below(&info.name, dataset));
            let nearest = above.max_by_key(|(dataset, _)| dataset.len());
            if let Some((_, name)) = nearest.filter(|_| wanted.iter().all(|(dataset, _)| *dataset != info.name)) {
                wanted.push((info.name, name.clone()));
            }
        }
        Ok(())
    }

    /// One snapshot, with what destroying it would free.
    pub fn snapshot(&self, name: &str) -> Answer<Snapshot> {
        let info = self.pool().snapshot_info(name).map_err(problem)?;
        Ok(Snapshot { exclusive: self.would_free(name, POINTERS_MAX)?, ..self.shown_snapshot(dataset_of(name), &info) })
    }

    /// Gives a snapshot another name behind its `@`.
    pub fn rename_snapshot(&self, name: &str, to: &str) -> Answer<Snapshot> {
        // The whole name is taken as well, where its dataset is the same.
        let to = match (to.split_once('@'), name.split_once('@')) {
            (Some((to_dataset, part)), Some((dataset, _))) if to_dataset == dataset => part,
            (None, _) => to,
            (Some(_), _) => {
                let problem = Problem::new(Code::InvalidRequest, format!("cannot rename {name} to {to}"));
                return Err(problem.with_hint("a snapshot stays with its dataset: give only the part behind the @"));
            }
        };
        let info = self.pool().rename_snapshot(name, to, clock::now()).map_err(problem)?;
        let shown = self.shown_snapshot(dataset_of(name), &info);
        self.snapshot_changed(&shown.name, Change::Renamed);
        Ok(shown)
    }
}

/// The dataset in a snapshot's full name.
fn dataset_of(snapshot: &str) -> &str {
    snapshot.split_once('@').map_or(snapshot, |(dataset, _)| dataset)
}
