//! Datasets, by the service's verbs.

use std::fs::{DirBuilder, read_dir, remove_dir};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cow_api::v1::{
    CloneSnapshot, Code, CreateDataset, NewMount, NewSnapshot, Problem, PropertyChange, SetShare, TakeSnapshots,
};

use crate::service::{Answer, How, Service};
use crate::virtualization::outside::Store;

/// Datasets, by the service's verbs.
pub struct ServiceStore(pub Arc<Service>);

impl Store for ServiceStore {
    fn exists(&self, name: &str) -> Answer<bool> {
        let found = if name.contains('@') { self.0.snapshot(name).map(drop) } else { self.0.dataset(name).map(drop) };
        absent(found, true, false)
    }

    fn create(&self, name: &str, block_size: u64) -> Answer<()> {
        // Plugins name 1 KiB to 16 MiB; blocks have 4 to 64 KiB.
        let block_size = block_size.clamp(4 << 10, 64 << 10);
        let properties = PropertyChange { block_size: Some(block_size), ..PropertyChange::default() };
        let request = CreateDataset { name: name.to_owned(), parents: true, properties, ..CreateDataset::default() };
        self.0.create_dataset(&request).map(drop)
    }

    fn clone_snapshot(&self, snapshot: &str, name: &str) -> Answer<()> {
        let request = CloneSnapshot { name: name.to_owned(), ..CloneSnapshot::default() };
        self.0.clone_snapshot(snapshot, &request).map(drop)
    }

    fn snapshot(&self, name: &str) -> Answer<()> {
        let (dataset, part) = name.split_once('@').unwrap_or((name, ""));
        let snapshots = vec![NewSnapshot { dataset: dataset.to_owned(), name: Some(part.to_owned()) }];
        self.0.take_snapshots(&TakeSnapshots { snapshots, recursive: false }).map(drop)
    }

    fn destroy(&self, name: &str) -> Answer<()> {
        let how = How { recursive: !name.contains('@'), ..How::default() };
        let outcome = match name.contains('@') {
            true => self.0.destroy_snapshot(name, how),
            false => self.0.destroy_dataset(name, how),
        };
        absent(outcome.map(drop), (), ())
    }

    fn share(&self, dataset: &str, hosts: &[IpAddr], root_squash: bool) -> Answer<()> {
        let squash = if root_squash { "root_squash" } else { "no_root_squash" };
        let words: Vec<String> = hosts.iter().map(|host| format!("{host} rw {squash}")).collect();
        let text = if words.is_empty() { "off".to_owned() } else { format!("{} insecure", words.join(" ")) };
        let change = SetShare::parse(&text).map_err(|wrong| Problem::new(Code::Internal, wrong))?;
        absent(self.0.set_share(dataset, &change).map(drop), (), ())
    }

    fn own(&self, dataset: &str, directory: &str, owner: (u32, u32)) -> Answer<()> {
        self.0.own_directory(dataset, directory, owner)
    }

    fn mount_here(&self, name: &str, path: &Path) -> Answer<()> {
        let text = path.display().to_string();
        if self.0.mounts().mounts.iter().any(|mount| mount.path == text && mount.name == name) {
            return Ok(());
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| Problem::new(Code::Io, format!("cannot make {text}: {error}")))?;
        let order =
            NewMount { name: name.to_owned(), path: text, read_only: name.contains('@'), ..NewMount::default() };
        self.0.mount(&order).map(drop)
    }

    fn unmount_here(&self, path: &Path) -> Answer<()> {
        let text = path.display().to_string();
        if self.0.mounts().mounts.iter().any(|mount| mount.path == text) {
            self.0.unmount(&text, true)?;
        }
        // Left where something is in it, which would be nobody's of ours.
        let _ = remove_dir(path);
        Ok(())
    }

    fn hold(&self, snapshot: &str, tag: &str) -> Answer<()> {
        match self.0.hold(snapshot, tag) {
            Err(problem) if problem.code == Code::Exists => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn release(&self, snapshot: &str, tag: &str) -> Answer<()> {
        absent(self.0.release_hold(snapshot, tag).map(drop), (), ())
    }

    fn snapshots(&self) -> Answer<Vec<(String, Vec<String>)>> {
        let all = self.0.list(None, true)?.snapshots.into_iter();
        let of_sources = all.filter(|snapshot| is_of_source(&snapshot.name));
        Ok(of_sources.map(|snapshot| (snapshot.name, snapshot.holds)).collect())
    }

    fn shared(&self) -> Answer<Vec<String>> {
        let all = self.0.shares(None)?.shares.into_iter();
        let shared = all.filter(|share| !share.rules.is_empty() && is_of_source(&share.dataset));
        Ok(shared.map(|share| share.dataset).collect())
    }

    fn left_here(&self, directory: &Path) -> Answer<Vec<PathBuf>> {
        let entries = match read_dir(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect()),
        };
        entries.map_err(|error| Problem::new(Code::Io, format!("cannot read {}: {error}", directory.display())))
    }

    fn mounted_here(&self) -> Answer<Vec<String>> {
        Ok(self.0.mounts().mounts.into_iter().map(|mount| mount.name).collect())
    }

    fn live(&self) -> Answer<u64> {
        self.0.pool_space().map(|space| space.live)
    }

    fn below(&self, name: &str) -> Answer<Vec<String>> {
        let listing = self.0.list(Some(name), false).map(|listing| listing.datasets);
        let names = listing.map(|datasets| datasets.into_iter().map(|dataset| dataset.name).collect());
        match names {
            Err(problem) if problem.code == Code::NotFound => Ok(Vec::new()),
            names => names,
        }
    }
}

/// Whether a name is below those of sources.
fn is_of_source(name: &str) -> bool {
    ["dsource/", "vdb/"].iter().any(|top| name.starts_with(top))
}

/// That something is not there is an answer.
fn absent<T>(outcome: Answer<()>, there: T, not_there: T) -> Answer<T> {
    match outcome {
        Ok(()) => Ok(there),
        Err(problem) if problem.code == Code::NotFound => Ok(not_there),
        Err(problem) => Err(problem),
    }
}
