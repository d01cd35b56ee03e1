//! Calls: one command each, through the connection to its host.
//!
//! Invariant: a call is repeated only while nothing was sent that the host could have begun.

use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::hosts::connection::Call;
use crate::hosts::process::{Heard, Patience, Process};
use crate::hosts::wire::{Dialog, LINE};
use crate::hosts::{Command, Control, Finished, HostError, Hosts, Outcome, Target, Why, keys};

/// The first pause before a further try; each is twice the last.
const PAUSE: Duration = Duration::from_millis(250);
/// No further try begins later than this.
const TRIES_TIME_MAX: Duration = Duration::from_secs(6);

impl Hosts {
    /// Lets bash do something on a host as the target's user, in its home. An exit code other than zero is no error.
    pub fn run(&self, target: &Target, command: &Command, control: &dyn Control) -> Outcome<Finished> {
        self.run_as("run a command", target, command, control)
    }

    /// The same, told of as `act` if it fails.
    pub(in crate::hosts) fn run_as(
        &self,
        act: &str,
        target: &Target,
        command: &Command,
        control: &dyn Control,
    ) -> Outcome<Finished> {
        self.call(act, target, command.time_max, control, |call, patience| converse(call, target, command, patience))
    }

    /// The same, where another exit code than zero is a failure. Returns what it wrote to stdout.
    pub(in crate::hosts) fn step(
        &self,
        act: &str,
        target: &Target,
        command: &Command,
        control: &dyn Control,
    ) -> Outcome<String> {
        let finished = self.run_as(act, target, command, control)?;
        if finished.exit_code == 0 {
            return Ok(String::from_utf8_lossy(&finished.stdout).into_owned());
        }
        let message = crate::hosts::process::last_words(&finished.stderr);
        let hint =
            message.contains("sudo").then(|| "docs/environments.md tells what sudo must allow the user".to_owned());
        Err(error(target, act, Why::Failed { exit_code: finished.exit_code, message, hint }))
    }

    /// Does something through the connection to a host, again where nothing had begun.
    pub(in crate::hosts) fn call<T>(
        &self,
        act: &str,
        target: &Target,
        time_max: Option<Duration>,
        control: &dyn Control,
        mut work: impl FnMut(&Call, &Patience<'_>) -> Result<T, Why>,
    ) -> Outcome<T> {
        let patience = Patience::new(time_max, control);
        let mut pause = PAUSE;
        loop {
            let outcome = self.connection(target).and_then(|connection| {
                let call = connection.call(target, &patience)?;
                work(&call, &patience).inspect_err(|_| call.broken())
            });
            match outcome {
                Ok(done) => return Ok(done),
                Err(Why::Unreachable(_)) if patience.elapsed() + pause < TRIES_TIME_MAX => {
                    rest(pause, &patience).map_err(|why| error(target, act, why))?;
                    pause *= 2;
                }
                Err(Why::ChangedKey { .. }) => return Err(error(target, act, keys::changed(target, control))),
                Err(why) => return Err(error(target, act, why)),
            }
        }
    }
}

/// An error of this target's.
pub fn error(target: &Target, act: &str, why: Why) -> HostError {
    let host = format!("{} ({}@{}:{})", target.name, target.user, target.address, target.port);
    HostError { host, act: act.to_owned(), why }
}

fn rest(pause: Duration, patience: &Patience<'_>) -> Result<(), Why> {
    let until = patience.elapsed() + pause;
    while patience.elapsed() < until {
        patience.check()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn converse(call: &Call, target: &Target, command: &Command, patience: &Patience<'_>) -> Result<Finished, Why> {
    let mut dialog = Dialog::new(command, random()?)?;
    let mut ssh = call.ssh(target);
    ssh.arg(LINE);
    let mut process = Process::start(ssh)?;
    let mut has_ended = false;
    loop {
        if let Some(finished) = dialog.finished() {
            return Ok(finished);
        }
        if has_ended {
            let said = dialog.last_words();
            return Err(if dialog.is_sent() { Why::Lost(said) } else { Why::Unreachable(said) });
        }
        patience.check()?;
        // Taken out, so that the dialog can hear meanwhile.
        let pending = dialog.take_pending();
        let mut sent = 0;
        process.look(&pending, |heard| {
            match heard {
                Heard::Said(output, bytes) => dialog.received(output, bytes)?,
                Heard::Took(count) => sent = count,
                Heard::Ended => has_ended = true,
            }
            Ok(())
        })?;
        dialog.put_back(pending, sent);
    }
}

fn random() -> Result<[u8; 32], Why> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).map_err(std::io::Error::from)?;
    }
    Ok(bytes)
}
