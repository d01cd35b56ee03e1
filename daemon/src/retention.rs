//! Which snapshots a grid of counts keeps, as restic's `forget` has it.
//!
//! Of the last so many hours, days, weeks, months and years that have a snapshot, each keeps its newest; `last` keeps that
//! many, whenever they were taken. While a count has not been used up, the oldest snapshot stays too, so that what is kept
//! reaches as far back as it can.

use cow_api::time::Time;
use cow_api::v1::Keep;
use jiff::civil::DateTime;

use crate::calendar::Zone;

/// What tells one period from others.
type Period = fn(DateTime, usize) -> (i16, i16, i8);

/// The counts of a grid, with what each is called and what its periods are.
fn rules(keep: &Keep) -> [(&'static str, u32, Period); 6] {
    [
        ("last", keep.last, |_, at| ((at >> 15) as i16, (at & 0x7fff) as i16, 0)),
        ("hourly", keep.hourly, |shown, _| (shown.year(), shown.day_of_year(), shown.hour())),
        ("daily", keep.daily, |shown, _| (shown.year(), shown.day_of_year(), 0)),
        ("weekly", keep.weekly, |shown, _| {
            let week = shown.date().iso_week_date();
            (week.year(), 0, week.week())
        }),
        ("monthly", keep.monthly, |shown, _| (shown.year(), 0, shown.month())),
        ("yearly", keep.yearly, |shown, _| (shown.year(), 0, 0)),
    ]
}

/// Why each of these snapshots is kept, the newest first; what nothing keeps has no reason. Hours, days and so on are those of the zone.
pub fn reasons(keep: &Keep, zone: &Zone, newest_first: &[Time]) -> Vec<Vec<&'static str>> {
    let mut rules = rules(keep).map(|(name, left, period)| (name, left, period, None));
    let oldest = newest_first.len().saturating_sub(1);
    let judged = newest_first.iter().enumerate().map(|(at, moment)| {
        let shown = zone.civil(*moment);
        let mut why = Vec::new();
        for (name, left, period, before) in rules.iter_mut().filter(|(_, left, ..)| *left > 0) {
            let now = Some(period(shown, at));
            if *before != now || at == oldest {
                (*before, *left) = (now, *left - 1);
                why.push(*name);
            }
        }
        why
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// A generator that needs no more than to be the same every time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// What a period is called in a calendar that people read: no two periods share a name.
    fn called(kind: usize, shown: DateTime, at: usize) -> String {
        let format = ["", "%Y-%m-%d %H", "%Y-%m-%d", "%G-%V", "%Y-%m", "%Y"][kind];
        if kind == 0 { at.to_string() } else { shown.strftime(format).to_string() }
    }

    /// The grid in sets: each rule keeps the newest of each of its newest periods, and the oldest of all if the periods of
    /// the others do not use it up.
    fn kept(keep: &Keep, zone: &Zone, moments: &[Time]) -> Vec<BTreeSet<usize>> {
        let counts = [keep.last, keep.hourly, keep.daily, keep.weekly, keep.monthly, keep.yearly];
        let of_rule = |(kind, count): (usize, u32)| {
            let mut newest: BTreeMap<String, usize> = BTreeMap::new();
            let mut others = BTreeSet::new();
            for (at, moment) in moments.iter().enumerate().rev() {
                let name = called(kind, zone.civil(*moment), at);
                newest.insert(name.clone(), at);
                if at + 1 < moments.len() {
                    others.insert(name);
                }
            }
            let mut firsts: Vec<usize> = newest.into_values().collect();
            firsts.sort_unstable();
            let mut kept: BTreeSet<usize> = firsts.into_iter().take(count as usize).collect();
            if others.len() < count as usize && !moments.is_empty() {
                kept.insert(moments.len() - 1);
            }
            kept
        };
        counts.into_iter().enumerate().map(of_rule).collect()
    }

    #[test]
    fn any_grid_keeps_of_any_snapshots_what_a_plain_model_keeps() {
        let names = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
        let zones = ["UTC", "Europe/Berlin", "Pacific/Apia", "America/Havana"].map(|name| Zone::parse(name).unwrap());
        for seed in 1..=3000_u64 {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let zone = &zones[dice.below(4) as usize];
            // From minutes to half a year apart, and some at the very same moment.
            let pace = [1, 600, 3_600, 20_000, 86_400, 700_000, 15_000_000][dice.below(7) as usize];
            let mut seconds = 1_700_000_000 + dice.below(60_000_000) as i64;
            let mut moments = Vec::new();
            for _ in 0..dice.below(60) {
                moments.push(Time { seconds, nanoseconds: 0 });
                seconds -= dice.below(2 * pace) as i64;
            }
            let mut count = || if dice.below(2) == 0 { 0 } else { dice.below(12) as u32 };
            let (last, hourly, daily) = (count(), count(), count());
            let keep = Keep { last, hourly, daily, weekly: count(), monthly: count(), yearly: count() };
            let found = reasons(&keep, zone, &moments);
            let wanted = kept(&keep, zone, &moments);
            for (at, why) in found.iter().enumerate() {
                let wanted = names.iter().zip(&wanted).filter(|(_, kept)| kept.contains(&at)).map(|(name, _)| *name);
                assert_eq!(*why, wanted.collect::<Vec<_>>(), "seed {seed}: {at} of {moments:?} by {keep:?}");
            }
        }
    }
}
