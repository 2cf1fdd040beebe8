//! The streams of events that are open. A browser opens six connections to a server, and a stream keeps one of them: of many pages
//! of one person, the oldest ask at intervals instead.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Streams that one person has at once.
const MAX_OF_USER: usize = 4;

/// The streams by user.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<String, VecDeque<CancellationToken>>>);

/// An open stream, until it is dropped.
pub(super) struct OpenStream {
    /// Cancelled when the same person has opened too many others since.
    pub(super) replaced: CancellationToken,
    _guard: DropGuard,
}

impl Streams {
    /// Counts a stream in, and replaces the oldest one if there are too many.
    pub(super) fn open(&self, user: &str) -> OpenStream {
        let replaced = CancellationToken::new();
        let mut streams = self.0.lock();
        for of_user in streams.values_mut() {
            of_user.retain(|stream| !stream.is_cancelled());
        }
        streams.retain(|_, of_user| !of_user.is_empty());
        let of_user = streams.entry(user.to_owned()).or_default();
        of_user.push_back(replaced.clone());
        if of_user.len() > MAX_OF_USER
            && let Some(oldest) = of_user.pop_front()
        {
            oldest.cancel();
        }
        OpenStream {
            _guard: replaced.clone().drop_guard(),
            replaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_streams_is_replaced_and_closed_ones_do_not_count() {
        let streams = Streams::default();
        let other = streams.open("ben");
        let mut open: Vec<OpenStream> = (0..MAX_OF_USER).map(|_| streams.open("anna")).collect();
        open.pop();
        open.push(streams.open("anna"));
        assert!(open.iter().all(|stream| !stream.replaced.is_cancelled()));
        open.push(streams.open("anna"));
        let replaced: Vec<bool> = open.iter().map(|stream| stream.replaced.is_cancelled()).collect();
        assert_eq!(replaced, [true, false, false, false, false]);
        assert!(!other.replaced.is_cancelled());
    }
}
