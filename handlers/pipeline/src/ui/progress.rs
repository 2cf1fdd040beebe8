//! Progress of what takes long: on standard error, and only on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};

/// Time between two steps of the spinner.
const TICK_INTERVAL: Duration = Duration::from_millis(120);

/// A line that says what is being waited for; dropping it removes it.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shows it. Elsewhere than on a terminal nothing is shown.
    pub(crate) fn start(message: impl Into<String>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_message(message.into());
        bar.enable_steady_tick(TICK_INTERVAL);
        Self(bar)
    }

    /// Prints other lines, with the progress hidden in the meantime.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Replaces the message.
    pub(crate) fn set_message(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
