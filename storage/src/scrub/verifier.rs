//! One verification, from the slot table to the report.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::account::{AccountView, PageRef, PendingChanges, first_of_page};
use crate::catalog::Holder;
use crate::error::Result;
use crate::format::{SegmentId, SlotId};
use crate::scrub::count::Counting;
use crate::scrub::findings::Findings;
use crate::scrub::report::{Meter, told};
use crate::scrub::walk::{Found, Ground, Nodes, walk};
use crate::scrub::window::Window;
use crate::scrub::{Scene, VerifyReport, compare, extents, lists, sanity};
use crate::tree::NODE_SIZE;

/// What is known so far.
pub struct Verifier<'a> {
    scene: Scene<'a>,
    ground: Ground,
    window_len: usize,
    meter: Meter<'a>,
    findings: Findings,
    /// Ids whose slots cannot be read.
    lost: Vec<RangeInclusive<SlotId>>,
    /// Live bytes by segment, as far as slots were read.
    usage: BTreeMap<SegmentId, u64>,
}

impl<'a> Verifier<'a> {
    /// Nothing is known yet.
    pub fn new(
        scene: Scene<'a>,
        of: Option<Holder>,
        window_len: usize,
        progress: &'a mut dyn FnMut(u64, u64) -> bool,
    ) -> Self {
        let ground = of.map_or(Ground::Whole, |of| Ground::Of(scene.catalog.live_family(of)));
        let (meter, findings) = (Meter::new(progress), Findings::default());
        Self { scene, ground, window_len, meter, findings, lost: Vec::new(), usage: BTreeMap::new() }
    }

    /// Does it all.
    pub fn run(mut self) -> Result<VerifyReport> {
        let view = self.scene.store.account().view(self.scene.account);
        let mut pages = self.pages(&view);
        let mut pending = None;
        if self.is_whole() {
            self.meter.total = self.scene.store.account().totals().live;
            pending = self.pending(&view);
        } else {
            let reached = self.survey();
            pages.retain(|page| reached.contains(page.ids.start()));
        }
        if self.windows(&view, &pages, pending.as_ref())? && self.is_whole() && self.lost.is_empty() {
            compare::usage(&view, std::mem::take(&mut self.usage), &mut self.findings);
        }
        if self.is_whole() && self.meter.go_on() {
            lists::check(self.scene, &mut self.findings, &mut self.meter);
        }
        let unsound = sanity::check_trees(self.scene, &self.ground, self.window_len, &mut self.meter);
        let mut damage = self.findings.damage(self.scene, &self.ground);
        damage.extend(unsound);
        self.meter.finish();
        Ok(VerifyReport { objects: self.meter.objects, bytes: self.meter.bytes, damage })
    }

    fn is_whole(&self) -> bool {
        matches!(self.ground, Ground::Whole)
    }

    fn pages(&mut self, view: &AccountView<'_>) -> Vec<PageRef> {
        view.slot_pages(&mut |pages| {
            self.findings.note(format!("a part of the slot table is damaged: {}", told(&pages.error)));
            self.lost.push(pages.ids);
        })
    }

    fn pending(&mut self, view: &AccountView<'_>) -> Option<PendingChanges> {
        view.pending().map_err(|error| self.findings.note(format!("the free log is damaged: {}", told(&error)))).ok()
    }

    /// Reads and checks all nodes of a part of the pool. Returns the first ids of the pages with all that it reaches.
    fn survey(&mut self) -> BTreeSet<SlotId> {
        let account = self.scene.store.account();
        let mut pages = BTreeSet::new();
        let nodes = Nodes { store: self.scene.store, from_disk: Some(SlotId(0)..=SlotId(u64::MAX)) };
        walk(self.scene, &nodes, &self.ground, &mut |holder, found| match found {
            Found::Node { pointer, .. } => {
                pages.insert(first_of_page(pointer.id));
                self.meter.count(1, NODE_SIZE as u64);
                self.meter.total += NODE_SIZE as u64;
                self.meter.go_on_soon()
            }
            Found::Run { run, .. } => {
                pages.insert(first_of_page(run.id));
                if let Ok(Some(slot)) = account.lookup(run.id) {
                    let share = run.hashes.len() as u64 * u64::from(slot.place.length);
                    self.meter.total += share / u64::from(slot.live.count_ones().max(1));
                }
                true
            }
            other => {
                self.findings.take(holder, other);
                true
            }
        });
        pages
    }

    /// Goes through all slots of some pages. Returns whether it came to the end.
    fn windows(&mut self, view: &AccountView<'_>, pages: &[PageRef], pending: Option<&PendingChanges>) -> Result<bool> {
        let (mut rest, mut from) = (pages, SlotId(0));
        loop {
            let mut window = self.window(view, &mut rest, from);
            if let Some(pending) = pending {
                window.apply(pending, &mut |id| {
                    self.findings.note(format!("counts of {id:?} change, which is not in the slot table"));
                });
            }
            let is_complete = self.count(&mut window);
            if !self.meter.go_on() {
                return Ok(false);
            }
            for broken in extents::check(self.scene.store, &window, &mut self.meter)? {
                self.findings.note_broken(broken);
            }
            if pending.is_some() {
                compare::counts(&window, is_complete, &mut self.findings);
            }
            compare::add_usage(&window, &mut self.usage);
            if !self.meter.go_on() || rest.is_empty() {
                return Ok(rest.is_empty());
            }
            from = window.next();
        }
    }

    fn window(&mut self, view: &AccountView<'_>, rest: &mut &[PageRef], from: SlotId) -> Window {
        let before = *rest;
        let findings = &mut self.findings;
        let window = Window::read(view, rest, from, self.window_len, &mut self.lost, &mut |page, error| {
            let (first, last) = (page.ids.start(), page.ids.end());
            findings.note(format!("the page of the slots {first:?} to {last:?} is damaged: {}", told(&error)));
        });
        let read = &before[..before.len() - rest.len()];
        self.meter.count(0, read.iter().map(PageRef::stored_len).sum());
        window
    }

    /// Counts the pointers into a window. Returns whether none was hidden by damage.
    fn count(&mut self, window: &mut Window) -> bool {
        // Of a part of the pool, all nodes were read from the disk before.
        let from_disk = self.is_whole().then(|| window.ids());
        let nodes = Nodes { store: self.scene.store, from_disk };
        let mut counting = Counting::new(self.scene.catalog, window, self.is_whole(), &mut self.findings);
        let meter = &mut self.meter;
        walk(self.scene, &nodes, &self.ground, &mut |holder, found| {
            counting.take(holder, found, meter);
            meter.go_on_soon()
        });
        counting.is_complete
    }
}
