//! The program: arguments in, parts joined, until a signal ends it.
//!
//! Here rather than in `main.rs`, so that the tests can run it under a name of their own.

use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Arguments, Command, Config, default_file, help};
use crate::daemon::{Daemon, config_failure, failure, recover_superblock};
use crate::notify::Notifier;
use crate::virtualization::Clock;
use cow_api::v1::{Code, Problem};
use listenfd::ListenFd;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The shortest and the longest wait before a pool that failed is opened again.
const REOPEN_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Why the daemon stops serving.
enum Ending {
    /// Somebody asked for it.
    Asked,
    /// The pool takes no more writes until it is opened again.
    Poisoned,
}

/// What `cowd` does with its command line: everything.
pub fn main() -> ExitCode {
    main_by(Clock::default())
}

/// The same, with schedules by another clock.
pub fn main_by(clock: Clock) -> ExitCode {
    match run(clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            let _ = writeln!(io::stderr(), "cowd: {}{hint}", problem.detail);
            ExitCode::from(if problem.code == Code::InvalidRequest { 2 } else { 1 })
        }
    }
}

fn run(clock: Clock) -> Result<(), Problem> {
    let arguments = Arguments::parse(std::env::args().skip(1))
        .map_err(|error| Problem::new(Code::InvalidRequest, error.to_string()))?;
    match arguments.command {
        Command::Help => print(&help()),
        Command::Version => print(concat!("cowd ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::DefaultConfig => print(&default_file()),
        Command::CheckConfig => {
            arguments.config().map_err(|error| config_failure(&error))?;
            print("the configuration is good\n");
        }
        Command::RecoverSuperblock => {
            let config = arguments.config().map_err(|error| config_failure(&error))?;
            print(&recover_superblock(&config.pool)?);
        }
        Command::Serve => serve(&arguments.config().map_err(|error| config_failure(&error))?, clock)?,
    }
    Ok(())
}

/// Whoever does not read on has enough.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn serve(config: &Config, clock: Clock) -> Result<(), Problem> {
    config.log.start();
    let (tell, endings) = channel();
    listen_for_signals(tell.clone())?;
    let notifier = Arc::new(Notifier::from_environment());
    let given = given_socket()?;
    let mut config = config.clone();
    let mut started = false;
    let mut wait = REOPEN_WAITS[0];
    loop {
        let began = Instant::now();
        let tell = tell.clone();
        let on_poisoned = Box::new(move || drop(tell.send(Ending::Poisoned)));
        let given = given.as_ref().map(UnixListener::try_clone).transpose();
        let given = given.map_err(|error| failure(&error, "look at ulimit -n"))?;
        match Daemon::start(&config, &notifier, given, on_poisoned, clock) {
            Ok(daemon) => {
                say_where(&daemon);
                // Port 0 is drawn once: clients come back to where they were.
                config.nfs = daemon.nfs();
                config.http = daemon.http();
                started = true;
                let ending = endings.recv();
                let asked = !matches!(ending, Ok(Ending::Poisoned));
                if asked {
                    notifier.stopping();
                }
                daemon.stop();
                if asked {
                    return Ok(());
                }
            }
            Err(problem) if !started => return Err(problem),
            Err(problem) => tracing::error!(%problem, "cannot open the pool again"),
        }
        if began.elapsed() > REOPEN_WAITS[1] {
            wait = REOPEN_WAITS[0];
        }
        if asked_within(&endings, wait) {
            return Ok(());
        }
        wait = (wait * 2).min(REOPEN_WAITS[1]);
    }
}

/// Waits, and tells whether somebody asked for the end meanwhile.
fn asked_within(endings: &Receiver<Ending>, wait: Duration) -> bool {
    let until = Instant::now() + wait;
    loop {
        match endings.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Ending::Poisoned) => {}
            Err(RecvTimeoutError::Timeout) => return false,
            Ok(Ending::Asked) | Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

/// One line for each address, for whoever started the daemon on a free port.
fn say_where(daemon: &Daemon) {
    let mut lines = format!("cowd: nfs {}\n", daemon.nfs());
    if let Some(http) = daemon.http() {
        lines += &format!("cowd: http {http}\n");
    }
    if let Some(socket) = daemon.socket() {
        lines += &format!("cowd: control {}\n", socket.display());
    }
    print(&(lines + "cowd: ready\n"));
}

fn listen_for_signals(tell: Sender<Ending>) -> Result<(), Problem> {
    let cannot = |error: io::Error| failure(&error, "signals cannot be listened for");
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(cannot)?;
    let listen = move || {
        for (number, signal) in signals.forever().enumerate() {
            if number > 0 {
                // Asked twice: what is under way is in the log, and the next start finds it there.
                tracing::warn!(signal, "ending at once");
                std::process::exit(1);
            }
            tracing::info!(signal, "stopping");
            let _ = tell.send(Ending::Asked);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop).map_err(cannot)
}

/// The control socket that the service manager opened, if it did.
fn given_socket() -> Result<Option<UnixListener>, Problem> {
    let given = ListenFd::from_env().take_unix_listener(0);
    given.map_err(|error| failure(&error, "the first socket that systemd passes must be a unix one: see cowd.socket"))
}
