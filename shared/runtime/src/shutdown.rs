//! Signals: the first one drains, the second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: 128 + SIGINT, the convention of shells.
const EXIT_INTERRUPTED: i32 = 130;

/// Cancels `drain` on the first SIGTERM or Ctrl-C and ends the process on the second.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub fn on_signals(drain: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if drain.is_cancelled() {
                tracing::warn!("second signal: stopping at once; unfinished records will be read again");
                std::process::exit(EXIT_INTERRUPTED);
            }
            tracing::info!("stopping: draining and committing; a second signal stops at once");
            drain.cancel();
        }
    });
    Ok(())
}
