//! Group commit: many wait, one flushes for all.

use std::sync::Arc;

use crate::error::{ErrorKind, Result};
use crate::format::PoolId;
use crate::intent::{INTENT_LEN_MIN, IntentLog, LogPosition};
use crate::media::{Choices, Simulator};
use crate::pool::tests::threads::orders::{in_many_orders, split, thread};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

const POOL: PoolId = PoolId(*b"0123456789abcdef");
const WRITERS: usize = 3;

/// When a record was being appended, by a clock that all share, and whether its wait returned.
#[derive(Clone, Copy)]
struct Appended {
    name: [u8; 2],
    begun: u64,
    ended: u64,
    is_promised: bool,
}

struct World {
    disk: Arc<Simulator>,
    log: IntentLog,
    clock: AtomicU64,
    appended: Mutex<Vec<Appended>>,
    has_failed: AtomicBool,
}

impl World {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::AcqRel)
    }

    /// Takes note of how a wait for all records ended that were appended before a moment, or for one.
    fn note(&self, outcome: Result<()>, is_meant: impl Fn(&Appended) -> bool) {
        match outcome {
            Ok(()) => {
                let mut appended = self.appended.lock();
                appended.iter_mut().filter(|record| is_meant(record)).for_each(|record| record.is_promised = true);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Poisoned);
                self.has_failed.store(true, Ordering::Release);
            }
        }
    }

    fn append(&self, writer: u8, mut choices: Choices) {
        for number in 0..4 {
            let (name, begun) = ([writer, number], self.now());
            // The last of these fills the ring, so that records wait for room.
            let mut record = vec![0; [2, 900, 5000, 20_000][choices.below(4) as usize]];
            record[..2].copy_from_slice(&name);
            let ticket = match self.log.append(&record) {
                Ok(ticket) => ticket,
                Err(error) if error.kind() == ErrorKind::Busy => return,
                Err(error) => return self.note(Err(error), |_| false),
            };
            let ended = self.now();
            self.appended.lock().push(Appended { name, begun, ended, is_promised: false });
            if choices.below(3) > 0 {
                self.note(self.log.wait(ticket), |record| record.name == name);
            }
        }
    }

    /// As a small commit does.
    fn take_positions(&self) {
        for _ in 0..2 {
            let before = self.now();
            let position = self.log.position();
            self.note(self.log.wait_before(&position), |record| record.ended < before);
        }
    }

    /// The power goes at a moment that the scheduler chooses.
    fn crash(&self, mut choices: Choices) {
        // First, as what is promised after this may not reach the disk that is left.
        let promised = self.appended.lock().clone();
        self.check(&promised, &self.disk.crash(&mut |limit| choices.below(limit)));
    }

    /// What is left is a beginning of what was appended, with all that was promised.
    fn check(&self, known: &[Appended], disk: &Simulator) {
        let (_, found) = IntentLog::open(disk, POOL, LogPosition::START).unwrap();
        let place = |name: [u8; 2]| found.iter().position(|record| record.bytes[..2] == name);
        for one in known {
            assert!(!one.is_promised || place(one.name).is_some(), "a promised record is lost");
            for other in known.iter().filter(|other| one.ended < other.begun) {
                assert!(place(other.name).is_none_or(|at| place(one.name).is_some_and(|before| before < at)));
            }
        }
    }
}

/// Whatever fails, and whenever the power goes: every wait ends, a promise is kept, an error reaches all whom it hits.
#[test]
fn records_that_share_a_flush_are_durable_when_their_waits_return() {
    in_many_orders(1500, |mut choices| {
        let disk = Arc::new(Simulator::new());
        IntentLog::create(&*disk, INTENT_LEN_MIN).unwrap();
        let (log, _) = IntentLog::open(&*disk, POOL, LogPosition::START).unwrap();
        let (clock, appended) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let world = World { disk, log, clock, appended, has_failed: AtomicBool::new(false) };
        match choices.below(4) {
            0 => world.disk.fail_flush(choices.below(3)),
            1 => world.disk.fail_write(choices.below(5)),
            _ => {}
        }
        let mut own = split(&mut choices, WRITERS + 1);
        let power = own.pop().unwrap();
        thread::scope(|scope| {
            let world = &world;
            scope.spawn(|| world.take_positions());
            scope.spawn(|| world.crash(power));
            (0..).zip(own).for_each(|(writer, own)| drop(scope.spawn(move || world.append(writer, own))));
        });
        let all = world.log.wait_before(&world.log.position());
        let failed = world.has_failed.load(Ordering::Acquire);
        assert!(!failed || all.is_err(), "after a failed flush nothing is durable that was not before");
        world.note(all, |_| true);
        let known = world.appended.lock().clone();
        world.check(&known, &world.disk.crash(&mut |limit| choices.below(limit)));
    });
}
