//! An answer that is read in the background: when somebody looks, and the last one is older than it may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// The last answer, and whether the next one is being read.
pub(super) struct Cached<T> {
    max_age: SignedDuration,
    latest: watch::Sender<Option<Arc<Answer<T>>>>,
    is_reading: AtomicBool,
}

/// An answer and its time.
pub(super) struct Answer<T> {
    pub(super) at: Timestamp,
    pub(super) result: Result<T, String>,
}

impl<T: Send + Sync + 'static> Cached<T> {
    pub(super) fn new(max_age: SignedDuration) -> Arc<Self> {
        Arc::new(Self {
            max_age,
            latest: watch::Sender::new(None),
            is_reading: AtomicBool::new(false),
        })
    }

    /// Starts to read an answer, unless the last one is young enough or one is being read.
    pub(super) fn refresh<F>(self: &Arc<Self>, read: impl FnOnce() -> F)
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let is_young = |answer: &Arc<Answer<T>>| Timestamp::now().duration_since(answer.at) < self.max_age;
        if self.latest.borrow().as_ref().is_some_and(is_young) || self.is_reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let (cached, reading) = (self.clone(), tokio::spawn(read()));
        tokio::spawn(async move {
            // A panic is an answer too.
            let result = reading.await;
            let result = result.unwrap_or_else(|_| Err("reading it has panicked; the log says where".to_owned()));
            let at = Timestamp::now();
            cached.latest.send_replace(Some(Arc::new(Answer { at, result })));
            cached.is_reading.store(false, Ordering::Release);
        });
    }

    /// Returns the last answer; waits for the first one for at most this time.
    pub(super) async fn latest(&self, wait: Duration) -> Option<Arc<Answer<T>>> {
        let mut latest = self.latest.subscribe();
        let first = tokio::time::timeout(wait, latest.wait_for(Option::is_some)).await;
        first.ok()?.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn an_answer_is_read_once_until_it_is_old() {
        let cached = Cached::new(SignedDuration::from_hours(1));
        assert!(cached.latest(Duration::ZERO).await.is_none());
        for number in 1..=3 {
            cached.refresh(move || async move { Ok(number) });
            let answer = cached.latest(LONG).await.unwrap();
            assert_eq!(answer.result, Ok(1));
        }
        let old = Cached::new(SignedDuration::ZERO);
        for number in 1..=3 {
            old.refresh(move || async move { Ok(number) });
            let mut latest = old.latest.subscribe();
            let is_it = |answer: &Option<Arc<Answer<i32>>>| answer.as_ref().is_some_and(|it| it.result == Ok(number));
            tokio::time::timeout(LONG, latest.wait_for(is_it))
                .await
                .unwrap()
                .unwrap();
            while old.is_reading.load(Ordering::Acquire) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_reading_begins() {
        let cached = Cached::<()>::new(SignedDuration::ZERO);
        cached.refresh(|| async { if true { panic!("planted") } else { Ok(()) } });
        let answer = cached.latest(LONG).await.unwrap();
        assert!(answer.result.as_ref().unwrap_err().contains("panicked"));
        while cached.is_reading.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        cached.refresh(|| async { Ok(()) });
        assert!(cached.is_reading.load(Ordering::Acquire));
    }
}
