//! What reads of blocks may return when several write at once: a model of each block as a register.
//!
//! A write takes effect at one instant between its beginning and its end, a read of several blocks sees one instant, and so
//! do a snapshot and a rewind. What a sync or a verb covers is durable when that returns. All this is judged by when
//! calls began and ended, on a clock that counts them; so every complaint is right, though not everything wrong is seen.

use std::ops::Range;

/// What a block is filled with.
pub type Value = u64;
/// A moment.
pub type Time = u64;

/// Something that set a block.
#[derive(Clone, Debug)]
struct Event {
    call: u64,
    value: Value,
    begun: Time,
    /// When it had taken effect for sure.
    done: Time,
    is_durable: bool,
}

/// All blocks of a dataset.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    clock: Time,
    blocks: Vec<Vec<Event>>,
}

impl Registers {
    /// Blocks with these values, which are durable.
    pub fn new(values: &[Value]) -> Self {
        let first = |value: &Value| vec![Event { call: 0, value: *value, begun: 0, done: 0, is_durable: true }];
        Self { clock: 0, blocks: values.iter().map(first).collect() }
    }

    /// The next moment.
    pub fn now(&mut self) -> Time {
        self.clock += 1;
        self.clock
    }

    /// A call begins that sets blocks from `first` on. Returns its name.
    pub fn begin(&mut self, first: usize, values: &[Value]) -> u64 {
        let call = self.now();
        for (block, value) in self.blocks[first..].iter_mut().zip(values) {
            block.push(Event { call, value: *value, begun: call, done: Time::MAX, is_durable: false });
        }
        call
    }

    /// It has ended, and what it set is durable or not.
    pub fn end(&mut self, call: u64, is_durable: bool) {
        let now = self.now();
        self.blocks.iter_mut().flatten().filter(|event| event.call == call).for_each(|event| {
            event.done = event.done.min(now);
            event.is_durable |= is_durable;
        });
    }

    /// It was refused, and set nothing.
    pub fn refuse(&mut self, call: u64) {
        self.blocks.iter_mut().for_each(|block| block.retain(|event| event.call != call));
    }

    /// What was done before a moment, to some blocks, is durable now.
    pub fn harden(&mut self, blocks: Range<usize>, before: Time) {
        let done = self.blocks[blocks].iter_mut().flatten().filter(|event| event.done < before);
        done.for_each(|event| event.is_durable = true);
    }

    /// Checks what one read of blocks from `first` on returned, all of it from one instant of a time that ends now; and
    /// learns what was done by then.
    pub fn check(&mut self, first: usize, found: &[Value], begun: Time, what: &str) {
        let now = self.now();
        self.check_at_once(first, found, begun..now, what);
        for (block, value) in self.blocks[first..].iter_mut().zip(found) {
            let mut events = block.iter_mut().filter(|event| event.value == *value && event.begun < now);
            if let (Some(event), None) = (events.next(), events.next()) {
                event.done = event.done.min(now);
            }
        }
    }

    /// Checks what was found to be the blocks at one instant of some time.
    pub fn check_at_once(&self, first: usize, found: &[Value], time: Range<Time>, what: &str) {
        let windows: Vec<Vec<Range<Time>>> =
            self.blocks[first..].iter().zip(found).map(|(block, value)| windows(block, *value)).collect();
        let starts = windows.iter().flatten().map(|window| window.start.max(time.start));
        let is_in = |at: Time| windows.iter().all(|windows| windows.iter().any(|window| window.contains(&at)));
        assert!(
            starts.chain([time.start]).any(|at| at < time.end && is_in(at)),
            "{what}: at no moment of {time:?} were the blocks from {first} on {found:x?}: {:#x?}",
            &self.blocks[first..first + found.len()]
        );
    }

    /// Checks what a loss of power left of the blocks, at the moment at which this was; `later` has what began until
    /// the disk was gone.
    pub fn check_left(&self, later: &Self, found: &[Value]) {
        for (at, value) in found.iter().enumerate() {
            let (known, all) = (&self.blocks[at], &later.blocks[at]);
            let is_lost = |event: &Event| known.iter().any(|newer| newer.is_durable && newer.begun > event.done);
            let may_be = all.iter().any(|event| event.value == *value && !is_lost(event));
            assert!(may_be, "a crash left {value:x} in block {at}, durable was {known:#x?}, and then came {all:#x?}");
        }
    }
}

/// When a block may have had a value.
fn windows(events: &[Event], value: Value) -> Vec<Range<Time>> {
    let candidates = events.iter().filter(|event| event.value == value);
    let window = |event: &Event| {
        let newer = events.iter().filter(|newer| newer.begun > event.done);
        event.begun..newer.map(|newer| newer.done).min().unwrap_or(Time::MAX)
    };
    candidates.map(window).collect()
}

/// A call ends as often as it should, and what is impossible is noticed.
#[test]
fn the_model_tells_what_is_possible() {
    let seen = |found: Value, begun: Time, registers: &Registers| {
        let mut registers = registers.clone();
        std::panic::catch_unwind(move || registers.check(0, &[found], begun, "it")).is_ok()
    };
    let mut registers = Registers::new(&[1]);
    let before = registers.now();
    let two = registers.begin(0, &[2]);
    assert!(seen(1, before, &registers) && seen(2, before, &registers) && !seen(3, before, &registers));
    registers.end(two, false);
    let after = registers.now();
    assert!(seen(1, before, &registers) && seen(2, after, &registers) && !seen(1, after, &registers));
    let three = registers.begin(0, &[3]);
    registers.check(0, &[3], after, "it");
    let late = registers.now();
    assert!(!seen(2, late, &registers), "what was seen to be replaced does not come back");
    registers.refuse(three);
    assert!(seen(2, late, &registers) && !seen(3, late, &registers));
    let known = registers.clone();
    let left = |found| std::panic::catch_unwind(|| known.check_left(&registers, &[found])).is_ok();
    assert!(left(1) && left(2) && !left(3));
    registers.harden(0..1, late);
    let known = registers.clone();
    let left = |found| std::panic::catch_unwind(|| known.check_left(&registers, &[found])).is_ok();
    assert!(!left(1) && left(2));
}
