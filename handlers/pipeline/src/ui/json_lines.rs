//! Answers of any length: one line of JSON per item, written while the items are read.

use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;

/// A buffered stream to standard output.
pub(crate) struct JsonLines(BufWriter<Stdout>);

impl JsonLines {
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }

    /// Writes an item.
    ///
    /// # Errors
    /// When the reader has closed the pipe.
    pub(crate) fn write(&mut self, item: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, item)?;
        self.0.write_all(b"\n")
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// When the reader has closed the pipe.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
