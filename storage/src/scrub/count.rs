//! Counts the pointers into a window as a walk comes upon them.

use crate::catalog::{Catalog, Holder};
use crate::scrub::findings::{Findings, Hit};
use crate::scrub::report::Meter;
use crate::scrub::walk::Found;
use crate::scrub::window::{Reference, Window};
use crate::tree::{Key, NODE_SIZE, NodePointer, RunRef};

/// What a walk has counted.
pub struct Counting<'a> {
    catalog: &'a Catalog,
    window: &'a mut Window,
    findings: &'a mut Findings,
    /// Whether nodes of the window are read now, and were not before.
    reads_nodes: bool,
    /// Whose run came last, and the block size of that dataset.
    last: Option<(Holder, u8)>,
    /// Whether damage has hidden nothing.
    pub is_complete: bool,
}

impl<'a> Counting<'a> {
    /// Nothing is counted yet.
    pub fn new(catalog: &'a Catalog, window: &'a mut Window, reads_nodes: bool, findings: &'a mut Findings) -> Self {
        Self { catalog, window, findings, reads_nodes, last: None, is_complete: true }
    }

    /// Takes what the walk came upon.
    pub fn take(&mut self, holder: Option<Holder>, found: Found<'_>, meter: &mut Meter<'_>) {
        match found {
            Found::Node { counts, pointer, first, upper } if self.window.contains(pointer.id) => {
                if self.reads_nodes {
                    meter.count(1, NODE_SIZE as u64);
                }
                self.node(holder, counts, pointer, first, upper);
            }
            Found::Run { counts, key, run } if self.window.contains(run.id) => self.run(holder, counts, key, &run),
            Found::Node { .. } | Found::Run { .. } => {}
            Found::Owed(dead) => self.window.owe(dead.id, dead.first, dead.count),
            lost => {
                self.is_complete = false;
                self.findings.take(holder, lost);
            }
        }
    }

    fn node(&mut self, holder: Option<Holder>, counts: bool, pointer: &NodePointer, first: Key, upper: Option<Key>) {
        let id = pointer.id;
        let reference = Reference { id, first: 0, hashes: &[], is_node: true, block_len_log2: 0, counts };
        if let Some(problem) = self.window.refer(&reference) {
            self.findings.hit_node(Hit::node(holder, pointer, first, upper, problem));
        }
    }

    fn run(&mut self, holder: Option<Holder>, counts: bool, key: Key, run: &RunRef<'_>) {
        let block_len_log2 = self.block_len_log2(holder);
        let RunRef { id, first, hashes, .. } = *run;
        let reference = Reference { id, first, hashes, is_node: false, block_len_log2, counts };
        if let Some(problem) = self.window.refer(&reference) {
            self.findings.hit(Hit::block(holder, run.id, key, problem));
        }
    }

    fn block_len_log2(&mut self, holder: Option<Holder>) -> u8 {
        let Some(holder) = holder else { return 0 };
        if let Some((last, block_len_log2)) = self.last
            && last == holder
        {
            return block_len_log2;
        }
        let block_len_log2 = self.catalog.block_size(holder).map_or(0, |size| size.trailing_zeros() as u8);
        self.last = Some((holder, block_len_log2));
        block_len_log2
    }
}
