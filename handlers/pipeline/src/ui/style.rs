//! Colours and symbols, only on a terminal and only without `NO_COLOR`.

use std::io::IsTerminal;

use console::Style;

/// How a line is highlighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Warning,
    Bad,
    Muted,
}

impl Tone {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✗",
            Self::Muted => "-",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Good => Style::new().green(),
            Self::Warning => Style::new().yellow(),
            Self::Bad => Style::new().red(),
            Self::Muted => Style::new().dim(),
        }
    }
}

/// Returns whether standard output takes colours and symbols.
fn is_decorated() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Returns text in the colour of a tone and with its symbol; elsewhere than on a terminal the text alone.
pub(crate) fn toned(text: &str, tone: Tone) -> String {
    if is_decorated() {
        let text = format!("{} {text}", tone.symbol());
        tone.style().force_styling(true).apply_to(text).to_string()
    } else {
        text.to_owned()
    }
}
