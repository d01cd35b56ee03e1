//! A program of this host that speaks over its input and outputs.
//!
//! Invariant: a program that is dropped is ended, with all that it started, and waited for.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::hosts::wire::Output;
use crate::hosts::{Control, Why};

/// How often a caller is asked whether it still waits.
pub const PACE: Duration = Duration::from_millis(100);
/// Read at once.
const CHUNK: usize = 256 << 10;
/// So much of what a program said last is told.
const LAST_WORDS_LEN: usize = 600;

/// A command for a program of this host, which finds nothing in its environment that it need not know.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    command.env_clear().env("PATH", path).env("LC_ALL", "C").env("SHELL", "/bin/sh").current_dir("/");
    command
}

/// How long a caller waits.
#[derive(Clone, Copy)]
pub struct Patience<'c> {
    control: &'c dyn Control,
    began: Instant,
    time_max: Option<Duration>,
}

impl<'c> Patience<'c> {
    /// From now on.
    pub fn new(time_max: Option<Duration>, control: &'c dyn Control) -> Self {
        Self { control, began: Instant::now(), time_max }
    }

    /// Why the caller waits no longer, if it does not.
    pub fn check(&self) -> Result<(), Why> {
        if self.control.is_cancelled() {
            return Err(Why::Cancelled);
        }
        match self.time_max {
            Some(most) if self.began.elapsed() >= most => Err(Why::TimedOut(most)),
            _ => Ok(()),
        }
    }

    /// Tells the caller how much of a tree has been copied.
    pub fn copied(&self, bytes: u64) {
        self.control.copied(bytes);
    }

    /// For how long it waits already.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// A program that runs.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// What came of looking at a program.
pub enum Heard<'b> {
    /// It wrote something.
    Said(Output, &'b [u8]),
    /// It took so many bytes.
    Took(usize),
    /// It closed both outputs.
    Ended,
}

impl Process {
    /// Starts a program.
    pub fn start(mut command: Command) -> Result<Self, Why> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| missing(&program, &error))?;
        let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Self { child, input, stdout, stderr };
        for pipe in [
            process.input.as_ref().map(AsFd::as_fd),
            process.stdout.as_ref().map(AsFd::as_fd),
            process.stderr.as_ref().map(AsFd::as_fd),
        ] {
            pipe.map_or(Ok(()), |pipe| ioctl_fionbio(pipe, true)).map_err(io::Error::from)?;
        }
        Ok(process)
    }

    /// Tells it that nothing more comes.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends of `pending` what it takes, and hears what it says, until something happened or for a while. `heard` is called for
    /// each thing that happened.
    pub fn look(&mut self, pending: &[u8], mut heard: impl FnMut(Heard<'_>) -> Result<(), Why>) -> Result<(), Why> {
        self.wait(!pending.is_empty())?;
        if let Some(input) = &mut self.input
            && !pending.is_empty()
        {
            match input.write(pending) {
                Ok(count) => heard(Heard::Took(count))?,
                Err(error) if is_for_later(&error) => {}
                // What it says, or that it ended, tells more.
                Err(_) => self.input = None,
            }
        }
        let mut buffer = vec![0; CHUNK];
        if read(&mut self.stdout, &mut buffer, |bytes| heard(Heard::Said(Output::Stdout, bytes)))? {
            self.stdout = None;
        }
        if read(&mut self.stderr, &mut buffer, |bytes| heard(Heard::Said(Output::Stderr, bytes)))? {
            self.stderr = None;
        }
        if self.stdout.is_none() && self.stderr.is_none() { heard(Heard::Ended) } else { Ok(()) }
    }

    /// Waits until one of the pipes is ready, or for a while.
    fn wait(&self, has_pending: bool) -> Result<(), Why> {
        let mut pipes = Vec::with_capacity(3);
        if let Some(input) = &self.input
            && has_pending
        {
            pipes.push(PollFd::new(input, PollFlags::OUT));
        }
        pipes.extend(self.stdout.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        pipes.extend(self.stderr.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let pace = Timespec { tv_sec: 0, tv_nsec: PACE.subsec_nanos().into() };
        match poll(&mut pipes, Some(&pace)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    /// Waits for its end, and returns how it ended and what it wrote.
    pub fn finish(self, input: &[u8], patience: &Patience<'_>) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), Why> {
        let mut stdout = Vec::new();
        let (status, stderr) = self.finish_hearing(input, patience, |bytes| stdout.extend_from_slice(bytes))?;
        Ok((status, stdout, stderr))
    }

    /// The same, with what it writes to stdout as it comes.
    pub fn finish_hearing(
        mut self,
        input: &[u8],
        patience: &Patience<'_>,
        mut hear: impl FnMut(&[u8]),
    ) -> Result<(ExitStatus, Vec<u8>), Why> {
        let (mut sent, mut stderr, mut has_ended) = (0, Vec::new(), false);
        while !has_ended {
            if sent == input.len() {
                self.close_input();
            }
            patience.check()?;
            self.look(&input[sent..], |heard| {
                match heard {
                    Heard::Said(Output::Stdout, bytes) => hear(bytes),
                    // The end says what went wrong.
                    Heard::Said(Output::Stderr, bytes) => {
                        stderr.extend_from_slice(bytes);
                        let surplus = stderr.len().saturating_sub(CHUNK);
                        stderr.drain(..surplus);
                    }
                    Heard::Took(count) => sent += count,
                    Heard::Ended => has_ended = true,
                }
                Ok(())
            })?;
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, stderr));
            }
            patience.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a program that leads a group, with the group.
pub fn end(child: &mut Child) {
    // Once it was waited for, its number may be another's.
    if let (Ok(None), Some(group)) = (child.try_wait(), Pid::from_raw(child.id().cast_signed())) {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait();
    }
}

/// Reads what is there. Returns whether nothing more will come.
fn read(
    pipe: &mut Option<impl Read>,
    buffer: &mut [u8],
    mut take: impl FnMut(&[u8]) -> Result<(), Why>,
) -> Result<bool, Why> {
    let Some(pipe) = pipe else { return Ok(false) };
    match pipe.read(buffer) {
        Ok(0) => Ok(true),
        Ok(count) => take(&buffer[..count]).map(|()| false),
        Err(error) if is_for_later(&error) => Ok(false),
        Err(_) => Ok(true),
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// That a program cannot be started.
pub fn missing(program: &str, error: &io::Error) -> Why {
    Why::Here(format!("cowd's host cannot start '{program}': {error}"))
}

/// The end of what a program said, in one line.
pub fn last_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = lines.join("; ");
    let cut = line.char_indices().rev().nth(LAST_WORDS_LEN).map_or(0, |(at, _)| at);
    line[cut..].to_owned()
}
