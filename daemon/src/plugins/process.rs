//! A Python process that does one task for us: its lines, its end, and who ends it.
//!
//! Invariant: when the task is over, however that came, its process group is gone and nothing waits for its pipes.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::plugins::asked::shown;
use crate::plugins::environment::Environment;
use crate::plugins::{Control, Failure};

/// Most bytes of one line from the host: a call of a library function may carry 192 MiB, and escapes.
const LINE_LEN_MAX: u64 = 400 << 20;
/// Most bytes of one line that a plugin prints; longer ones are cut in two.
const PRINTED_LEN_MAX: u64 = 16 << 10;
/// Most lines that are kept to be shown when the process dies.
const KEPT_MAX: usize = 50;
/// How often it is looked whether the job was cancelled.
const GLANCE: Duration = Duration::from_millis(50);
/// How long the last lines that a plugin printed are waited for when it has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What comes from the process.
enum Heard {
    /// A line of the protocol.
    Line(Vec<u8>),
    /// A line that the plugin printed.
    Printed(String),
    /// A pipe has ended: the protocol's, or the other.
    Ended { protocol: bool },
}

/// A running process.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    heard: Receiver<Heard>,
    /// The last lines that were printed.
    kept: VecDeque<String>,
    /// Time that it had for itself.
    own_time: Duration,
}

impl Process {
    /// Starts the Python host. It knows nothing of our environment variables but where programs are.
    pub fn start(environment: &Environment) -> io::Result<Self> {
        let mut command = Command::new(&environment.python);
        command.args(["-s", "-S", "-E", "-B"]).arg(&environment.host).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
        command.env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let (tell, heard) = sync_channel(64);
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let (stdout, stderr) = (child.stdout.take().ok_or_else(missing)?, child.stderr.take().ok_or_else(missing)?);
        let printed = tell.clone();
        // Nobody waits for these threads: a process that the plugin left in a group of its own may keep a pipe open.
        thread::Builder::new().name("plugin-lines".to_owned()).spawn(move || read_lines(stdout, &tell))?;
        thread::Builder::new().name("plugin-prints".to_owned()).spawn(move || read_prints(stderr, &printed))?;
        Ok(Self { child, stdin, heard, kept: VecDeque::new(), own_time: Duration::ZERO })
    }

    /// Writes a line of the protocol.
    pub fn send(&mut self, message: &Value) -> io::Result<()> {
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        self.stdin.write_all(&line)?;
        self.stdin.flush()
    }

    /// Waits for a line of the protocol, at most until it has had `limit` for itself, and tells what is printed
    /// meanwhile. `None` is its end without one.
    pub fn receive(
        &mut self,
        limit: Duration,
        control: &dyn Control,
        print: &mut dyn FnMut(&str),
    ) -> Result<Option<Vec<u8>>, Failure> {
        let began = Instant::now();
        loop {
            if control.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            if self.own_time + began.elapsed() > limit {
                return Err(Failure::Timeout { limit });
            }
            match self.heard.recv_timeout(GLANCE) {
                Ok(Heard::Line(line)) => {
                    self.own_time += began.elapsed();
                    return Ok(Some(line));
                }
                Ok(Heard::Printed(line)) => self.keep(line, print),
                Ok(Heard::Ended { protocol: true }) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Ok(Heard::Ended { protocol: false }) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn keep(&mut self, line: String, print: &mut dyn FnMut(&str)) {
        print(&line);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(line);
    }

    /// Ends the process and all of its group. Returns how it ended and what it printed last.
    pub fn end(mut self, is_over: bool, print: &mut dyn FnMut(&str)) -> (Option<ExitStatus>, String) {
        let mut status = None;
        let until = Instant::now() + LAST_WORDS;
        while is_over && status.is_none() && Instant::now() < until {
            status = self.child.try_wait().ok().flatten();
            thread::sleep(Duration::from_millis(2));
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Also when it has ended by itself: what it left behind in its group goes too.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = status.or_else(|| self.child.wait().ok());
        let until = Instant::now() + LAST_WORDS;
        let mut is_silent = false;
        while let (false, Ok(heard)) = (is_silent, self.heard.recv_timeout(until - Instant::now().min(until))) {
            match heard {
                Heard::Printed(line) => self.keep(line, print),
                Heard::Ended { protocol } => is_silent = !protocol,
                Heard::Line(_) => {}
            }
        }
        (status, Vec::from(std::mem::take(&mut self.kept)).join("\n"))
    }
}

/// How a process ended, in words.
pub fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "nobody knows how".to_owned() };
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (_, Some(code)) => format!("it exited with {code}"),
        _ => "nobody knows how".to_owned(),
    }
}

fn read_lines(stdout: impl Read, tell: &SyncSender<Heard>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = stdout.by_ref().take(LINE_LEN_MAX).read_until(b'\n', &mut line);
        let whole = read.is_ok() && line.last() == Some(&b'\n');
        let heard = if whole { Heard::Line(line) } else { Heard::Ended { protocol: true } };
        if tell.send(heard).is_err() || !whole {
            return;
        }
    }
}

fn read_prints(stderr: impl Read, tell: &SyncSender<Heard>) {
    let mut stderr = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        let read = stderr.by_ref().take(PRINTED_LEN_MAX).read_until(b'\n', &mut line);
        if !matches!(read, Ok(count) if count > 0) {
            let _ = tell.send(Heard::Ended { protocol: false });
            return;
        }
        let text = shown(String::from_utf8_lossy(&line).trim_end());
        if tell.send(Heard::Printed(text)).is_err() {
            return;
        }
    }
}

/// A flag that a test or a caller without a job sets to end an operation.
#[derive(Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// Ends the operation.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Control for Cancel {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
