//! When schedules are due: cron's five fields, in a time zone.

mod cron;
mod fields;
mod zone;

pub use crate::calendar::cron::Cron;
pub use crate::calendar::zone::Zone;

#[cfg(test)]
mod tests;
