//! Which reads are a stream's, and what to fetch before its next read comes.
//!
//! Invariant: what was fetched ahead of streams and not read by them is never more than a quarter of the block cache; and
//! whoever reads at random is not read ahead of. Nothing here reads: it says what to fetch.
//!
//! A client has several reads under way, which arrive in any order. So a stream is a run of reads that touch one another,
//! whichever came first; what reads leave behind that touch none is forgotten soon.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::{Arc, Weak};

use crate::catalog::Holder;
use crate::format::InodeNumber;
use crate::pool::head::Head;
use crate::sync::{AtomicBool, Mutex, OnceLock, Ordering};

/// Parts of the table, each with its lock and its share of the cache.
const SETS: usize = 16;
/// Runs that are remembered in each.
const RUNS_MAX: usize = 32;
/// Bytes of a file that one errand fetches; pieces end at multiples of this.
const PIECE_LEN: u64 = 256 << 10;
/// Most bytes fetched ahead of one stream.
const WINDOW_MAX: u64 = 4 << 20;
/// Reads that make a stream.
const STREAM_READS_MIN: u32 = 3;
/// And bytes of them.
const STREAM_LEN_MIN: u64 = 64 << 10;
/// Reads of the same set after which a run is old: what is under way of one client are fewer.
const OLD: u64 = 64;

/// The streams of a pool.
pub struct ReadAhead {
    sets: Vec<Mutex<Set>>,
}

/// What is fetched by one errand.
pub struct Piece {
    /// Whose file.
    pub head: Weak<Head>,
    /// Which file.
    pub inode: InodeNumber,
    /// Which bytes.
    pub range: Range<u64>,
    is_begun: AtomicBool,
    /// Whether anything had to be read from the disk.
    done: OnceLock<bool>,
}

impl Piece {
    /// A piece that nobody has begun.
    pub fn new(head: Weak<Head>, inode: InodeNumber, range: Range<u64>) -> Arc<Self> {
        Arc::new(Self { head, inode, range, is_begun: AtomicBool::new(false), done: OnceLock::new() })
    }

    /// Calls `fetch`, which returns whether anything had to be read from the disk, unless somebody has begun it.
    pub fn begin(&self, fetch: impl FnOnce(&Self) -> bool) {
        if !self.is_begun.swap(true, Ordering::Relaxed) {
            self.finish(fetch);
        }
    }

    /// The same, and waits for whoever has begun.
    pub fn finish(&self, fetch: impl FnOnce(&Self) -> bool) {
        self.done.get_or_init(|| fetch(self));
    }
}

/// What a read is to do before it reads.
#[derive(Default)]
pub struct Steps {
    /// Have these fetched.
    pub begin: Vec<Arc<Piece>>,
    /// These are about what it wants: do them, or wait for whoever is at it.
    pub needed: Vec<Arc<Piece>>,
}

/// A file of a head or snapshot.
pub type File = (Holder, InodeNumber);

#[derive(Default)]
struct Set {
    /// Bytes of the cache that its streams may fill ahead.
    share: u64,
    /// Reads so far.
    tick: u64,
    runs: Vec<Run>,
}

/// Reads of a file that touch one another.
struct Run {
    file: File,
    start: u64,
    end: u64,
    reads: u32,
    /// Up to where it was fetched ahead; not below `end`.
    ahead: u64,
    /// What was fetched ahead, in order.
    pieces: VecDeque<Arc<Piece>>,
    /// What had been fetched in all at its last read.
    fetched: u64,
    /// When that was.
    used: u64,
}

impl ReadAhead {
    /// No streams yet, before a cache of so many bytes.
    pub fn new(cache_budget: u64) -> Self {
        let set = || Mutex::new(Set { share: cache_budget / 4 / SETS as u64, ..Set::default() });
        Self { sets: (0..SETS).map(|_| set()).collect() }
    }

    /// Notes that a range of a file is about to be read. `fetched` only grows, whenever something is read from the disk;
    /// `new` makes a piece of this file.
    pub fn note(&self, file: File, range: Range<u64>, fetched: u64, new: impl Fn(Range<u64>) -> Arc<Piece>) -> Steps {
        let mut hasher = DefaultHasher::new();
        file.hash(&mut hasher);
        let mut set = self.sets[hasher.finish() as usize % SETS].lock();
        let needed = set.pieces_within(file, &range);
        let run = set.add(file, range, fetched);
        Steps { begin: set.begin(run, fetched, new), needed }
    }
}

impl Set {
    /// Pieces that were begun, or are to be, and are about some of this range.
    fn pieces_within(&self, file: File, range: &Range<u64>) -> Vec<Arc<Piece>> {
        let overlaps = |piece: &&Arc<Piece>| piece.range.start < range.end && range.start < piece.range.end;
        let pieces = self.runs.iter().filter(|run| run.file == file).flat_map(|run| &run.pieces);
        pieces.filter(overlaps).filter(|piece| piece.done.get().is_none()).cloned().collect()
    }

    /// Adds a read to the run that it goes on, or begins one. Returns where that is.
    fn add(&mut self, file: File, range: Range<u64>, fetched: u64) -> usize {
        self.tick += 1;
        let goes_on =
            |run: &Run| run.file == file && run.start <= range.start && (range.start..range.end).contains(&run.end);
        let precedes = |run: &Run| run.file == file && (range.start + 1..=range.end).contains(&run.start);
        let longest = |fits: &dyn Fn(&Run) -> bool| {
            let fitting = self.runs.iter().enumerate().filter(|(_, run)| fits(run));
            fitting.max_by_key(|(_, run)| run.end - run.start).map(|(at, _)| at)
        };
        let found = longest(&goes_on).or_else(|| longest(&|run| self.is_recent(run) && precedes(run)));
        let at = found.unwrap_or_else(|| self.begin_run(file, range.start, fetched));
        let run = &mut self.runs[at];
        (run.start, run.end) = (run.start.min(range.start), run.end.max(range.end));
        (run.reads, run.used) = (run.reads + 1, self.tick);
        self.unite(at)
    }

    fn is_recent(&self, run: &Run) -> bool {
        self.tick - run.used <= OLD
    }

    fn begin_run(&mut self, file: File, start: u64, fetched: u64) -> usize {
        let pieces = VecDeque::new();
        let run = Run { file, start, end: start, reads: 0, ahead: start, pieces, fetched, used: self.tick };
        if self.runs.len() < RUNS_MAX {
            self.runs.push(run);
            return self.runs.len() - 1;
        }
        // Streams outlive what others read at random.
        let victim = |(_, run): &(usize, &Run)| (run.is_stream() && self.is_recent(run), run.used);
        let at = self.runs.iter().enumerate().min_by_key(victim).map_or(0, |(at, _)| at);
        self.runs[at] = run;
        at
    }

    /// Unites a run with what came before its time and it has reached now; what it runs into that is old is a
    /// stream's that went there before, and is forgotten. Returns where the run is now.
    fn unite(&mut self, mut at: usize) -> usize {
        let mut other = 0;
        while other < self.runs.len() {
            let (run, met) = (&self.runs[at], &self.runs[other]);
            let meets = other != at && met.file == run.file && run.start <= met.start && met.start <= run.end;
            if !meets {
                other += 1;
                continue;
            }
            let is_recent = self.is_recent(met);
            let met = self.runs.swap_remove(other);
            at = if at == self.runs.len() { other } else { at };
            if is_recent {
                self.runs[at].take_up(met);
            }
            other = 0;
        }
        at
    }

    /// What a run wants fetched now.
    fn begin(&mut self, at: usize, fetched: u64, new: impl Fn(Range<u64>) -> Arc<Piece>) -> Vec<Arc<Piece>> {
        let run = &mut self.runs[at];
        let is_cold = run.pass() | (std::mem::replace(&mut run.fetched, fetched) != fetched);
        if !is_cold || !run.is_stream() {
            return Vec::new();
        }
        let limit = self.share.saturating_sub(self.ahead_of_others(at));
        let run = &mut self.runs[at];
        let until = run.end.saturating_add(WINDOW_MAX.min(run.end - run.start).min(limit));
        let mut begun = Vec::new();
        while run.ahead < until {
            let end = (run.ahead / PIECE_LEN + 1) * PIECE_LEN;
            if end - run.end > limit {
                break;
            }
            let piece = new(run.ahead..end);
            run.pieces.push_back(Arc::clone(&piece));
            run.ahead = end;
            begun.push(piece);
        }
        begun
    }

    /// Bytes fetched ahead of the other runs. Those that nobody reads on give up what they have.
    fn ahead_of_others(&mut self, at: usize) -> u64 {
        let (tick, mut sum) = (self.tick, 0);
        for (_, run) in self.runs.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            if tick - run.used > OLD {
                run.pieces.clear();
                run.ahead = run.end;
            }
            sum += run.ahead - run.end;
        }
        sum
    }
}

impl Run {
    fn is_stream(&self) -> bool {
        self.reads >= STREAM_READS_MIN && self.end - self.start >= STREAM_LEN_MIN
    }

    /// Forgets the pieces that were read. Returns whether something of them came from the disk.
    fn pass(&mut self) -> bool {
        self.ahead = self.ahead.max(self.end);
        let mut fetched = false;
        while let Some(piece) = self.pieces.pop_front_if(|piece| piece.range.end <= self.end) {
            fetched |= piece.done.get().is_some_and(|fetched| *fetched);
        }
        fetched
    }

    fn take_up(&mut self, met: Self) {
        self.end = self.end.max(met.end);
        self.ahead = self.ahead.max(met.ahead);
        self.reads += met.reads;
        self.pieces.extend(met.pieces);
        self.fetched = self.fetched.min(met.fetched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::DatasetId;
    use crate::media::Choices;

    const MIB: u64 = 1 << 20;
    const BUDGET: u64 = 256 * MIB;

    fn file(number: u64) -> File {
        (Holder::Head(DatasetId(number % 3)), InodeNumber(number))
    }

    /// A table, and how much was fetched.
    struct World {
        table: ReadAhead,
        fetched: u64,
        budget: u64,
    }

    impl World {
        fn new(budget: u64) -> Self {
            Self { table: ReadAhead::new(budget), fetched: 0, budget }
        }

        /// A read of what no cache has. What is to be fetched first is; returns those ranges.
        fn read(&mut self, file: File, range: Range<u64>) -> Vec<Range<u64>> {
            let piece = |range| Piece::new(Weak::new(), file.1, range);
            let steps = self.table.note(file, range.clone(), self.fetched, piece);
            self.fetched += 1;
            steps.begin.iter().chain(&steps.needed).for_each(|piece| piece.begin(|_| true));
            let runs = |set: &Mutex<Set>| set.lock().runs.iter().map(|run| run.ahead - run.end).sum::<u64>();
            let ahead: u64 = self.table.sets.iter().map(runs).sum();
            assert!(ahead <= self.budget / 4, "{ahead} bytes are fetched ahead");
            assert!(self.table.sets.iter().all(|set| set.lock().runs.len() <= RUNS_MAX));
            steps.begin.iter().map(|piece| piece.range.clone()).collect()
        }
    }

    /// Reads of one file in order, but for as many as are under way at once.
    fn shuffled(choices: &mut Choices, count: u64, depth: u64) -> Vec<u64> {
        let (mut waiting, mut order): (Vec<u64>, Vec<u64>) = Default::default();
        for number in 0..count {
            waiting.push(number);
            if waiting.len() as u64 >= depth {
                // None is overtaken for ever.
                let late = waiting[0] + 2 * depth <= number;
                order.push(waiting.remove(if late { 0 } else { choices.below(depth) as usize }));
            }
        }
        order.extend(waiting);
        order
    }

    #[test]
    fn streams_are_read_ahead_of_in_whatever_order_their_reads_come() {
        for (seed, length) in (0..40).flat_map(|seed| [8 << 10, 64 << 10, MIB].map(|length| (seed, length))) {
            let (mut world, mut choices) = (World::new(BUDGET), Choices::new(seed));
            let depth = [1, 2, 4, 8][seed as usize % 4];
            let count = 64 * MIB / length;
            // Twice: a file that was read through is read through again.
            for _ in 0..2 {
                let mut covered: Vec<Range<u64>> = Vec::new();
                let mut unread = 0;
                for number in shuffled(&mut choices, count, depth) {
                    let (start, end) = (number * length, (number + 1) * length);
                    unread += u64::from(!(covered.iter().any(|piece| piece.contains(&start))));
                    covered.extend(world.read(file(1), start..end));
                    if choices.below(4) == 0 {
                        // Others read at random meanwhile.
                        let at = choices.below(1 << 20) * 8192;
                        world.read(file(choices.below(50)), at..at + 8192);
                    }
                }
                // The stream before holds its share until it is old.
                let most = 2 * (depth + STREAM_LEN_MIN / length + 8) + OLD;
                assert!(unread <= most, "{unread} of {count} reads of {length} bytes, {depth} at once, waited");
                assert!(covered.iter().all(|piece| piece.end <= 64 * MIB + WINDOW_MAX));
                let begun: u64 = covered.iter().map(|piece| piece.end - piece.start).sum();
                // Runs that meet may have begun the same; what is there already costs little.
                assert!(begun <= 2 * 64 * MIB, "{begun} bytes were fetched");
            }
        }
    }

    #[test]
    fn nothing_is_fetched_for_who_reads_at_random_or_what_is_cached() {
        let (mut world, mut choices) = (World::new(BUDGET), Choices::new(1));
        for _ in 0..100_000 {
            let (number, at) = (choices.below(20), choices.below(1 << 24) * 8192);
            assert_eq!(world.read(file(number), at..at + 8192), []);
        }
        for number in 0..10_000u64 {
            let piece = |range| Piece::new(Weak::new(), InodeNumber(1), range);
            let steps = world.table.note(file(1), number * MIB..(number + 1) * MIB, 7, piece);
            // It may have missed before the first one, and is asked for once.
            assert!(number == 0 || steps.begin.is_empty() || number < 5);
            steps.begin.iter().for_each(|piece| piece.begin(|_| false));
        }
    }

    #[test]
    fn many_streams_share_what_there_is() {
        for (budget, streams) in [(0, 3), (8 * MIB, 10), (BUDGET, 10), (BUDGET, 300), (4 * BUDGET, 300)] {
            let mut world = World::new(budget);
            let mut begun = 0;
            for (number, stream) in (0..100).flat_map(|number| (0..streams).map(move |stream| (number, stream))) {
                let start = number * (64 << 10);
                begun += world.read(file(stream), start..start + (64 << 10)).len();
            }
            assert_eq!(begun > 0, budget > 0, "{budget} {streams}");
        }
    }
}
