//! Files that only this process and its programs can read, and that are on no disk.
//!
//! OpenSSH closes what it inherits, so it is given a path in `/proc` instead: that can be opened by this user and root alone,
//! and is gone with this.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::process::Stdio;

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

/// A file in memory.
pub struct Hidden(File);

impl Hidden {
    /// A file with that content, which nobody else may read.
    pub fn new(content: &str) -> io::Result<Self> {
        Self::with_mode(content, Mode::RUSR | Mode::WUSR)
    }

    /// The same, as a program.
    pub fn program(content: &str) -> io::Result<Self> {
        Self::with_mode(content, Mode::RUSR | Mode::WUSR | Mode::XUSR)
    }

    fn with_mode(content: &str, mode: Mode) -> io::Result<Self> {
        let mut file = File::from(memfd_create("cow", MemfdFlags::CLOEXEC)?);
        fchmod(&file, mode)?;
        file.write_all(content.as_bytes())?;
        Ok(Self(file))
    }

    /// Where this host's programs find it, while this process and this value live.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// For what a program writes.
    pub fn output(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// What was written.
    pub fn content(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.seek(SeekFrom::Start(0)).and_then(|_| self.0.read_to_end(&mut bytes));
        bytes
    }
}
