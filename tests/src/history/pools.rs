//! Small pools: every bound is near, so that every bound is met.

use std::sync::Arc;

use cow_storage::error::Error;
use cow_storage::format::{PoolId, Timestamp};
use cow_storage::media::{Media, Simulator};
use cow_storage::pool::{Budgets, NewPool, Pool};

use crate::history::Draw;
use crate::history::interlude::{Cue, CueingExecutor, CueingMedia};

/// Draws how large a pool is.
pub(super) fn draw_pool(draw: &mut Draw) -> NewPool {
    let intent_size = *draw.pick(&[256 << 10, 260 << 10, 512 << 10, 1 << 20]);
    NewPool { id: PoolId(*b"history-of-pools"), secret: [7; 32], segment_size: 1 << 20, intent_size }
}

/// Draws how much memory it has.
pub(super) fn draw_budgets(draw: &mut Draw) -> Budgets {
    Budgets {
        // The smaller, the sooner a commit is a long one, which others pass.
        dirty: *draw.pick(&[256 << 10, 512 << 10, 1 << 20]),
        nodes: *draw.pick(&[16 << 10, 64 << 10, 1 << 20]),
        blocks: *draw.pick(&[0, 64 << 10, 1 << 20]),
        slots: *draw.pick(&[16 << 10, 256 << 10]),
        dedup: *draw.pick(&[0, 16 << 10, 1 << 20]),
    }
}

/// Opens the pool on a disk; commits give cues.
pub(super) fn open(
    disk: &Arc<Simulator>,
    cue: &Cue,
    budgets: &Budgets,
    boot: u64,
    now: Timestamp,
) -> Result<Pool, Error> {
    let media: Arc<dyn Media> = Arc::new(CueingMedia { disk: Arc::clone(disk), cue: cue.clone() });
    Pool::open(media, Arc::new(CueingExecutor(cue.clone())), budgets.clone(), boot, now)
}
