//! A schedule in cron's five fields: minute, hour, day of the month, month, day of the week.
//!
//! As in cron: where both days are restricted either suffices, and 0 and 7 are Sunday. Where clocks change, a schedule of
//! certain hours runs once: at what is left out it runs when the clocks have changed, of what comes twice it takes the
//! first. One of every hour, or every so many, goes on as time does.
//!
//! Invariant: [`Cron::next_after`] is the first due moment after the one that it is given; none is passed over.

use cow_api::time::Time;
use jiff::civil::{Date, DateTime};
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::calendar::fields::{Field, Kind};
use crate::calendar::zone::{Zone, timestamp};

const MINUTE: Kind = Kind { name: "minute", range: (0, 59), words: &[] };
const HOUR: Kind = Kind { name: "hour", range: (0, 23), words: &[] };
const DAY: Kind = Kind { name: "day of the month", range: (1, 31), words: &[] };
const MONTH: Kind = Kind {
    name: "month",
    range: (1, 12),
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Kind =
    Kind { name: "day of the week", range: (0, 7), words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// What a whole schedule may be called instead.
const NAMED: [(&str, &str); 5] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

/// How many days are looked at: a 29 February that is a Sunday may be 40 years away.
const DAYS_MAX: usize = 41 * 366;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Cron {
    /// Reads a schedule, as `30 2 * * 1-5`, or says why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = NAMED.iter().find(|(name, _)| *name == text.trim());
        let text = named.map_or(text, |(_, fields)| fields);
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            let count = fields.len();
            return Err(format!(
                "it has {count} fields, not the five of cron: minute, hour, day, month, day of the week"
            ));
        };
        let cron = Self {
            minute: Field::parse(minute, &MINUTE)?,
            hour: Field::parse(hour, &HOUR)?,
            day: Field::parse(day, &DAY)?,
            month: Field::parse(month, &MONTH)?,
            weekday: Field::parse(weekday, &WEEKDAY)?.with_alias(7, 0),
        };
        match cron.next_after(&Zone::utc(), Time::default()) {
            Some(_) => Ok(cron),
            None => Err("there is no such day in any year".to_owned()),
        }
    }

    /// The first moment after `moment` at which it is due in a zone.
    pub fn next_after(&self, zone: &Zone, moment: Time) -> Option<Time> {
        // A day early, as what is left out of a day may be due on the next one.
        let mut date = zone.civil(moment).date().yesterday().ok()?;
        let mut first: Option<Timestamp> = None;
        let after = timestamp(moment);
        for _ in 0..DAYS_MAX {
            let was_found = first.is_some();
            if self.is_day(date) {
                let due = self.due_on(zone, date).filter(|due| *due > after);
                first = first.into_iter().chain(due).min();
            }
            // Clocks that are set back over midnight let the next day begin before this one ends.
            if was_found {
                break;
            }
            date = date.tomorrow().ok()?;
        }
        first.map(|due| Time { seconds: due.as_second(), nanoseconds: 0 })
    }

    fn is_day(&self, date: Date) -> bool {
        let is_day = self.day.has(date.day() as u32);
        let is_weekday = self.weekday.has(date.weekday().to_sunday_zero_offset() as u32);
        let either = !self.day.is_star && !self.weekday.is_star;
        self.month.has(date.month() as u32) && if either { is_day || is_weekday } else { is_day && is_weekday }
    }

    /// All moments at which it is due by the clock of a day.
    fn due_on<'s>(&'s self, zone: &'s Zone, date: Date) -> impl Iterator<Item = Timestamp> + 's {
        let hours = (0..24).filter(|hour| self.hour.has(*hour));
        let minutes = move |hour| (0..60).filter(|minute| self.minute.has(*minute)).map(move |minute| (hour, minute));
        let times = hours.flat_map(minutes);
        times.flat_map(move |(hour, minute)| self.moments(zone, date.at(hour as i8, minute as i8, 0, 0)))
    }

    /// The moments at which it is due when the clocks show this.
    fn moments(&self, zone: &Zone, shown: DateTime) -> Vec<Timestamp> {
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(shown).ok();
        let moments = match zone.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => vec![at(offset)],
            AmbiguousOffset::Fold { before, after } if self.hour.is_star => vec![at(before), at(after)],
            AmbiguousOffset::Fold { before, .. } => vec![at(before)],
            AmbiguousOffset::Gap { .. } if self.hour.is_star => Vec::new(),
            AmbiguousOffset::Gap { before, .. } => vec![at(before).and_then(|late| changed_by(zone, late))],
        };
        moments.into_iter().flatten().collect()
    }
}

/// When clocks changed, or rather the first whole minute then, given a moment soon after.
fn changed_by(zone: &Zone, late: Timestamp) -> Option<Timestamp> {
    let changed = zone.0.preceding(late.checked_add(1.second()).ok()?).next()?.timestamp();
    let rest = changed.as_second().rem_euclid(60);
    changed.checked_add(SignedDuration::from_secs((60 - rest) % 60)).ok()
}
