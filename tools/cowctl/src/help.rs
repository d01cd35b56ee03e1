//! Help, written from the tables of the commands.

use std::fmt::Write;

use crate::arguments::{Command, Flag, GLOBAL};
use crate::commands::COMMANDS;

/// What there is.
pub fn overview() -> String {
    let mut text = String::from(
        "Control cowd, which keeps datasets, snapshots and clones\n\n\
         Usage: cowctl [FLAG]... COMMAND [ARGUMENT]...\n\n\
         Commands:\n",
    );
    for command in COMMANDS {
        line(&mut text, command.name, command.about, 10);
    }
    text.push_str("\nFlags of every command:\n");
    flags(&mut text, GLOBAL);
    text.push_str(
        "\nA snapshot is written DATASET@SNAPSHOT. Sizes are in binary units, as in 8K or 1.5G.\n\n\
         Environment:\n",
    );
    line(&mut text, "COW_SOCKET", "The unix socket, where no --socket or --url is given", 10);
    line(&mut text, "COW_URL", "The URL, where no --socket or --url is given", 10);
    line(&mut text, "NO_COLOR", "Print without colours", 10);
    text.push_str("\nExit codes:\n");
    for (code, about) in [
        ("0", "Done"),
        ("1", "Failed"),
        ("2", "Misused"),
        ("4", "Not found"),
        ("5", "Exists already, or the state does not allow it"),
        ("6", "Busy or held: try again later"),
        ("7", "Permission denied"),
        ("8", "No space, or the quota is used up"),
        ("9", "The daemon cannot be reached"),
        ("10", "Stored data is damaged"),
    ] {
        line(&mut text, code, about, 2);
    }
    text.push_str("\n'cowctl help COMMAND' tells about one of them.\n");
    text
}

/// All about a command.
pub fn of(command: &Command) -> String {
    let mut text = format!("{}\n\nUsage: {}\n", command.about, usage(command));
    if !command.flags.is_empty() {
        text.push_str("\nFlags:\n");
        flags(&mut text, command.flags);
    }
    if !command.more.is_empty() {
        let _ = write!(text, "\n{}\n", command.more);
    }
    text.push_str("\n'cowctl help' lists the flags of every command.\n");
    text
}

/// How a command is written.
pub fn usage(command: &Command) -> String {
    let flags = if command.flags.is_empty() { "" } else { " [FLAG]..." };
    let space = if command.operands.is_empty() { "" } else { " " };
    format!("cowctl {}{flags}{space}{}", command.name, command.operands)
}

fn flags(text: &mut String, flags: &[Flag]) {
    let shown = |flag: &Flag| {
        let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = flag.value.map_or_else(String::new, |value| format!(" {value}"));
        format!("{short}--{}{value}", flag.long)
    };
    let width = flags.iter().map(|flag| shown(flag).len()).max().unwrap_or(0);
    for flag in flags {
        line(text, &shown(flag), flag.about, width);
    }
}

fn line(text: &mut String, name: &str, about: &str, width: usize) {
    let _ = writeln!(text, "  {name:width$}  {about}");
}
