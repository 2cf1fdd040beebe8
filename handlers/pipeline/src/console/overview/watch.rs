//! What the overview shows, read while somebody looks. All pages share it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::cached::{Answer, Cached};
use super::handlers::{Handlers, Readiness};
use super::positions::{Flow, Positions};
use super::streams::{OpenStream, Streams};
use crate::console::dead_letter_cache::DeadLetterCache;
use xact_config::Settings;
use xact_operations::dead_letters::DeadLetterIndex;
use xact_operations::today::{Today, TodayAnswer};

/// Time between two updates of a page that is shown.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
/// The tables are read again after this time.
pub(super) const TABLES_MAX_AGE: SignedDuration = SignedDuration::from_secs(60);
/// The dead letters that came since are read after this time.
pub(super) const DEAD_LETTERS_MAX_AGE: SignedDuration = SignedDuration::from_secs(15);

/// What is read, and when.
pub(crate) struct Watch {
    settings: Arc<Settings>,
    positions: Positions,
    handlers: Handlers,
    dead_letters: Arc<DeadLetterCache>,
    waiting: Arc<Cached<u64>>,
    tables: Arc<Mutex<Option<Today>>>,
    today: Arc<Cached<TodayAnswer>>,
    streams: Streams,
}

/// An answer that may not be there yet.
pub(super) type Latest<T> = Option<Arc<Answer<T>>>;

/// Everything that is known at one time.
pub(super) struct Look {
    pub(super) at: Timestamp,
    pub(super) flow: Result<Flow, String>,
    pub(super) handlers: Latest<Vec<Readiness>>,
    pub(super) waiting: Latest<u64>,
    pub(super) today: Latest<TodayAnswer>,
}

impl Watch {
    pub(crate) fn new(settings: &Arc<Settings>, dead_letters: Arc<DeadLetterCache>) -> Self {
        Self {
            positions: Positions::new(settings.clone()),
            handlers: Handlers::new(settings),
            dead_letters,
            waiting: Cached::new(DEAD_LETTERS_MAX_AGE),
            tables: Arc::default(),
            today: Cached::new(TABLES_MAX_AGE),
            streams: Streams::default(),
            settings: settings.clone(),
        }
    }

    /// Counts in a page that gets events.
    pub(super) fn open_stream(&self, user: &str) -> OpenStream {
        self.streams.open(user)
    }

    /// Returns what is known now. Only the broker is waited for; of the others the first answers, for at most `wait`.
    pub(super) async fn look(&self, wait: Duration) -> Look {
        self.handlers.refresh();
        self.waiting.refresh(|| waiting_dead_letters(self.dead_letters.clone()));
        self.today
            .refresh(|| read_today(self.settings.clone(), self.tables.clone()));
        let (flow, handlers, waiting, today) = tokio::join!(
            self.positions.flow(),
            self.handlers.latest(wait),
            self.waiting.latest(wait),
            self.today.latest(wait)
        );
        Look {
            at: Timestamp::now(),
            flow,
            handlers,
            waiting,
            today,
        }
    }
}

/// Returns the number of dead letters that wait. Only those that are new are read.
async fn waiting_dead_letters(dead_letters: Arc<DeadLetterCache>) -> Result<u64, String> {
    let waiting = dead_letters.read(DeadLetterIndex::waiting).await;
    waiting.map_err(|error| error.to_string())
}

/// Reads the tables, which stay open until a reading fails.
async fn read_today(settings: Arc<Settings>, tables: Arc<Mutex<Option<Today>>>) -> Result<TodayAnswer, String> {
    let mut tables = tables.lock().await;
    let mut today = match tables.take() {
        Some(today) => today,
        None => Today::new(&settings).map_err(|error| error.to_string())?,
    };
    let answer = today.read(Timestamp::now()).await;
    if answer.is_ok() {
        *tables = Some(today);
    }
    answer.map_err(|error| error.to_string())
}
