//! Moments, as RFC 3339 in UTC: `2026-03-01T09:30:00Z`.
//!
//! Invariant: what is printed parses back to the same moment, for the years 0000 to 9999.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment. JSON has it as RFC 3339 text; the fraction of a second appears only where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Whole seconds since 1970-01-01 00:00 UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// Why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTimeError(String);

const DAY_SECONDS: i64 = 86_400;
/// 0000-01-01 and 9999-12-31 23:59:59, in seconds since 1970: what four digits of a year can say.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// A day of the Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// The day that many days after 1970-01-01. Counts in eras of 400 years that begin in March.
    fn of_day(days: i64) -> Self {
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        Self { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// Days after 1970-01-01.
    fn day_number(&self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.clamp(*RANGE.start(), *RANGE.end());
        let Date { year, month, day } = Date::of_day(seconds.div_euclid(DAY_SECONDS));
        let second = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        if self.nanoseconds != 0 {
            let fraction = format!(".{:09}", self.nanoseconds);
            text += fraction.trim_end_matches('0');
        }
        f.pad(&(text + "Z"))
    }
}

impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text).ok_or_else(|| ParseTimeError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Time> {
    let separators = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    if !separators.iter().all(|&(at, any)| text.get(at..=at).is_some_and(|found| any.contains(found))) {
        return None;
    }
    let part = |at: usize, length: usize| digits(text.get(at..at + length)?);
    let date = Date { year: part(0, 4)?, month: part(5, 2)?, day: part(8, 2)? };
    let (hour, minute, second) = (part(11, 2)?, part(14, 2)?, part(17, 2)?);
    let days = date.day_number();
    let same = (1..=12).contains(&date.month) && Date::of_day(days).day == date.day;
    if !same || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanoseconds, zone) = fraction(text.get(19..)?)?;
    let seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second - zone_seconds(zone)?;
    RANGE.contains(&seconds).then_some(Time { seconds, nanoseconds })
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Nanoseconds, and what follows the fraction.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let shown = &rest[..end.min(9)];
    let nanoseconds = shown.parse::<u32>().ok()? * 10_u32.pow(9 - shown.len() as u32);
    Some((nanoseconds, &rest[end..]))
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

impl fmt::Display for ParseTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a time: write it as in 2026-03-01T09:30:00Z", self.0)
    }
}

impl std::error::Error for ParseTimeError {}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1969-12-31T23:59:59Z", -1, 0),
            ("2000-02-29T12:00:00Z", 951_825_600, 0),
            ("2024-12-31T23:59:59.5Z", 1_735_689_599, 500_000_000),
            ("2038-01-19T03:14:08.000000001Z", 1 << 31, 1),
            ("0000-01-01T00:00:00Z", *RANGE.start(), 0),
            ("9999-12-31T23:59:59Z", *RANGE.end(), 0),
        ];
        for (text, seconds, nanoseconds) in cases {
            let time = Time { seconds, nanoseconds };
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{text}\""));
        }
        let zoned: Time = "2000-02-29T14:30:00+02:30".parse().unwrap();
        assert_eq!(zoned.seconds, 951_825_600);
    }

    #[test]
    fn every_day_prints_and_parses_back() {
        let mut day_before: Option<String> = None;
        for day in RANGE.start() / DAY_SECONDS..=RANGE.end() / DAY_SECONDS {
            let time = Time { seconds: day * DAY_SECONDS, nanoseconds: 0 };
            let text = time.to_string();
            assert_eq!(text.parse(), Ok(time));
            assert!(day_before.is_none_or(|before| before < text), "{text} is not after the day before");
            day_before = Some(text);
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for wrong in [
            "",
            "now",
            "2026-03-01",
            "2026-03-01T09:30:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-03-00T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T09:60:00Z",
            "2026-03-01T09:30:60Z",
            "2026-03-01T09:30:00.Z",
            "2026-03-01T09:30:00+2:00",
            "2026-03-01T09:30:00+02",
            "2026-03-01T09:30:00é02:00",
            "+026-03-01T09:30:00Z",
            "2026-03-01T09:30:00Zz",
            "0000-01-01T00:00:00+00:01",
        ] {
            assert!(wrong.parse::<Time>().is_err(), "{wrong:?}");
        }
    }
}
