//! What POSIX asks of names, attributes and bytes, on items in memory.

mod cases;
mod records;
mod store;
