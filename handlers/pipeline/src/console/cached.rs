//! Answers that several pages of one moment share: read when somebody looks, and again only when they are older than a minute.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// A younger answer is shown again.
pub(super) const MAX_AGE: SignedDuration = SignedDuration::from_secs(60);

/// Answers that are kept. Which questions are asked is decided by addresses, so their number has a limit.
const MAX_KEPT: usize = 32;

/// An answer, and when its reading began.
#[derive(Debug)]
pub(super) struct Reading<V> {
    pub(super) at: Timestamp,
    pub(super) value: Arc<V>,
}

impl<V> Clone for Reading<V> {
    fn clone(&self) -> Self {
        Self {
            at: self.at,
            value: self.value.clone(),
        }
    }
}

type Slot<V> = Arc<tokio::sync::Mutex<Option<Reading<V>>>>;

/// Answers by question.
pub(super) struct Cached<K, V>(Mutex<BTreeMap<K, Slot<V>>>);

impl<K, V> Default for Cached<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, V> Cached<K, V> {
    /// Returns the answer, which `read` gives if there is none that is young enough. Concurrent requests wait for the
    /// same reading. An error is not kept.
    pub(super) async fn get<E>(
        &self,
        key: K,
        now: Timestamp,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<Reading<V>, E> {
        let slot = self.slot(key);
        let mut kept = slot.lock().await;
        if let Some(reading) = kept.as_ref().filter(|kept| now.duration_since(kept.at) < MAX_AGE) {
            return Ok(reading.clone());
        }
        let value = Arc::new(read.await?);
        let reading = Reading { at: now, value };
        *kept = Some(reading.clone());
        Ok(reading)
    }

    fn slot(&self, key: K) -> Slot<V> {
        let mut kept = self.0.lock();
        if kept.len() >= MAX_KEPT && !kept.contains_key(&key) {
            kept.pop_first();
        }
        kept.entry(key).or_default().clone()
    }

    /// Forgets all answers: something has changed.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_a_minute_or_until_something_changes() {
        let cached: Cached<u8, u32> = Cached::default();
        let get = |key: u8, second: i64, value: Result<u32, &'static str>| {
            let cached = &cached;
            async move {
                let reading = cached.get(key, at(second), ready(value)).await?;
                Ok::<_, &str>((*reading.value, reading.at.as_second()))
            }
        };
        assert_eq!(get(1, 0, Err("away")).await, Err("away"), "an error is not kept");
        assert_eq!(get(1, 1, Ok(10)).await, Ok((10, 1)));
        assert_eq!(get(1, 60, Ok(11)).await, Ok((10, 1)));
        assert_eq!(get(2, 60, Ok(12)).await, Ok((12, 60)), "another question");
        assert_eq!(get(1, 61, Ok(13)).await, Ok((13, 61)));
        cached.forget();
        assert_eq!(get(1, 62, Ok(14)).await, Ok((14, 62)));
        for key in 0..=u8::MAX {
            assert_eq!(get(key, 200, Ok(15)).await, Ok((15, 200)));
        }
        assert_eq!(cached.0.lock().len(), MAX_KEPT);
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_reading() {
        let cached: Cached<(), u32> = Cached::default();
        let reads = std::cell::Cell::new(0);
        let ask = || {
            cached.get((), at(5), async {
                tokio::task::yield_now().await;
                reads.set(reads.get() + 1);
                Ok::<_, ()>(reads.get())
            })
        };
        let (first, second) = tokio::join!(ask(), ask());
        assert_eq!((*first.unwrap().value, *second.unwrap().value), (1, 1));
    }
}
