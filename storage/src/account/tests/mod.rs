//! Histories and cases of the account as a whole.

mod cases;
mod history;
mod world;
