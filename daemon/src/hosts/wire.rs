//! What is said with a host's bash about one command.
//!
//! The remote command line is the same for all commands; everything else goes over its input. It first answers a greeting on
//! both outputs, and only then is sent anything that it could carry out: what fails before may be tried again. The script
//! says on both outputs when it begins, behind what profiles print, and the line when it has ended, with the exit code: what
//! a child in the background writes later, or that it keeps an output open, holds nobody up. When the line's input ends
//! before that, because the connection or cowd is gone or the call is given up, the line ends the command and all its children.
//!
//! Invariant: a script that did not arrive as a whole is not run.

use std::fmt::Write as _;

use crate::hosts::{Command, Finished, Why};

/// Most that a command may write.
pub const OUTPUT_MAX: usize = 192 << 20;
/// The longest variable that is exported: the kernel takes 128 KiB with the name, and then no program could be started.
const EXPORTED_LEN_MAX: usize = 100_000;
/// And of all together, of 2 MiB with the arguments.
const EXPORTED_TOTAL_MAX: usize = 1 << 20;
/// Begins each mark. It is rare, so that marks are found fast.
const MARK: u8 = 0x1e;

/// The remote command line, for any shell.
pub const LINE: &str = concat!(
    "exec bash -c '",
    "IFS= read -r greeting; printf %s \"$greeting\"; printf %s \"$greeting\" >&2; ",
    "read -r size login end; script=$(head -c \"$size\"); ",
    "case $script in *\"#$end\") ;; *) exit 1 ;; esac; ",
    "exec 3<&0 4>&2 </dev/null 2>/dev/null; ",
    "( trap \"\" TERM; exec >/dev/null 4>&-; read -r rest <&3; kill -TERM 0; sleep 2; kill -KILL 0 ) & ",
    "watch=$!; exec 3<&-; set --; [ \"$login\" = 1 ] && set -- -l; ",
    "bash \"$@\" -c \"eval \\\"\\$(cat <&3)\\\" 3<&-\" bash 3< <(printf %s \"$script\") 2>&4 4>&-; ",
    "code=$?; printf %s \"$end:$code;\"; printf %s \"$end:$code;\" >&4; kill -KILL \"$watch\"",
    "'",
);

/// One of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The first.
    Stdout,
    /// The other.
    Stderr,
}

/// The marks of one command, which it cannot know.
#[derive(Clone, Debug)]
struct Marks {
    greeting: String,
    start: String,
    end: String,
}

/// What was said so far about one command.
pub struct Dialog {
    marks: Marks,
    script: String,
    login: bool,
    pending: Vec<u8>,
    stdout: Reply,
    stderr: Reply,
    is_sent: bool,
}

impl Dialog {
    /// Prepares to have a command run. `seed` must be random, and new each time.
    pub fn new(command: &Command, seed: [u8; 32]) -> Result<Self, Why> {
        let hash = |name: &str| blake3::keyed_hash(&seed, name.as_bytes()).to_hex()[..32].to_owned();
        let mark = |name: &str| format!("{}{}", MARK as char, hash(name));
        let marks = Marks { greeting: mark("greeting"), start: mark("start"), end: mark("end") };
        let script = script(command, &marks)?;
        let pending = format!("{}\n", marks.greeting).into_bytes();
        let (stdout, stderr) = (Reply::default(), Reply::default());
        Ok(Self { marks, script, login: command.use_login_shell, pending, stdout, stderr, is_sent: false })
    }

    /// What is to be sent next; what of it was not goes back by [`Self::put_back`].
    pub fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// All of `pending` but the first `sent` bytes is still to be sent.
    pub fn put_back(&mut self, mut pending: Vec<u8>, sent: usize) {
        pending.drain(..sent);
        pending.append(&mut self.pending);
        self.pending = pending;
    }

    /// Whether anything was offered that the host could carry out.
    pub fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// Takes in what came.
    pub fn received(&mut self, output: Output, bytes: &[u8]) -> Result<(), Why> {
        if self.stdout.bytes.len() + self.stderr.bytes.len() + bytes.len() > OUTPUT_MAX {
            return Err(Why::TooMuch(OUTPUT_MAX));
        }
        let reply = match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        };
        reply.received(bytes, &self.marks);
        if !self.is_sent && self.stdout.stage > Stage::Silent && self.stderr.stage > Stage::Silent {
            self.is_sent = true;
            let (size, login) = (self.script.len(), u8::from(self.login));
            self.pending.extend_from_slice(format!("{size} {login} {}\n{}", self.marks.end, self.script).as_bytes());
        }
        Ok(())
    }

    /// How the command ended, once it has.
    pub fn finished(&mut self) -> Option<Finished> {
        let exit_code = self.stdout.ended.and(self.stderr.ended)?;
        let [stdout, stderr] = [&mut self.stdout, &mut self.stderr].map(|reply| std::mem::take(&mut reply.bytes));
        Some(Finished { exit_code, stdout, stderr })
    }

    /// What was said on stderr, where it did not end: by ssh, most likely.
    pub fn last_words(&self) -> String {
        crate::hosts::process::last_words(&self.stderr.bytes)
    }
}

/// How far a reply is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The greeting has not come.
    #[default]
    Silent,
    /// The script has not begun: what comes is of profiles.
    Greeted,
    /// What comes is of the script.
    Started,
}

/// What came on one of the outputs.
#[derive(Default)]
struct Reply {
    stage: Stage,
    bytes: Vec<u8>,
    /// So much of it holds no mark.
    searched: usize,
    ended: Option<i32>,
}

impl Reply {
    fn received(&mut self, bytes: &[u8], marks: &Marks) {
        if self.ended.is_some() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        if self.stage == Stage::Silent && self.passed(&marks.greeting) {
            self.stage = Stage::Greeted;
        }
        if self.stage == Stage::Greeted && self.passed(&marks.start) {
            self.stage = Stage::Started;
        }
        // A script may end without having begun, as when a profile ends it: what was searched for the start is searched again.
        if self.stage == Stage::Greeted {
            self.searched = 0;
        }
        if self.stage >= Stage::Greeted
            && let Some(at) = self.find(&marks.end)
            && let Some(code) = exit_code(&self.bytes[at + marks.end.len()..])
        {
            self.bytes.truncate(at);
            self.ended = Some(code);
        }
    }

    /// Drops what comes up to a mark and with it, if it is there.
    fn passed(&mut self, mark: &str) -> bool {
        let Some(at) = self.find(mark) else { return false };
        self.bytes.drain(..at + mark.len());
        self.searched = 0;
        true
    }

    fn find(&mut self, mark: &str) -> Option<usize> {
        let mark = mark.as_bytes();
        while let Some(at) = self.bytes[self.searched..].iter().position(|byte| *byte == MARK) {
            let at = self.searched + at;
            self.searched = at;
            if self.bytes.len() - at < mark.len() {
                return None;
            }
            if self.bytes[at..].starts_with(mark) {
                return Some(at);
            }
            self.searched += 1;
        }
        self.searched = self.bytes.len();
        None
    }
}

/// The exit code in what follows the last mark, once it is there as a whole.
fn exit_code(bytes: &[u8]) -> Option<i32> {
    let text = bytes.strip_prefix(b":")?;
    let end = text.iter().position(|byte| *byte == b';')?;
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// The script: says that it begins, sets the variables, and does what it is for.
fn script(command: &Command, marks: &Marks) -> Result<String, Why> {
    if command.text.contains('\0') {
        return Err(Why::Invalid("the command contains a NUL".to_owned()));
    }
    let mut script = format!("printf %s '{0}'; printf %s '{0}' >&2\n", marks.start);
    let mut exported = 0;
    for (name, value) in &command.variables {
        check_variable(name, value)?;
        exported += name.len() + value.len();
        let fits = value.len() <= EXPORTED_LEN_MAX && exported <= EXPORTED_TOTAL_MAX;
        let export = if fits { "export " } else { "" };
        let _ = writeln!(script, "{export}{name}={}", quoted(value));
    }
    if !command.input.is_empty() {
        let _ = writeln!(script, "exec < <(printf %b '{}')", escaped(&command.input));
    }
    let _ = write!(script, "{}\n#{}", command.text, marks.end);
    Ok(script)
}

fn check_variable(name: &str, value: &str) -> Result<(), Why> {
    let mut letters = name.bytes();
    let starts = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !starts || !letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Why::Invalid(format!("bash can have no variable '{}'", name.escape_default())));
    }
    if value.contains('\0') {
        return Err(Why::Invalid(format!("the variable '{name}' contains a NUL")));
    }
    Ok(())
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Bytes as `printf %b` takes them, without quotes.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        match byte {
            b'\\' | b'\'' | 0..=0x1f | 0x7f.. => {
                let _ = write!(text, "\\0{byte:03o}");
            }
            _ => text.push(*byte as char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a whole reply in pieces of each size.
    #[test]
    fn replies_are_cut_out_of_what_comes_wherever_it_is_parted() {
        let command = Command::new("true");
        let marks = Dialog::new(&command, [7; 32]).unwrap().marks;
        let (hello, start, end) = (&marks.greeting, &marks.start, &marks.end);
        let out = format!("noise\u{1e}{hello}profile{start}a\u{1e}b{}{end}:3;later", &end[..9]).into_bytes();
        let errors = format!("{hello}{start}{end}:3;").into_bytes();
        for size in 1..=out.len() {
            let mut dialog = Dialog::new(&command, [7; 32]).unwrap();
            drop(dialog.take_pending());
            for piece in out.chunks(size) {
                dialog.received(Output::Stdout, piece).unwrap();
            }
            assert!(!dialog.is_sent() && dialog.finished().is_none());
            for piece in errors.chunks(size) {
                dialog.received(Output::Stderr, piece).unwrap();
            }
            assert!(dialog.is_sent() && dialog.pending.ends_with(end.as_bytes()));
            let stdout = format!("a\u{1e}b{}", &end[..9]).into_bytes();
            assert_eq!(dialog.finished(), Some(Finished { exit_code: 3, stdout, stderr: Vec::new() }), "{size}");
        }
    }

    #[test]
    fn what_bash_cannot_take_is_refused() {
        for command in [
            Command::new("a\0b"),
            Command::new("").with("a", "\0"),
            Command::new("").with("a b", ""),
            Command::new("").with("1", ""),
            Command::new("").with("", ""),
            Command::new("").with("a;b", ""),
        ] {
            assert!(matches!(Dialog::new(&command, [0; 32]), Err(Why::Invalid(_))));
        }
    }

    #[test]
    fn too_much_is_an_error() {
        let mut dialog = Dialog::new(&Command::new(""), [0; 32]).unwrap();
        let (many, bytes) = (OUTPUT_MAX >> 20, vec![b' '; 1 << 20]);
        (0..many).for_each(|_| dialog.received(Output::Stderr, &bytes).unwrap());
        assert!(matches!(dialog.received(Output::Stdout, b"x"), Err(Why::TooMuch(OUTPUT_MAX))));
    }
}
