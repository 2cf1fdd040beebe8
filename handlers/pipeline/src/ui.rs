//! The terminal: every command prints through this module.
//!
//! Answers go to standard output; questions, progress and errors to standard error, so that a script reads the answer alone.
#![allow(clippy::print_stdout, clippy::print_stderr)]

pub(crate) mod confirm;
pub(crate) mod progress;
pub(crate) mod step;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod upkeep;

pub(crate) use table::Table;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// Prints one line.
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

/// Prints a remark on the answer.
pub(crate) fn note(text: impl Display) {
    println!("note: {text}");
}

/// Prints text that has its own line breaks.
pub(crate) fn verbatim(text: impl Display) {
    print!("{text}");
}

/// Prints bytes unchanged.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints one line to standard error.
pub(crate) fn error_line(text: impl Display) {
    eprintln!("{text}");
}

/// Prints an answer as JSON: indented on a terminal, else as one line, since the log of a container keeps lines.
pub(crate) fn json(answer: &impl Serialize) -> Result<(), serde_json::Error> {
    if io::stdout().is_terminal() {
        println!("{}", serde_json::to_string_pretty(answer)?);
        return Ok(());
    }
    json_line(answer)
}

/// Prints an answer as one line of JSON.
pub(crate) fn json_line(answer: &impl Serialize) -> Result<(), serde_json::Error> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}

/// Returns a value as text, or `-`.
pub(crate) fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Returns a number with its noun, such as `1 event` or `2 events`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
