//! What is printed: results on stdout, as JSON when asked for, and errors on stderr, one line each.

use std::cell::RefCell;
use std::env;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use cow_api::v1::Envelope;
use serde::Serialize;

use crate::failure::Failure;

/// What a text means, which a terminal shows by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Heading,
    Good,
    Bad,
    Changed,
}

/// Where results and errors go.
pub struct Output {
    stdout: RefCell<BufWriter<Stdout>>,
    /// Whether results are wanted as JSON.
    pub json: bool,
    coloured: bool,
    coloured_errors: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let wanted = !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            stdout: RefCell::new(BufWriter::new(io::stdout())),
            json,
            coloured: wanted && io::stdout().is_terminal(),
            coloured_errors: wanted && io::stderr().is_terminal(),
        }
    }

    /// Prints text as it is.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        self.stdout.borrow_mut().write_all(text.as_bytes()).map_err(|error| Failure::of_output(&error))
    }

    /// Prints a line.
    pub fn line(&self, line: &str) -> Result<(), Failure> {
        self.text(line)?;
        self.text("\n")
    }

    /// Prints a result: in its envelope when JSON is wanted, and otherwise as `lines` writes it.
    pub fn result<T: Serialize>(
        &self,
        kind: &str,
        data: &T,
        lines: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.json {
            return lines();
        }
        let envelope = Envelope::new(kind, data);
        let text = serde_json::to_string_pretty(&envelope).expect("plain data becomes JSON");
        self.line(&text)
    }

    /// Makes sure that what was printed has arrived.
    pub fn flush(&self) -> Result<(), Failure> {
        self.stdout.borrow_mut().flush().map_err(|error| Failure::of_output(&error))
    }

    /// `text` in the colour of its meaning, on a terminal.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        paint(self.coloured, tone, text)
    }

    /// Prints a line for the user beside the result, on stderr.
    pub fn note(&self, line: &str) {
        // Where even stderr is gone there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Tells why a command failed. Returns what to exit with.
    pub fn tell(&self, failure: &Failure) -> u8 {
        let flushed = self.flush();
        if let Failure::Problem(problem) = failure {
            if self.json {
                let _ = self.result("problem", problem, || Ok(())).and_then(|()| self.flush());
            }
            let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
            let line = one_line(&format!("{}{hint}", problem.detail));
            self.note(&format!("{} {line}", paint(self.coloured_errors, Tone::Bad, "cowctl:")));
            // What a plugin printed, indented, so that no line of it passes for ours.
            for printed in problem.output.iter().flat_map(|output| output.lines()) {
                self.note(&format!("    {}", one_line(printed)));
            }
        }
        match flushed {
            Err(Failure::BrokenPipe) | Ok(()) => failure.exit_code(),
            Err(other) => other.exit_code(),
        }
    }
}

fn paint(coloured: bool, tone: Tone, text: &str) -> String {
    let code = match tone {
        Tone::Heading => "1",
        Tone::Good => "32",
        Tone::Bad => "1;31",
        Tone::Changed => "33",
    };
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Text that stays on one line and moves no cursor, wherever it came from.
pub fn one_line(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' | '\r' => ' ',
        character if character.is_control() => '\u{fffd}',
        character => character,
    };
    text.trim_end().chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        assert_eq!(one_line("a\nb\tc\x1b[31m\n"), "a b c\u{fffd}[31m");
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Good, "x"), "\x1b[32mx\x1b[0m");
    }
}
