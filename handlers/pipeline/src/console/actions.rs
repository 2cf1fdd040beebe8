//! Work that somebody has started: its page shows the progress, and it goes on when nobody looks.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use indicatif::HumanCount;
use jiff::Timestamp;
use maud::{Markup, html};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::layout::{PageError, duration, problem, text, time};
use super::user::User;

/// Actions that are kept, finished ones included.
const MAX_KEPT: usize = 50;
/// Actions that run or wait at once.
const MAX_RUNNING: usize = 8;

/// What an action changes. A second action on the same resource waits for the first, and then sees what it did.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource {
    DeadLetters,
    Tables,
    Reconciliation,
    /// The file and the records that a check writes.
    Check,
}

/// What is to be started.
pub(super) struct Start {
    /// Says what it does, such as `replay 3 dead letters`: shown, and written to the audit log.
    pub(super) name: String,
    pub(super) resource: Resource,
    /// The page that it was started from.
    pub(super) back: &'static str,
}

/// What came of an action.
pub(super) struct Ended {
    /// Whether everything was done.
    pub(super) is_well: bool,
    /// One line for the audit log.
    pub(super) summary: String,
    /// What the page shows below the summary.
    pub(super) content: Markup,
}

/// The actions of this process. They are not stored: each one can be repeated.
#[derive(Default)]
pub(super) struct Actions {
    kept: Mutex<BTreeMap<u64, Arc<Action>>>,
    /// The end of the last action on each resource: the next one waits for it.
    last: Mutex<[Option<oneshot::Receiver<()>>; 4]>,
}

/// One action.
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) user: String,
    back: &'static str,
    pub(super) started_at: Timestamp,
    progress: Mutex<Progress>,
}

enum Progress {
    /// Another action on the same resource runs.
    Waiting,
    /// Done, and of how many, if the work counts.
    Running(Option<(usize, usize)>),
    Ended(Ended, Timestamp),
    /// It could not be finished.
    Failed(String, Timestamp),
}

/// Through this, an action reports how far it is.
#[derive(Clone)]
pub(super) struct Reporter(Arc<Action>);

impl Reporter {
    pub(super) fn done(&self, done: usize, of: usize) {
        *self.0.progress.lock() = Progress::Running(Some((done, of)));
    }
}

impl Actions {
    /// Starts an action, and returns the response that leads to its page.
    pub(super) fn start<F, E>(
        &self,
        user: &User,
        start: Start,
        work: impl FnOnce(Reporter) -> F,
    ) -> Result<Response, PageError>
    where
        F: Future<Output = Result<Ended, E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let resource = start.resource;
        let action = self.keep(user, start)?;
        tracing::info!(target: "audit", user = action.user, action = action.name, "started");
        let location = format!("/actions/{}", action.id);
        let (ended, end) = oneshot::channel();
        let before = self.last.lock()[resource as usize].replace(end);
        let work = work(Reporter(action.clone()));
        tokio::spawn(async move {
            let _ended = ended;
            if let Some(before) = before {
                // It only ever ends by being dropped.
                let _ = before.await;
            }
            *action.progress.lock() = Progress::Running(None);
            // A task of its own: a panic ends the action, and not the wait for it.
            let ended = tokio::spawn(work).await;
            let ended = ended.map_err(|_| "it has panicked; the log says where".to_owned());
            action.end(ended.and_then(|ended| ended.map_err(|error| error.to_string())));
        });
        Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
    }

    fn keep(&self, user: &User, start: Start) -> Result<Arc<Action>, PageError> {
        let mut kept = self.kept.lock();
        if kept.values().filter(|action| !action.is_ended()).count() >= MAX_RUNNING {
            let reason = format!("{MAX_RUNNING} actions run or wait already: wait until one of them has ended");
            return Err(PageError::new(StatusCode::TOO_MANY_REQUESTS, reason));
        }
        // Not a number that another process has given: a page of its action may still be open.
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let id = kept.last_key_value().map_or(now, |(last, _)| last + 1);
        let action = Arc::new(Action {
            id,
            name: start.name,
            user: user.name.clone(),
            back: start.back,
            started_at: Timestamp::now(),
            progress: Mutex::new(Progress::Waiting),
        });
        kept.insert(id, action.clone());
        while kept.len() > MAX_KEPT
            && let Some(oldest) = kept.values().find(|action| action.is_ended()).map(|action| action.id)
        {
            kept.remove(&oldest);
        }
        Ok(action)
    }
}

impl Action {
    fn is_ended(&self) -> bool {
        matches!(&*self.progress.lock(), Progress::Ended(..) | Progress::Failed(..))
    }

    fn end(&self, ended: Result<Ended, String>) {
        let now = Timestamp::now();
        let (user, action) = (&self.user, &self.name);
        *self.progress.lock() = match ended {
            Ok(ended) => {
                tracing::info!(target: "audit", user, action, is_well = ended.is_well, "{}", text(&ended.summary));
                Progress::Ended(ended, now)
            }
            Err(error) => {
                tracing::error!(target: "audit", user, action, "failed: {}", text(&error));
                Progress::Failed(error, now)
            }
        };
    }

    fn show(&self) -> Markup {
        let since = duration(Timestamp::now().duration_since(self.started_at).as_secs());
        html! {
            p { "Started by " (text(&self.user)) " at " (time(self.started_at)) "." }
            @match &*self.progress.lock() {
                Progress::Waiting => p { "Waits until an earlier action has ended, for " (since) " so far." },
                Progress::Running(None) => p { "Runs for " (since) "." },
                Progress::Running(Some((done, of))) => {
                    p { (HumanCount(*done as u64)) " of " (HumanCount(*of as u64)) ", for " (since) "." }
                    progress max=(of) value=(done) aria-label="Done" {}
                }
                Progress::Ended(ended, at) => {
                    @if ended.is_well { p.done role="status" { (text(&ended.summary)) } } @else { (problem(&ended.summary)) }
                    p { "Ended at " (time(*at)) "." }
                    (ended.content)
                    p { a href=(self.back) { "Back" } }
                }
                Progress::Failed(error, at) => {
                    (problem(error))
                    p { "Ended at " (time(*at)) ". What was done before stays done, and repeating it is safe." }
                    p { a href=(self.back) { "Back" } }
                }
            }
        }
    }

    /// Returns what its page shows, which asks for it again until the action has ended.
    pub(super) fn part(&self) -> Markup {
        let is_running = !self.is_ended();
        let path = format!("/actions/{}/progress", self.id);
        html! {
            div hx-get=[is_running.then_some(&path)] hx-trigger=[is_running.then_some("every 1s")] hx-swap=[is_running.then_some("outerHTML")] {
                (self.show())
                @if is_running { noscript { p { a href=(path) { "Show the progress" } } } }
            }
        }
    }
}

impl Action {
    pub(super) fn state(&self) -> Markup {
        let (state, words) = match &*self.progress.lock() {
            Progress::Waiting => ("idle", "waits"),
            Progress::Running(_) => ("working", "runs"),
            Progress::Ended(Ended { is_well: true, .. }, _) => ("ok", "done"),
            Progress::Ended(..) => ("standing", "not everything was done"),
            Progress::Failed(..) => ("failed", "failed"),
        };
        html! { span.state data-state=(state) { (words) } }
    }
}

impl Actions {
    /// Returns all that are kept, the newest first.
    pub(super) fn newest(&self) -> Vec<Arc<Action>> {
        self.kept.lock().values().rev().cloned().collect()
    }

    /// Logs the actions that end with the process.
    pub(super) fn interrupt(&self) {
        for action in self.newest().iter().filter(|action| !action.is_ended()) {
            let (user, action) = (&action.user, &action.name);
            tracing::warn!(target: "audit", user, action, "interrupted by the end of the console: start it again");
        }
    }

    pub(super) fn find(&self, id: &str) -> Result<Arc<Action>, PageError> {
        let found = id.parse().ok().and_then(|id: u64| self.kept.lock().get(&id).cloned());
        found.ok_or_else(|| {
            let reason = "this action is not known: it was started before the console was, or many others followed. Its end \
                          is in the log";
            PageError::new(StatusCode::NOT_FOUND, reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::user::SignOut;
    use super::*;
    use xact_config::Role;

    fn user() -> User {
        User {
            name: "<anna>".to_owned(),
            role: Role::Operate,
            form_token: String::new(),
            sign_out: SignOut::None,
        }
    }

    fn start() -> Start {
        Start {
            name: "replay".to_owned(),
            resource: Resource::DeadLetters,
            back: "/dead-letters",
        }
    }

    fn well(summary: &str) -> Result<Ended, String> {
        Ok(Ended {
            is_well: true,
            summary: summary.to_owned(),
            content: html! {},
        })
    }

    /// Returns the id of the action that a response leads to.
    fn id(started: Result<Response, PageError>) -> String {
        let response = started.ok().unwrap();
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        location.strip_prefix("/actions/").unwrap().to_owned()
    }

    async fn shown(actions: &Actions, id: &str, wanted: &str) -> String {
        loop {
            let shown = actions.find(id).ok().unwrap().part().into_string();
            if shown.contains(wanted) {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_second_action_on_the_same_resource_waits_and_each_page_asks_until_the_end() {
        let actions = Arc::new(Actions::default());
        let (go, gone) = oneshot::channel::<()>();
        let first = |reporter: Reporter| async move {
            reporter.done(1, 3);
            let _ = gone.await;
            well("3 replayed")
        };
        let first = id(actions.start(&user(), start(), first));
        let running = shown(&actions, &first, "1 of 3").await;
        assert!(
            running.contains("every 1s") && running.contains("&lt;anna&gt;"),
            "{running}"
        );
        let second = id(actions.start(&user(), start(), |_| async { Err::<Ended, _>("<no broker>") }));
        assert!(shown(&actions, &second, "Waits").await.contains("every 1s"));
        go.send(()).unwrap();
        assert!(!shown(&actions, &first, "3 replayed").await.contains("hx-get"));
        let failed = shown(&actions, &second, "role=\"alert\"").await;
        assert!(
            failed.contains("&lt;no broker&gt;") && !failed.contains("hx-get"),
            "{failed}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_end_and_few_run_at_once() {
        let actions = Arc::new(Actions::default());
        let panics = |_: Reporter| async { if true { panic!("planted") } else { well("") } };
        let panicked = id(actions.start(&user(), start(), panics));
        shown(&actions, &panicked, "panicked").await;
        for _ in 0..MAX_RUNNING {
            actions
                .start(&user(), start(), |_| std::future::pending::<Result<Ended, String>>())
                .ok()
                .unwrap();
        }
        assert!(actions.start(&user(), start(), |_| async { well("") }).is_err());
        for id in ["0", "99", "x", "-1"] {
            assert!(actions.find(id).is_err(), "{id}");
        }
    }
}
