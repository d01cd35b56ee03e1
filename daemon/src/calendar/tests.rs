use cow_api::time::Time;

use super::*;

/// A schedule as cron's text has it, by itself: each field's numbers.
struct Plain {
    fields: [Vec<u32>; 5],
    stars: [bool; 5],
}

impl Plain {
    fn parse(text: &str) -> Self {
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
        let texts: Vec<&str> = text.split(' ').collect();
        let numbers = |at: usize| -> Vec<u32> {
            let (low, high) = bounds[at];
            let part = |part: &str| -> Vec<u32> {
                let (range, step) = part.split_once('/').unwrap_or((part, "1"));
                let (first, last) = match range.split_once('-') {
                    Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
                    None if range == "*" => (low, high),
                    None => (range.parse().unwrap(), range.parse().unwrap()),
                };
                (first..=last)
                    .filter(|number: &u32| (number - first).is_multiple_of(step.parse::<u32>().unwrap()))
                    .collect()
            };
            texts[at].split(',').flat_map(part).map(|number| if at == 4 { number % 7 } else { number }).collect()
        };
        Self { fields: [0, 1, 2, 3, 4].map(numbers), stars: [0, 1, 2, 3, 4].map(|at| texts[at].starts_with('*')) }
    }

    /// Whether it is due when clocks show this.
    fn is_shown(&self, shown: jiff::civil::DateTime) -> bool {
        let weekday = shown.weekday().to_sunday_zero_offset();
        let [minute, hour, day, month, weekday] =
            [shown.minute(), shown.hour(), shown.day(), shown.month(), weekday].map(|number| number as u32);
        let has = |at: usize, number| self.fields[at].contains(&number);
        let days = [has(2, day), has(4, weekday)];
        let is_day = if self.stars[2] || self.stars[4] { days[0] && days[1] } else { days[0] || days[1] };
        has(0, minute) && has(1, hour) && has(3, month) && is_day
    }

    /// All moments at which it is due from one moment to another, found by looking at clocks every minute.
    fn due(&self, zone: &Zone, from: i64, to: i64) -> Vec<i64> {
        let mut due = Vec::new();
        let mut before = zone.civil(Time { seconds: from - 60, nanoseconds: 0 });
        // What clocks have shown at most: what is not later comes for the second time.
        let mut latest = before;
        for seconds in (from..to).step_by(60) {
            let shown = zone.civil(Time { seconds, nanoseconds: 0 });
            let minute = jiff::SignedDuration::from_mins(1);
            let mut left_out = before.checked_add(minute).unwrap();
            let mut is_due = self.is_shown(shown) && (self.stars[1] || shown > latest);
            while left_out < shown {
                is_due |= !self.stars[1] && left_out > latest && self.is_shown(left_out);
                left_out = left_out.checked_add(minute).unwrap();
            }
            if is_due {
                due.push(seconds);
            }
            (before, latest) = (shown, latest.max(shown));
        }
        due
    }
}

fn seconds(text: &str) -> i64 {
    text.parse::<Time>().unwrap().seconds
}

/// Changes of clocks: by an hour either way, by half of one, over midnight, by a whole day; and a leap day.
const WINDOWS: [(&str, &str); 12] = [
    ("UTC", "2024-02-28T00:00:00Z"),
    ("Europe/Berlin", "2026-03-28T00:00:00Z"),
    ("Europe/Berlin", "2026-10-24T00:00:00Z"),
    ("America/New_York", "2026-03-07T00:00:00Z"),
    ("America/New_York", "2026-10-31T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
    ("America/St_Johns", "2010-11-06T00:00:00Z"),
    ("America/Sao_Paulo", "2018-11-03T00:00:00Z"),
    ("America/Havana", "2026-10-31T00:00:00Z"),
    ("Pacific/Apia", "2011-12-29T00:00:00Z"),
    ("Asia/Kathmandu", "2026-12-30T00:00:00Z"),
];

const SCHEDULES: [&str; 16] = [
    "* * * * *",
    "0 * * * *",
    "*/15 * * * *",
    "7 */2 * * *",
    "0 2 * * *",
    "30 2 * * *",
    "15,45 1-3 * * *",
    "59 23 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "0 0 1 * *",
    "0 12 29,30 * 1",
    "0 12 */2 * 1-5",
    "5 1 * 2,10,12 0,6",
    "0 0-23/3 * * 7",
    "1 0 31 12 *",
];

#[test]
fn a_schedule_is_due_when_clocks_that_are_looked_at_every_minute_say_so() {
    for (name, from) in WINDOWS {
        let (zone, from) = (Zone::parse(name).unwrap(), seconds(from));
        let to = from + 3 * 86_400;
        for text in SCHEDULES {
            let wanted = Plain::parse(text).due(&zone, from, to);
            let cron = Cron::parse(text).unwrap();
            let mut found = Vec::new();
            let mut last = from - 1;
            while let Some(next) = cron.next_after(&zone, Time { seconds: last, nanoseconds: 7 })
                && next.seconds < to
            {
                found.push(next.seconds);
                last = next.seconds;
            }
            let shown = |due: &[i64]| -> Vec<String> {
                due.iter().map(|&seconds| Time { seconds, nanoseconds: 0 }.to_string()).collect()
            };
            assert_eq!(shown(&found), shown(&wanted), "{text} in {name}");
        }
    }
}

#[test]
fn far_days_are_found_and_days_that_never_come_are_refused() {
    let next = |text: &str, after: &str| {
        let next = Cron::parse(text).unwrap().next_after(&Zone::utc(), after.parse().unwrap());
        next.unwrap().to_string()
    };
    assert_eq!(next("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00:00Z");
    assert_eq!(next("0 0 29 2 */7", "2072-03-01T00:00:00Z"), "2088-02-29T00:00:00Z", "a Sunday in February");
    assert_eq!(next("@weekly", "2026-11-26T00:00:00Z"), "2026-11-29T00:00:00Z");
    assert_eq!(next("0 8 * jan-MAR Mon", "2026-11-26T00:00:00Z"), "2027-01-04T08:00:00Z");
    for wrong in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5/10 * * * *",
        "5-3 * * * *",
        "a * * * *",
        "1, * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "1-2-3 * * * *",
        "001 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "@reboot",
        "* * * feb-jan *",
    ] {
        assert!(Cron::parse(wrong).is_err(), "{wrong}");
    }
    assert!(Zone::parse("Europe/Nowhere").is_err() && Zone::parse("../../etc/passwd").is_err());
}
