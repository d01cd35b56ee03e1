//! The present, which the engine is told and never asks for.

use std::time::{SystemTime, UNIX_EPOCH};

use cow_api::time::Time;
use cow_storage::format::Timestamp;

/// The present.
pub fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

/// A moment of the system's, as the engine has it.
pub fn timestamp(moment: SystemTime) -> Timestamp {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() },
        // A clock that was never set: the engine takes any time, and none is better than no start.
        Err(_) => Timestamp::default(),
    }
}

/// A moment of the engine's, as the API has it.
pub fn time(moment: Timestamp) -> Time {
    Time { seconds: moment.seconds, nanoseconds: moment.nanoseconds }
}
