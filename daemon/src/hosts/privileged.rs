//! Steps that a host's administrator allows by sudo: mount, umount, mkdir, rmdir and chown, and no others.
//!
//! Invariant: each is done when it ends well, also when it had been done before, so that any of them may be repeated.

use std::time::Duration;

use crate::hosts::ssh::error;
use crate::hosts::{Command, Control, Hosts, Outcome, Target, Why};

/// Longest that a step may take.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Longest that a server is waited for that does not answer, before its mount is taken away by force.
const UNMOUNT_TIME_MAX: Duration = Duration::from_secs(20);
/// Most mounts of one source over each other that are taken away.
const LAYERS_MAX: usize = 16;
/// Lets the rest of a step run as root.
const AS_ROOT: &str = "as_root() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi; }\n";

/// What to mount on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteMount {
    /// What is mounted, as `server:/export`.
    pub source: String,
    /// Where, an absolute path.
    pub path: String,
    /// Options of mount, as `vers=3,tcp,hard,port=2049`.
    pub options: String,
}

/// What is mounted at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// What is mounted, as `server:/export`.
    pub source: String,
    /// The file system's type, as `nfs`.
    pub kind: String,
}

impl Hosts {
    /// Mounts by NFS. Mounted already is a success; anything else mounted there is an error.
    pub fn mount(&self, target: &Target, mount: &RemoteMount, control: &dyn Control) -> Outcome<()> {
        let act = format!("mount {} at {}", mount.source, mount.path);
        if self.is_mounted(&act, target, mount, control)? {
            return Ok(());
        }
        let text = "as_root mount -t nfs -o \"$options\" \"$source\" \"$path\"";
        let command = step(text, &mount.path).with("source", &mount.source).with("options", &mount.options);
        self.step(&act, target, &command, control).map(drop)
    }

    /// Unmounts what is mounted at a path from that source, by force if it is in use or its server is gone. Not mounted is a
    /// success; anything else that is mounted there stays, and is an error.
    pub fn unmount(&self, target: &Target, mount: &RemoteMount, control: &dyn Control) -> Outcome<()> {
        let act = format!("unmount {} from {}", mount.source, mount.path);
        for _ in 0..LAYERS_MAX {
            if !self.is_mounted(&act, target, mount, control)? {
                return Ok(());
            }
            let politely = step("as_root umount \"$path\"", &mount.path).within(UNMOUNT_TIME_MAX);
            match self.step(&act, target, &politely, control) {
                Ok(_) => continue,
                Err(error) if matches!(error.why, Why::Failed { .. } | Why::TimedOut(_)) => {}
                Err(error) => return Err(error),
            }
            self.step(&act, target, &step("as_root umount -lf \"$path\"", &mount.path), control)?;
        }
        Err(error(target, &act, Why::Invalid("it is mounted there again and again".to_owned())))
    }

    /// What is mounted at a path, the topmost.
    pub fn mounted(&self, target: &Target, path: &str, control: &dyn Control) -> Outcome<Option<MountPoint>> {
        let command = Command::new("cat /proc/self/mountinfo").within(TIME_MAX);
        let table = self.run_as("list mounts", target, &command, control)?.stdout;
        Ok(topmost(&String::from_utf8_lossy(&table), path))
    }

    /// Whether that is mounted; an error if something else is.
    fn is_mounted(&self, act: &str, target: &Target, mount: &RemoteMount, control: &dyn Control) -> Outcome<bool> {
        if !mount.path.starts_with('/') || mount.path.trim_end_matches('/').is_empty() {
            let why = Why::Invalid(format!("'{}' is not an absolute path below /", mount.path.escape_default()));
            return Err(error(target, act, why));
        }
        match self.mounted(target, &mount.path, control)? {
            None => Ok(false),
            Some(found) if found.source == mount.source => Ok(true),
            Some(found) => {
                let message = format!("{} ({}) is mounted there", found.source, found.kind);
                let hint = Some("unmount it on the host, or use another path".to_owned());
                Err(error(target, act, Why::Failed { exit_code: 32, message, hint }))
            }
        }
    }

    /// Makes a directory and those above it, as the target's user where that one may. Returns whether it was not there.
    pub fn make_directory(&self, target: &Target, path: &str, control: &dyn Control) -> Outcome<bool> {
        let text = "if [ -d \"$path\" ]; then echo there; exit 0; fi\n\
                    mkdir -p \"$path\" 2>/dev/null || as_root mkdir -p \"$path\"";
        let said = self.step(&format!("make the directory {path}"), target, &step(text, path), control)?;
        Ok(said.trim() != "there")
    }

    /// Removes an empty directory. Not there is a success.
    pub fn remove_directory(&self, target: &Target, path: &str, control: &dyn Control) -> Outcome<()> {
        let text = "if [ -e \"$path\" ] || [ -L \"$path\" ]; then \
                    rmdir \"$path\" 2>/dev/null || as_root rmdir \"$path\"; fi";
        self.step(&format!("remove the directory {path}"), target, &step(text, path), control).map(drop)
    }

    /// Gives one directory or file to a user and a group; `None` is the target's user and its group.
    pub fn change_owner(
        &self,
        target: &Target,
        path: &str,
        owner: Option<(u32, u32)>,
        control: &dyn Control,
    ) -> Outcome<()> {
        let text = "owner=${owner:-$(id -u):$(id -g)}\n\
                    [ \"$(stat -c %u:%g \"$path\")\" = \"$owner\" ] || as_root chown \"$owner\" \"$path\"";
        let owner = owner.map(|(user, group)| format!("{user}:{group}")).unwrap_or_default();
        let command = step(text, path).with("owner", owner);
        self.step(&format!("change the owner of {path}"), target, &command, control).map(drop)
    }
}

/// A step that does something to a path.
fn step(text: &str, path: &str) -> Command {
    Command::new(format!("{AS_ROOT}{text}")).with("path", path).within(TIME_MAX)
}

/// The last mount at a path in a table as `/proc/self/mountinfo` has it.
fn topmost(table: &str, path: &str) -> Option<MountPoint> {
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    table.lines().rev().find_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let (mut what, at) = (what.split(' '), place.split(' ').nth(4)?);
        let (kind, source) = (what.next()?.to_owned(), unescaped(what.next()?));
        (unescaped(at) == path).then_some(MountPoint { source, kind })
    })
}

/// A field of that table, where spaces and some others are written as `\040`.
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[3..]);
            }
            None => {
                bytes.push(b'\\');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_mount_of_a_path_is_found() {
        let table = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                     40 22 0:40 / /mnt/a\\040b rw,relatime shared:9 master:2 - nfs h:/old rw,vers=3\n\
                     41 40 0:41 / /mnt/a\\040b rw - fuse h:/new\\134x rw\n\
                     nonsense\n";
        let found = |path| topmost(table, path).map(|found| (found.source, found.kind));
        assert_eq!(found("/mnt/a b/"), Some(("h:/new\\x".to_owned(), "fuse".to_owned())));
        assert_eq!(found("/"), Some(("/dev/sda1".to_owned(), "ext4".to_owned())));
        assert_eq!(found("/mnt"), None);
    }
}
