//! Looks through the segments of nodes from the end of the newest to the beginning of the oldest, when nothing is known but
//! their files.
//!
//! Invariant: what cannot be read is passed over, so that a damaged place hides only itself.

use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::format::SegmentId;
use crate::media::{Media, MediaFile};
use crate::segment::files::{name_of, parse_name};
use crate::segment::{BLOCK_LEN, Stream};

/// Bytes read at once.
const WINDOW_LEN: u64 = 1 << 20;

/// A block of a segment.
pub struct Block {
    /// Which segment.
    pub segment: SegmentId,
    /// Where it begins there.
    pub offset: u32,
    /// What is there.
    pub bytes: [u8; BLOCK_LEN as usize],
}

/// The blocks of all segments of nodes, the last first.
pub struct Backwards {
    media: Arc<dyn Media>,
    /// Those not begun, the newest last.
    waiting: Vec<SegmentId>,
    open: Option<Open>,
}

struct Open {
    segment: SegmentId,
    file: Arc<dyn MediaFile>,
    /// Where the window begins; what comes before it has not been read.
    start: u64,
    window: Vec<u8>,
}

impl Backwards {
    /// Begins at the end of the newest.
    pub fn new(media: Arc<dyn Media>) -> Result<Self> {
        let names = media.list().map_err(|error| error.during("list the segments"))?;
        let segments = names.iter().filter_map(|name| parse_name(name));
        let mut waiting: Vec<_> =
            segments.filter(|(stream, _)| *stream == Stream::Node).map(|(_, segment)| segment).collect();
        waiting.sort();
        Ok(Self { media, waiting, open: None })
    }

    fn begin(&mut self, segment: SegmentId) -> Result<()> {
        let file = match self.media.open(&name_of(Stream::Node, segment)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| error.during("open a segment"))?,
        };
        let length = file.length().map_err(|error| error.during("open a segment"))?;
        let start = length / u64::from(BLOCK_LEN) * u64::from(BLOCK_LEN);
        self.open = Some(Open { segment, file, start, window: Vec::new() });
        Ok(())
    }
}

impl Open {
    /// Puts what comes before the window into it.
    fn refill(&mut self) {
        let length = self.start.min(WINDOW_LEN);
        self.start -= length;
        self.window.resize(length as usize, 0);
        if self.file.read_at(&mut self.window, self.start).is_ok() {
            return;
        }
        for (number, block) in self.window.chunks_exact_mut(BLOCK_LEN as usize).enumerate() {
            if self.file.read_at(block, self.start + number as u64 * u64::from(BLOCK_LEN)).is_err() {
                block.fill(0);
            }
        }
    }

    fn previous(&mut self) -> Option<Block> {
        if self.window.is_empty() {
            self.refill();
        }
        let at = self.window.len().checked_sub(BLOCK_LEN as usize)?;
        let bytes = *self.window[at..].first_chunk()?;
        self.window.truncate(at);
        Some(Block { segment: self.segment, offset: (self.start + at as u64) as u32, bytes })
    }
}

impl Iterator for Backwards {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Result<Block>> {
        loop {
            if let Some(block) = self.open.as_mut().and_then(Open::previous) {
                return Some(Ok(block));
            }
            self.open = None;
            let segment = self.waiting.pop()?;
            if let Err(error) = self.begin(segment) {
                return Some(Err(error));
            }
        }
    }
}
