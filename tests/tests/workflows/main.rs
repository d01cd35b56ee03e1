//! Every workflow of the contract through the real daemon, ssh and NFS, with plugins that write down what is asked of them.

mod arguments;
mod differences;
mod discovery;
mod failures;
mod ipv6;
mod orders;
mod parameters;
mod scripts;
mod secrets;
mod templates;
mod upgrades;
mod workshop;
