//! The one connection to a user of a host, made when it is needed: OpenSSH's master, which all calls share.
//!
//! Invariant: at most [`CALLS_MAX`] calls go through it at once; of those who wait for it to come about, one makes it, and all
//! hear how that ended. It ends with cowd, also when cowd is killed: a shell waits for that at a pipe.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::hosts::hidden::Hidden;
use crate::hosts::process::{self, PACE, Patience, last_words};
use crate::hosts::{Credential, Target, Why};

/// sshd allows ten sessions by default; two are left for what has not ended yet there.
const CALLS_MAX: usize = 8;
/// Longest that it may take to come in.
const LOGIN_TIME_MAX: Duration = Duration::from_secs(20);
/// How often a master is looked at that comes about.
const LOGIN_PACE: Duration = Duration::from_millis(5);
/// The name of each host in the list of known ones, which is made for it alone.
const ALIAS: &str = "host";
/// Ends what it starts when its input ends, and ends with it.
const GUARD: &str = "exec 3<&0; \"$@\" </dev/null 3<&- & program=$!; \
                     (read -r rest <&3; kill \"$program\") >/dev/null 2>&1 & guard=$!; \
                     exec 3<&-; wait \"$program\"; code=$?; kill \"$guard\"; exit \"$code\"";

/// The connection to a user of a host.
pub struct Connection {
    socket: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    link: Link,
    calls: usize,
    /// How many times it was tried to make it.
    tries: u64,
    failure: Option<Why>,
    used: Instant,
}

enum Link {
    Down,
    Starting,
    Up(Master),
}

/// A place among the calls.
pub struct Call {
    connection: Arc<Connection>,
}

impl Connection {
    /// Not connected yet. The master will listen at `socket`.
    pub fn new(socket: PathBuf) -> Self {
        let state = State { link: Link::Down, calls: 0, tries: 0, failure: None, used: Instant::now() };
        Self { socket, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Since when nothing goes through it.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (state.calls == 0 && !matches!(state.link, Link::Starting)).then_some(state.used)
    }

    /// Ends it. A call that comes later makes it again.
    pub fn close(&self) {
        self.state.lock().link = Link::Down;
        self.changed.notify_all();
    }

    /// A place for one call, once there is one; connects if that is needed.
    pub fn call(self: &Arc<Self>, target: &Target, patience: &Patience<'_>) -> Result<Call, Why> {
        let mut state = self.state.lock();
        let mut awaited = None;
        loop {
            patience.check()?;
            if let Link::Up(master) = &mut state.link
                && master.has_ended()
            {
                state.link = Link::Down;
            }
            match state.link {
                Link::Up(_) if state.calls < CALLS_MAX => {
                    state.calls += 1;
                    state.used = Instant::now();
                    return Ok(Call { connection: self.clone() });
                }
                Link::Starting => awaited = Some(state.tries),
                Link::Up(_) => {}
                Link::Down => {
                    if awaited == Some(state.tries)
                        && let Some(why) = &state.failure
                    {
                        return Err(why.clone());
                    }
                    state = self.connect(state, target, patience)?;
                    continue;
                }
            }
            self.changed.wait_for(&mut state, PACE);
        }
    }

    /// Makes the connection, without holding up those who look.
    fn connect<'s>(
        &'s self,
        mut state: parking_lot::MutexGuard<'s, State>,
        target: &Target,
        patience: &Patience<'_>,
    ) -> Result<parking_lot::MutexGuard<'s, State>, Why> {
        state.link = Link::Starting;
        state.tries += 1;
        drop(state);
        let outcome = Master::start(&self.socket, target, patience);
        let mut state = self.state.lock();
        self.changed.notify_all();
        match outcome {
            Ok(master) => {
                (state.link, state.failure) = (Link::Up(master), None);
                Ok(state)
            }
            Err(why) => {
                // That this caller waits no longer says nothing to others.
                let is_own = matches!(why, Why::Cancelled | Why::TimedOut(_));
                (state.link, state.failure) = (Link::Down, (!is_own).then(|| why.clone()));
                Err(why)
            }
        }
    }
}

impl Call {
    /// A program of this host's that speaks with the host through the connection, and never past it.
    pub fn ssh(&self, target: &Target) -> Command {
        let mut command = process::command("ssh");
        command.args(self.arguments(target)).arg("--").arg(&target.address);
        command
    }

    /// The arguments of ssh that say so, without the host.
    pub fn arguments(&self, target: &Target) -> Vec<String> {
        let socket = self.connection.socket.display().to_string();
        let mut arguments: Vec<String> = ["-F", "none", "-T", "-x", "-a", "-S", &socket].map(str::to_owned).to_vec();
        // Without a master ssh would connect by itself; by this it does not.
        for option in ["ControlMaster=no", "ProxyCommand=false", "BatchMode=yes", "LogLevel=ERROR"] {
            arguments.extend(["-o".to_owned(), option.to_owned()]);
        }
        arguments.extend(["-p".to_owned(), target.port.to_string(), "-l".to_owned(), target.user.clone()]);
        arguments
    }

    /// Says that the connection is of no use any more.
    pub fn broken(&self) {
        let mut state = self.connection.state.lock();
        if let Link::Up(master) = &mut state.link
            && master.has_ended()
        {
            state.link = Link::Down;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.connection.state.lock();
        state.calls -= 1;
        state.used = Instant::now();
        self.connection.changed.notify_one();
    }
}

/// OpenSSH's master. Dropping it ends it.
struct Master {
    guard: Child,
    socket: PathBuf,
}

impl Master {
    /// Comes in.
    fn start(socket: &Path, target: &Target, patience: &Patience<'_>) -> Result<Self, Why> {
        let key = target.host_key.as_deref().ok_or(Why::UnknownKey)?;
        let known = Hidden::new(&format!("{ALIAS} {key}\n"))?;
        let (hidden, options) = credential(target)?;
        let mut said = Hidden::new("")?;
        let _ = std::fs::remove_file(socket);
        let mut command = process::command("sh");
        command.args(["-c", GUARD, "sh", "ssh", "-F", "none", "-M", "-N", "-T", "-x", "-a", "-S"]).arg(socket);
        for option in OPTIONS.iter().map(|option| (*option).to_owned()).chain(options) {
            command.args(["-o", &option]);
        }
        command.arg("-o").arg(format!("UserKnownHostsFile={}", known.path()));
        command.args(["-p", &target.port.to_string(), "-l", &target.user, "--", &target.address]);
        if let Credential::Password(_) = target.credential {
            command.env("SSH_ASKPASS", hidden.path()).env("SSH_ASKPASS_REQUIRE", "force");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(said.output()?).process_group(0);
        let guard = command.spawn().map_err(|error| process::missing("sh", &error))?;
        let mut master = Self { guard, socket: socket.to_owned() };
        let began = Instant::now();
        // The master listens once it is in.
        while !socket.exists() {
            patience.check()?;
            if master.has_ended() {
                return Err(refusal(target, &last_words(&said.content())));
            }
            if began.elapsed() > LOGIN_TIME_MAX {
                return Err(Why::Unreachable(format!("no answer in {} s", LOGIN_TIME_MAX.as_secs())));
            }
            std::thread::sleep(LOGIN_PACE);
        }
        Ok(master)
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.guard.try_wait(), Ok(None))
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        process::end(&mut self.guard);
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// What each connection is made with. Nothing of this host's configuration counts, and a dead host is noticed in 15 seconds.
const OPTIONS: [&str; 16] = [
    "ConnectTimeout=10",
    "ConnectionAttempts=1",
    "ServerAliveInterval=4",
    "ServerAliveCountMax=3",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "HostKeyAlias=host",
    "CheckHostIP=no",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "EscapeChar=none",
    "NumberOfPasswordPrompts=1",
    "LogLevel=ERROR",
];

/// A hidden file that proves to be the user, and the options that say how.
fn credential(target: &Target) -> Result<(Hidden, Vec<String>), Why> {
    match &target.credential {
        Credential::Password(password) => {
            let answer = format!("#!/bin/sh\nprintf '%s\\n' {}\n", crate::hosts::wire::quoted(password.expose()));
            let options = ["PubkeyAuthentication=no", "PreferredAuthentications=password,keyboard-interactive"];
            Ok((Hidden::program(&answer)?, options.map(str::to_owned).to_vec()))
        }
        Credential::PrivateKey(key) => {
            let hidden = Hidden::new(&format!("{}\n", key.expose().trim_end()))?;
            let identity = format!("IdentityFile={}", hidden.path());
            let options = vec!["BatchMode=yes".to_owned(), "PreferredAuthentications=publickey".to_owned(), identity];
            Ok((hidden, options))
        }
    }
}

/// Why ssh did not come in, by what it said.
fn refusal(target: &Target, said: &str) -> Why {
    let user = target.user.clone();
    if said.contains("Host key verification failed") || said.contains("host key is known for") {
        return Why::ChangedKey { pinned: String::new(), shown: String::new(), environment: target.name.clone() };
    }
    if said.contains("Permission denied") || said.contains("Too many authentication failures") {
        return Why::Refused { user, message: "its key or password is not accepted".to_owned() };
    }
    if said.contains("error in libcrypto") || said.contains("invalid format") || said.contains("Load key") {
        return Why::Refused { user, message: "the private key cannot be read, or has a passphrase".to_owned() };
    }
    Why::Unreachable(if said.is_empty() { "ssh gave up".to_owned() } else { said.to_owned() })
}
