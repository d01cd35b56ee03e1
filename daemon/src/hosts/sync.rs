//! Trees of files to and from hosts, by rsync through the same connection.

use std::path::Path;

use crate::hosts::connection::Call;
use crate::hosts::process::{self, Patience, Process, last_words};
use crate::hosts::wire::quoted;
use crate::hosts::{Control, Hosts, Outcome, Target, Why};

/// Source files went away while they were read, which those of a running program do.
const VANISHED: i32 = 24;
/// Ends of rsync that come from the connection.
const CONNECTION_CODES: [i32; 4] = [10, 12, 30, 255];

/// What to bring from a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// The directory there, whose content is brought.
    pub directory: String,
    /// Who reads it there; the target's user by default, else one that it may become by sudo.
    pub user: Option<String>,
    /// What stays behind: paths in the directory, or absolute ones; or patterns of rsync.
    pub excludes: Vec<String>,
    /// Symbolic links, as paths in the directory or absolute ones, in whose place comes what they lead to.
    pub links_to_follow: Vec<String>,
}

/// What to bring to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The directory there, which gets the content.
    pub directory: String,
    /// Whether what is only there is removed.
    pub removes_others: bool,
}

impl Hosts {
    /// Makes `local` the same as a directory of a host.
    pub fn pull(&self, target: &Target, local: &Path, pull: &Pull, control: &dyn Control) -> Outcome<()> {
        let act = format!("copy {} from", pull.directory);
        let links: Vec<String> = pull.links_to_follow.iter().map(|link| inside(&pull.directory, link)).collect();
        let links: Vec<&str> = links.iter().map(|link| link.trim_matches('/')).collect();
        self.call(&act, target, None, control, |call, patience| {
            let mut whole = excludes(&pull.excludes, &pull.directory, "");
            whole.extend(links.iter().map(|link| format!("--exclude=/{}", literal(link))));
            let user = pull.user.as_deref();
            let tree = Tree { user, more: &whole, from: &remote(&pull.directory, ""), to: &slashed(local) };
            let mut copied = rsync(call, target, patience, &tree, 0)?;
            for link in &links {
                let at = local.join(link);
                std::fs::create_dir_all(at.parent().unwrap_or(local))?;
                // What was a link here once, or a file, makes room.
                if std::fs::symlink_metadata(&at).is_ok_and(|found| !found.is_dir()) {
                    std::fs::remove_file(&at)?;
                }
                let below = excludes(&pull.excludes, &pull.directory, link);
                let from = remote(&pull.directory, link);
                let tree = Tree { user, more: &below, from: &from, to: &slashed(&at) };
                copied = rsync(call, target, patience, &tree, copied)?;
            }
            Ok(())
        })
    }

    /// Brings the content of `local` to a directory of a host.
    pub fn push(&self, target: &Target, local: &Path, push: &Push, control: &dyn Control) -> Outcome<()> {
        let act = format!("copy to {}", push.directory);
        let more = if push.removes_others { vec!["--delete".to_owned()] } else { Vec::new() };
        self.call(&act, target, None, control, |call, patience| {
            let to = remote(&push.directory, "");
            let tree = Tree { user: None, more: &more, from: &slashed(local), to: &to };
            rsync(call, target, patience, &tree, 0).map(drop)
        })
    }
}

/// What rsync copies.
struct Tree<'t> {
    /// Who reads it on the host, if not the target's user.
    user: Option<&'t str>,
    /// Further arguments.
    more: &'t [String],
    from: &'t str,
    to: &'t str,
}

/// Runs rsync, and says what it ended with. Returns how many bytes have been copied, with those of before.
fn rsync(call: &Call, target: &Target, patience: &Patience<'_>, tree: &Tree<'_>, before: u64) -> Result<u64, Why> {
    let Tree { user, more, from, to } = *tree;
    let mut command = process::command("rsync");
    // To the nanosecond: else a file that was written again in the same second, with the same length, would be passed over.
    command.args([
        "-aHS",
        "--info=progress2",
        "--numeric-ids",
        "--protect-args",
        "--timeout=120",
        "--modify-window=-1",
    ]);
    if from.starts_with(REMOTE) {
        command.args(["--delete", "--delete-excluded"]);
    }
    command.args(more);
    let shell: Vec<String> = call.arguments(target).iter().map(|word| quoted_for_rsync(word)).collect();
    command.arg("-e").arg(format!("ssh {}", shell.join(" ")));
    if let Some(user) = user.filter(|user| *user != target.user) {
        command.arg(format!("--rsync-path=sudo -n -u {} rsync", quoted(user)));
    }
    // rsync takes what stands before the colon as a host; an IPv6 address would not pass.
    command.arg("--").args([from, to]);
    let mut copied = before;
    let (status, stderr) = Process::start(command)?.finish_hearing(&[], patience, |said| {
        if let Some(bytes) = progress(said) {
            copied = before + bytes;
            patience.copied(copied);
        }
    })?;
    let message = last_words(&stderr);
    match status.code() {
        Some(0 | VANISHED) => Ok(copied),
        Some(code) if CONNECTION_CODES.contains(&code) && !message.contains("command not found") => {
            Err(Why::Lost(message))
        }
        code => {
            let hint = message.contains("sudo").then(|| "sudo must let the user run rsync as the other one".to_owned());
            Err(Why::Failed { exit_code: code.unwrap_or(-1), message, hint })
        }
    }
}

/// How many bytes rsync has copied, by the last line of its progress that is whole: the number comes first.
fn progress(said: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(said);
    let line = text.split(['\r', '\n']).rfind(|line| line.contains('%'))?;
    line.split_whitespace().next()?.replace(',', "").parse().ok()
}

/// Before the paths of the host, whose name is not needed: the connection is made.
const REMOTE: &str = "host:";

fn remote(directory: &str, link: &str) -> String {
    format!("{REMOTE}{}/{link}{}", directory.trim_end_matches('/'), if link.is_empty() { "" } else { "/" })
}

/// A directory whose content is meant.
fn slashed(local: &Path) -> String {
    format!("{}/", local.display())
}

/// A path of the directory as one in it.
fn inside(directory: &str, path: &str) -> String {
    let below = path.strip_prefix(directory.trim_end_matches('/')).filter(|below| below.starts_with('/'));
    below.unwrap_or(path).to_owned()
}

/// What is excluded of the tree below `link`, or of the whole.
fn excludes(paths: &[String], directory: &str, link: &str) -> Vec<String> {
    let below = format!("/{link}/");
    let pattern = |path: &String| {
        let is_pattern = !path.contains('/');
        let path = inside(directory, path);
        // A name counts wherever it stands; a path from the top.
        let path = if is_pattern || path.starts_with('/') { path } else { format!("/{path}") };
        match path.strip_prefix(&below) {
            _ if is_pattern || link.is_empty() => Some(path),
            Some(rest) => Some(format!("/{rest}")),
            None => None,
        }
    };
    paths.iter().filter_map(pattern).map(|path| format!("--exclude={path}")).collect()
}

/// A path as a pattern that means it alone.
fn literal(path: &str) -> String {
    path.chars().flat_map(|letter| "*?[\\".contains(letter).then_some('\\').into_iter().chain([letter])).collect()
}

/// A word of the command that rsync takes apart by itself.
fn quoted_for_rsync(word: &str) -> String {
    format!("'{}'", word.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_rsync_writes_it() {
        for (said, bytes) in [
            (
                "\r     32,768   0%    0.00kB/s    0:00:00  \r  1,238,099 100%  146.38kB/s    0:00:08 (xfr#5, to-chk=0/9)\n",
                Some(1_238_099),
            ),
            ("\r              0   0%    0.00kB/s    0:00:00  \r", Some(0)),
            ("", None),
            ("\n", None),
            ("100%", None),
        ] {
            assert_eq!(progress(said.as_bytes()), bytes, "{said:?}");
        }
    }
}
