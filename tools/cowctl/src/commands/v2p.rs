//! `cowctl v2p`: virtual to physical.

use cow_api::v1::SourceOrder;

use crate::arguments::{Command, Given};
use crate::commands::virtualization::{ENVIRONMENT, PARAM, PARAM_FILE, USER, give_order, parameters, required};
use crate::commands::{DETACH, Session};
use crate::failure::Failure;

pub const COMMAND: Command = Command {
    name: "v2p",
    about: "Copy a snapshot of a dSource or VDB to a host as plain files",
    operands: "NAME[@TIME] DIRECTORY",
    count: 2..=2,
    flags: &[ENVIRONMENT, USER, PARAM, PARAM_FILE, DETACH],
    more: "The newest snapshot by default. The files are the user's on that host and have nothing to do with the pool any\n\
           more; the plugin makes of them what the host needs. As in: cowctl v2p sales /var/lib/restored --env db2",
    run,
};

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let (name, from) = match given.operands[0].split_once('@') {
        Some((name, _)) => (name, Some(given.operands[0].clone())),
        None => (given.operands[0].as_str(), None),
    };
    let order = SourceOrder::Physical {
        from,
        environment: required(&COMMAND, given, "env")?,
        user: given.value("user").map(str::to_owned),
        directory: given.operands[1].clone(),
        parameters: parameters(given)?,
    };
    give_order(session, given, name, &order)
}
