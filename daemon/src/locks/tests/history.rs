//! Random histories beside a model that has an owner's lock of each byte, and the waits in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const FILES: u64 = 2;
/// The last one stands for all bytes from there on.
const BYTES: u64 = 8;
const CLIENTS: u8 = 3;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[derive(Default)]
struct Model {
    held: BTreeMap<(File, Owner, u64), Kind>,
    waiting: Vec<(Claim, u64)>,
}

/// The bytes of a range, as the model counts them.
fn of(range: Range) -> impl Iterator<Item = u64> {
    range.first()..=range.last().min(BYTES - 1)
}

impl Model {
    /// Who holds what stands against a claim.
    fn holders(&self, claim: &Claim) -> BTreeSet<Owner> {
        let stands_against = |((file, owner, byte), kind): &(&(File, Owner, u64), &Kind)| {
            *file == claim.file
                && *owner != claim.owner
                && of(claim.range).any(|b| b == *byte)
                && kind.excludes(claim.kind)
        };
        self.held.iter().filter(stands_against).map(|((_, owner, _), _)| owner.clone()).collect()
    }

    /// Whether one owner waits for another, over any number of others.
    fn leads(&self, from: &Owner, to: &Owner, queued: bool) -> bool {
        let mut reached = BTreeSet::from([from.clone()]);
        loop {
            let before = reached.len();
            for (at, (claim, _)) in self.waiting.iter().enumerate() {
                if reached.contains(&claim.owner) {
                    reached.extend(self.holders(claim));
                    let earlier = self.waiting[..at]
                        .iter()
                        .filter(|(of, _)| queued && of.file == claim.file && of.excludes(claim));
                    reached.extend(earlier.map(|(of, _)| of.owner.clone()).collect::<Vec<_>>());
                }
            }
            if reached.len() == before {
                return reached.contains(to);
            }
        }
    }

    /// Whether a claim at this place of all waits must let others go first.
    fn stands_behind(&self, claim: &Claim, at: usize) -> bool {
        let earlier = self.waiting[..at].iter().filter(|(of, _)| of.file == claim.file && of.excludes(claim));
        earlier.into_iter().any(|(of, _)| !self.leads(&of.owner, &claim.owner, true))
    }

    fn set(&mut self, claim: &Claim) {
        assert!(self.holders(claim).is_empty(), "{claim:?} was granted though others hold it");
        self.held.extend(of(claim.range).map(|byte| ((claim.file, claim.owner.clone(), byte), claim.kind)));
    }

    fn unset(&mut self, file: File, owner: &Owner, range: Range) {
        of(range).for_each(|byte| {
            self.held.remove(&(file, owner.clone(), byte));
        });
    }

    /// What a request comes to, and the same for the model.
    fn request(&mut self, claim: &Claim, number: Option<u64>, outcome: &Outcome) {
        let (holders, end) = (self.holders(claim), self.waiting.len());
        let must_wait = !holders.is_empty() || number.is_some() && self.stands_behind(claim, end);
        match outcome {
            Outcome::Granted => {
                assert!(!must_wait, "{claim:?} was granted too early");
                self.set(claim);
            }
            Outcome::Denied(obstacle) => {
                assert!(number.is_none() && holders.contains(&obstacle.owner) && obstacle.excludes(claim));
                let at = |byte| (claim.file, obstacle.owner.clone(), byte);
                assert!(of(obstacle.range).all(|byte| self.held.get(&at(byte)) == Some(&obstacle.kind)));
            }
            Outcome::Waiting => {
                assert!(must_wait && number.is_some(), "{claim:?} waits for nothing");
                let number = number.unwrap();
                if !self.waiting.iter().any(|(of, its)| of.is_same(claim) && *its == number) {
                    assert!(
                        !holders.iter().any(|holder| self.leads(holder, &claim.owner, false)),
                        "{claim:?} is in a circle"
                    );
                    self.waiting.push((claim.clone(), number));
                }
            }
            Outcome::Deadlock => {
                assert!(
                    holders.iter().any(|holder| self.leads(holder, &claim.owner, false)),
                    "{claim:?} is in no circle"
                );
            }
            Outcome::Full | Outcome::Grace => panic!("{outcome:?}"),
        }
    }

    /// Takes over what those were told who waited. Nobody may have overtaken another, and nobody may have been forgotten.
    fn hear(&mut self, told: Vec<(Claim, End)>) {
        for (claim, end) in told {
            let at = self.waiting.iter().position(|(of, _)| of.is_same(&claim)).expect("who is told has waited");
            if end == End::Granted {
                assert!(!self.stands_behind(&claim, at), "{claim:?} has overtaken others");
                self.waiting.remove(at);
                self.set(&claim);
            } else {
                self.waiting.remove(at);
            }
        }
        for (at, (claim, _)) in self.waiting.iter().enumerate() {
            assert!(!self.holders(claim).is_empty() || self.stands_behind(claim, at), "{claim:?} was forgotten");
        }
    }

    /// What the table must list as held.
    fn listed(&self) -> Vec<(File, Owner, Range, Kind)> {
        let mut listed: Vec<(File, Owner, Range, Kind)> = Vec::new();
        for ((file, owner, byte), kind) in &self.held {
            let range = if *byte == BYTES - 1 { bytes(*byte, 0) } else { bytes(*byte, 1) };
            match listed
                .last_mut()
                .filter(|last| (&last.0, &last.1, last.3) == (file, owner, *kind) && last.2.touches(range))
            {
                Some(last) => last.2 = last.2.with(range),
                None => listed.push((*file, owner.clone(), range, *kind)),
            }
        }
        listed
    }
}

fn random_claim(random: &mut Random) -> Claim {
    let first = random.below(BYTES);
    let length = if random.below(4) == 0 || first == BYTES - 1 { 0 } else { 1 + random.below(BYTES - 1 - first) };
    let kind = if random.below(2) == 0 { Kind::Shared } else { Kind::Exclusive };
    let (of, number) = (1 + random.below(CLIENTS.into()) as u8, random.below(2));
    claim(random.below(FILES), of, number, bytes(first, length), kind)
}

fn step(random: &mut Random, locks: &Locks, model: &mut Model, told: &Arc<Told>) {
    let wanted = random_claim(random);
    match random.below(20) {
        0..6 => model.request(&wanted, None, &locks.lock(wanted.clone(), Wait::No)),
        6..13 => {
            let number = random.below(2);
            let outcome = locks.lock(wanted.clone(), Wait::Until { number, waiter: told.clone() });
            model.request(&wanted, Some(number), &outcome);
        }
        13..16 => {
            assert_eq!(locks.unlock(wanted.file, &wanted.owner, wanted.range), Outcome::Granted);
            model.unset(wanted.file, &wanted.owner, wanted.range);
        }
        16 => match locks.test(&wanted) {
            Outcome::Granted => assert!(model.holders(&wanted).is_empty()),
            outcome => model.request(&wanted, None, &outcome),
        },
        17 | 18 => {
            let number = random.below(2);
            let at = random.below(model.waiting.len() as u64 + 1) as usize;
            let (wanted, number) = model.waiting.get(at).cloned().unwrap_or((wanted, number));
            let at = model.waiting.iter().position(|(of, its)| of.is_same(&wanted) && *its == number);
            assert_eq!(locks.cancel(&wanted, number), at.is_some());
            at.map(|at| model.waiting.remove(at));
        }
        _ if random.below(4) > 0 => {}
        _ if random.below(2) == 0 => {
            let client = &*wanted.owner.client;
            locks.release_client(client);
            model.held.retain(|(_, owner, _), _| *owner.client != *client);
        }
        _ => {
            locks.release_dataset(wanted.file.dataset);
            model.held.retain(|(file, _, _), _| *file != wanted.file);
        }
    }
}

#[test]
fn histories_are_the_models() {
    let mut told_in_all = 0;
    for seed in 0..800 {
        let (locks, told) = (Locks::default(), Arc::new(Told::default()));
        let (mut random, mut model) = (Random(seed), Model::default());
        for _ in 0..150 {
            step(&mut random, &locks, &mut model, &told);
            let heard = std::mem::take(&mut *told.0.lock());
            told_in_all += heard.len();
            model.hear(heard);
            let listed = locks.list(None).into_iter();
            let (waiting, held): (Vec<_>, Vec<_>) = listed.partition(|listed| listed.is_waiting);
            let held: Vec<_> =
                held.into_iter().map(|of| (of.claim.file, of.claim.owner, of.claim.range, of.claim.kind)).collect();
            assert_eq!(held, model.listed(), "seed {seed}");
            let counters = locks.counters();
            assert_eq!(
                (waiting.len(), counters.waiting, counters.held),
                (model.waiting.len(), waiting.len(), held.len())
            );
        }
    }
    assert!(told_in_all > 1000, "only {told_in_all} waits ended");
}
