//! What POSIX asks of names, attributes and bytes, on items in memory.

mod cases;
mod history;
mod listing;
mod model;
mod records;
mod store;
