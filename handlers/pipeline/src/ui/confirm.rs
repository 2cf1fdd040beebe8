//! Asks before something is done that cannot be undone.

use std::io::{BufRead, IsTerminal, Write};

/// Returns whether to go on: with `--yes`, or when the operator at the terminal agrees.
///
/// # Errors
/// When standard input is not a terminal, or cannot be read.
pub(crate) fn confirmed(question: &str, yes: bool) -> Result<bool, String> {
    if yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(format!(
            "{question} Not confirmed: standard input is not a terminal. Run it with --dry-run first, then pass --yes"
        ));
    }
    // Standard output is for the answer.
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .map_err(|error| format!("no answer could be read: {error}"))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
