//! Snapshots as users name them, kept for as long as a job needs them.
//!
//! Invariant: a snapshot that is [`Needed`] is not removed by a policy, so a job that was begun finds it.

use std::sync::Arc;

use cow_api::v1::{Code, Problem};
use serde_json::Value;

use crate::service::Answer;
use crate::state::Row;
use crate::virtualization::Virtualization;
use crate::virtualization::records::{Bookmark, Point, Source, Timeflow};

/// A snapshot that a job needs, until this is dropped.
pub struct Needed {
    by: Arc<Virtualization>,
    /// Its full name, and what its plugin said of it.
    pub point: (String, Value),
}

impl Drop for Needed {
    fn drop(&mut self) {
        let mut needed = self.by.needed.lock();
        if let Some(at) = needed.iter().position(|name| *name == self.point.0) {
            needed.swap_remove(at);
        }
    }
}

impl Virtualization {
    /// A snapshot by its full name, as `SOURCE@TIME` or `SOURCE@BOOKMARK`, by its bookmark alone, or the newest of
    /// `SOURCE`.
    pub(super) fn point(&self, text: &str) -> Answer<(Row<Source>, Row<Point>)> {
        let bookmark = self.state.read(|view| view.find::<Bookmark>(0, text))?;
        let text = bookmark.as_ref().map_or(text, |row| &row.record.snapshot);
        let (name, part) = text.split_once('@').map_or((text, None), |(name, part)| (name, Some(part)));
        let short = name.strip_prefix("dsource/").or_else(|| name.strip_prefix("vdb/")).unwrap_or(name);
        let source = self.made(short.split('/').next().unwrap_or(short))?;
        let mut points = self.state.read(|view| view.owned::<Point>(source.id))?;
        match part {
            Some(part) if short.contains('/') => {
                points.retain(|point| point.record.name.ends_with(&format!("{short}@{part}")))
            }
            Some(part) => {
                let bookmark = self.state.read(|view| view.find::<Bookmark>(0, part))?;
                let marked = bookmark.filter(|row| row.record.source == source.id).map(|row| row.record.snapshot);
                points.retain(|Row { record: Point { name, .. }, .. }| {
                    marked.as_ref() == Some(name) || name.split_once('@').is_some_and(|(_, name)| name == part)
                })
            }
            None => points.retain(|point| Some(point.record.timeflow) == source.record.timeflow),
        }
        let missing = || {
            let problem = Problem::new(Code::NotFound, format!("there is no snapshot {text}"));
            problem.with_hint(format!("'cowctl timeline {}' shows what there is", source.record.name))
        };
        let point = points.pop().ok_or_else(missing)?;
        Ok((source, point))
    }

    /// Keeps a snapshot for a job.
    pub(super) fn need(self: &Arc<Self>, point: &Row<Point>) -> Answer<Needed> {
        let name = point.record.name.clone();
        self.needed.lock().push(name.clone());
        let mut needed = Needed { by: self.clone(), point: (name, Value::Null) };
        // Only now is it sure that no policy removes it; one may have just before, and an upgrade have changed it.
        let point = self.state.read(|view| view.get::<Point>(point.id))?;
        needed.point.1 = self.unseal(&point.record.data)?;
        Ok(needed)
    }

    /// A snapshot of a source's own, the newest by default, for a job.
    pub(super) fn own_point(self: &Arc<Self>, row: &Row<Source>, to: Option<&str>) -> Answer<Needed> {
        let name = &row.record.name;
        let text = match to {
            None => name.clone(),
            Some(to) if to.contains('@') => to.to_owned(),
            Some(to) => format!("{name}@{to}"),
        };
        let (source, point) = self.point(&text)?;
        if source.id != row.id {
            let problem = Problem::new(Code::InvalidRequest, format!("{} is no snapshot of {name}", point.record.name));
            return Err(problem.with_hint(format!("'cowctl timeline {name}' shows those that are")));
        }
        self.need(&point)
    }

    /// A snapshot of what a VDB was provisioned from, the newest by default, for a job.
    pub(super) fn refresh_to(self: &Arc<Self>, row: &Row<Source>, to: Option<&str>) -> Answer<Needed> {
        let flows = self.state.read(|view| view.owned::<Timeflow>(row.id))?;
        let name = &row.record.name;
        let Some(parent) = origin(&row.record, &flows) else {
            return Err(Problem::new(
                Code::Conflict,
                format!("{name} was provisioned empty: there is nothing to refresh from"),
            ));
        };
        let from = parent.record.from.as_deref().unwrap_or_default();
        let parent = from.split_once('@').map_or(from, |(dataset, _)| dataset);
        let parent = parent.split('/').nth(1).unwrap_or(parent);
        let text = match to {
            None => parent.to_owned(),
            Some(to) if to.contains('@') => to.to_owned(),
            Some(to) => format!("{parent}@{to}"),
        };
        let (source, point) = self.point(&text)?;
        if source.record.name != parent {
            let problem =
                Problem::new(Code::InvalidRequest, format!("{} is no snapshot of {parent}", point.record.name));
            return Err(problem.with_hint(format!("{name} was provisioned from {parent}")));
        }
        self.need(&point)
    }
}

/// The last timeflow of a VDB that began from what it was provisioned from: a rewind begins from its own.
pub fn origin<'f>(source: &Source, flows: &'f [Row<Timeflow>]) -> Option<&'f Row<Timeflow>> {
    let own = format!("{}/", source.folder());
    flows.iter().rev().find(|flow| flow.record.from.as_ref().is_some_and(|from| !from.starts_with(&own)))
}
