//! Compares what was counted with what the account says.

use std::collections::BTreeMap;

use crate::account::AccountView;
use crate::format::SegmentId;
use crate::scrub::extents::Broken;
use crate::scrub::findings::Findings;
use crate::scrub::report::told;
use crate::scrub::window::{Block, Entry, Window};

/// Compares references. If the walk was not complete, what was not found may just be hidden.
pub fn counts(window: &Window, is_complete: bool, findings: &mut Findings) {
    for entry in window.entries() {
        let over = window.blocks(entry).find(|(_, block)| i64::from(block.found) > block.expected);
        if let Some(over) = over {
            let problem = format!("{}: what is in use may be given back", counted(entry, over));
            findings.note_broken(Broken { id: entry.id, blocks: 1 << over.0, problem });
        }
        let under = window.blocks(entry).find(|(_, block)| i64::from(block.found) < block.expected);
        if let Some(under) = under.filter(|_| is_complete) {
            findings.note(format!("{}: its space will not come back", counted(entry, under)));
        }
    }
}

fn counted(entry: &Entry, (index, block): (u8, &Block)) -> String {
    let Block { expected, found, .. } = block;
    let what = if entry.is_node { "the node".to_owned() } else { format!("block {index} of the extent") };
    format!("{what} {:?} has {found} references, and {expected} are counted", entry.id)
}

/// Adds up the bytes of slots by segment.
pub fn add_usage(window: &Window, usage: &mut BTreeMap<SegmentId, u64>) {
    for entry in window.entries() {
        *usage.entry(entry.place.segment).or_default() += u64::from(entry.place.length);
    }
}

/// Compares the usage of segments with what lies there: slots, of which `found` has the sums, and the account's pages.
pub fn usage(view: &AccountView<'_>, mut found: BTreeMap<SegmentId, u64>, findings: &mut Findings) {
    let pages = view.for_each_page(&mut |place| *found.entry(place.segment).or_default() += u64::from(place.length));
    let recorded = match pages.and_then(|()| view.usage()) {
        Ok(recorded) => recorded,
        Err(error) => return findings.note(format!("the account's pages are damaged: {}", told(&error))),
    };
    let segments = found.keys().chain(recorded.keys());
    for segment in segments {
        let of = |usage: &BTreeMap<SegmentId, u64>| usage.get(segment).copied().unwrap_or(0);
        let (lies, said) = (of(&found), of(&recorded));
        if lies != said {
            let what = format!("{lies} live bytes lie in segment {:010x}, and {said} are counted", segment.0);
            findings.note(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::account::{Account, AccountOptions, NODE_LEN};
    use crate::format::Birth;
    use crate::media::{Media, Simulator};
    use crate::segment::SegmentOptions;

    #[test]
    fn usage_that_differs_is_told() {
        let media: Arc<dyn Media> = Arc::new(Simulator::new());
        let segments = SegmentOptions { segment_len: 1 << 20, reserve_count: 1 };
        let account = Account::create(media, AccountOptions::new(segments, 1 << 20)).unwrap();
        let id = account.append_node(Birth(1), |_| [7; NODE_LEN]).unwrap();
        let state = account.commit(Birth(1), Birth(0), None).unwrap();
        let told = |live: u64| {
            let mut findings = Findings::default();
            usage(&account.view(&state), [(id.segment(), live)].into(), &mut findings);
            findings.notes().count()
        };
        assert_eq!((told(NODE_LEN as u64), told(0), told(NODE_LEN as u64 + 1)), (0, 1, 1));
    }
}
