//! Waits for a condition instead of sleeping for a fixed time.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{Error, Result};

/// Time limit of a wait. It is far longer than any wait takes, also on a busy machine, so that only a hang exceeds it.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Polls `check` until it returns a value, for at most `timeout`.
///
/// `what` finishes the sentence "not so after 10s: …". Polls every 10 ms at first, every 100 ms later, so that
/// a quick result is returned at once and a slow one does not take CPU time from the product.
pub fn wait_until<T>(timeout: Duration, what: &str, mut check: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(value) = check() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(Error::Timeout {
                what: what.to_owned(),
                after: timeout,
            });
        }
        thread::sleep(pause);
        pause = (pause * 5 / 4).min(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_the_wait_and_a_timeout_names_the_condition() {
        let mut calls = 0;
        let third = wait_until(Duration::from_secs(10), "three calls", || {
            calls += 1;
            (calls == 3).then_some("third")
        });
        assert_eq!(third.unwrap(), "third");

        let never = wait_until(Duration::from_millis(20), "pigs fly", || None::<()>).unwrap_err();
        assert_eq!(never.to_string(), "not so after 20ms: pigs fly");
    }
}
