//! Tells clients that the server has restarted, as `sm-notify` does: SM_NOTIFY to the status monitor of each.

use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::nfs::caller::{CallError, Directory};
use crate::nfs::nlm::ledger::RecordedClient;
use crate::nfs::nsm::{NOTIFY, PROGRAM, VERSION};

/// How long a client is tried.
const TIME_MAX: Duration = Duration::from_mins(15);
/// The shortest and the longest wait between attempts.
const RESTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Tells one client. False if it could not be reached for long, or the server stops.
pub fn notify(directory: &Directory, client: &RecordedClient, name: &str, state: i32, bell: &Bell) -> bool {
    let began = Instant::now();
    let mut rest = RESTS[0];
    while began.elapsed() < TIME_MAX {
        if tell(directory, client, name, state).is_ok() {
            return true;
        }
        if !bell.sleep(rest) {
            return false;
        }
        rest = (rest * 2).min(RESTS[1]);
    }
    false
}

/// By our name, and by the address that the client knows us by: one of them it knows.
fn tell(directory: &Directory, client: &RecordedClient, name: &str, state: i32) -> Result<(), CallError> {
    let mut caller = directory.connect(client.server, client.address, PROGRAM, VERSION)?;
    let address = client.server.map(|server| server.to_string());
    for name in [Some(name.to_owned()), address].into_iter().flatten() {
        let length = name.len() as u32;
        let mut arguments = [&length.to_be_bytes()[..], name.as_bytes()].concat();
        arguments.resize(arguments.len().next_multiple_of(4), 0);
        arguments.extend(state.to_be_bytes());
        caller.call(NOTIFY, &arguments)?;
    }
    Ok(())
}
