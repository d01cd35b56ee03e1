//! Time zones by name, and what their clocks and calendars show.

use cow_api::time::Time;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub(super) TimeZone);

impl Zone {
    /// UTC, which every host knows.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// A zone by its name in the host's database, as `Europe/Berlin`, or `UTC`.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        let unknown = || format!("there is no time zone '{}' on cowd's host", name.escape_default());
        TimeZone::get(name).map(Self).map_err(|_| unknown())
    }

    /// What its clocks show at a moment.
    pub fn civil(&self, moment: Time) -> DateTime {
        self.0.to_datetime(timestamp(moment))
    }
}

/// A moment, or the nearest that the calendar has.
pub(super) fn timestamp(moment: Time) -> Timestamp {
    let far = if moment.seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(moment.seconds).unwrap_or(far)
}
