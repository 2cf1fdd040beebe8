//! The console: web pages about the pipeline, from the same operations as the commands.
//!
//! It reads topics and tables while a page is shown, and keeps nothing but the positions of the last hour, what the pages about
//! tables have read in the last minute, and the actions that were started. Pages are made here, without a build step; the only scripts are htmx, which replaces a part of a page by what
//! the server sends, and its extension for server-sent events.
//!
//! A request passes `guard` (host, other sites), `required_user` (who), and, if it changes something, `change` (role, form token).

mod access;
mod action_pages;
mod actions;
mod cached;
mod change;
mod chart;
mod context;
mod days;
mod dead_letter_cache;
mod dead_letters;
mod entra;
mod find;
mod guard;
mod layout;
mod mac;
mod origins;
mod overview;
mod pairs;
mod readings;
mod required_user;
mod session;
mod settle;
mod setup;
mod sign_in;
mod tables;
mod user;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use crate::local_user::local_user;
use access::Access;
use context::{Context, MAX_SEARCHES};
use dead_letter_cache::DeadLetterCache;
use layout::PageError;
use origins::Origins;
use overview::watch::Watch;
use xact_config::{ConsoleSettings, Environment, Settings, SignIn};

/// The port that the command and `--dev` use unless it is taken.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:8088";

/// Longest wait for responses in progress when the console stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of a form.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// Reasons why the console cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    /// Other machines would reach it.
    #[error(
        "the console would be reached from other machines (--listen, CONSOLE_URL), and nobody would have to sign in: set CONSOLE_SIGN_IN, or use 127.0.0.1 or [::1] and a tunnel (ssh -L 8088:127.0.0.1:8088 HOST)"
    )]
    NoSignIn,
    /// The addresses of its pages are not known.
    #[error("{0} is not the address that browsers use: set CONSOLE_URL to it, as https://console.example")]
    NoUrl(SocketAddr),
    /// The address cannot be opened.
    #[error("{0} cannot be opened: {1}; choose another one with --listen")]
    Port(SocketAddr, std::io::Error),
}

/// The console on an open port.
pub(crate) struct Console {
    listener: TcpListener,
    context: Context,
    origins: Origins,
}

impl Console {
    /// Opens the address. Nothing is read until a page is requested.
    pub(crate) async fn open(
        settings: &Settings,
        environment: &Environment,
        address: SocketAddr,
    ) -> Result<Self, ConsoleError> {
        let ConsoleSettings { sign_in, url, .. } = &settings.console;
        let is_public = !address.ip().is_loopback() || url.as_ref().is_some_and(|url| !is_loopback(url));
        if is_public && *sign_in == SignIn::None {
            return Err(ConsoleError::NoSignIn);
        }
        if !address.ip().is_loopback() && url.is_none() {
            return Err(ConsoleError::NoUrl(address));
        }
        let opened = TcpListener::bind(address).await;
        let listener = opened.map_err(|error| ConsoleError::Port(address, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| ConsoleError::Port(address, error))?;
        let settings = Arc::new(settings.clone());
        let dead_letters = Arc::new(DeadLetterCache::new(settings.clone()));
        let context = Context {
            variables: Arc::new(environment.effective()),
            watch: Arc::new(Watch::new(&settings, dead_letters.clone())),
            dead_letters,
            readings: Arc::default(),
            access: Arc::new(Access::new(settings.console.clone(), local_user(environment))),
            actions: Arc::default(),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
            stop: CancellationToken::new(),
            settings,
        };
        Ok(Self {
            listener,
            origins: Origins::new(context.settings.console.url.as_ref(), address),
            context,
        })
    }

    /// Returns the address of the first page.
    pub(crate) fn url(&self) -> String {
        format!("{}/", self.origins.main())
    }

    /// Serves until `stop`. Streams of events end with it; clients that do not read theirs are not waited for.
    pub(crate) async fn serve(mut self, stop: CancellationToken) {
        self.context.stop = stop.clone();
        let actions = self.context.actions.clone();
        let serve = xact_runtime::serve(self.listener, router(self.context, self.origins), stop.clone());
        tokio::select! {
            () = serve => {}
            () = async { stop.cancelled().await; tokio::time::sleep(STOP_TIMEOUT).await } => {}
        }
        actions.interrupt();
    }
}

/// Returns whether an address leads to the machine itself.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn router(context: Context, origins: Origins) -> Router {
    let for_users = Router::new()
        .route("/", get(overview::page))
        .route("/overview", get(overview::part))
        .route("/overview/events", get(overview::events))
        .route("/find", get(find::page))
        .route("/dead-letters", get(dead_letters::page))
        .route("/dead-letters/{id}", get(dead_letters::entry))
        .route("/dead-letters/replay", get(settle::preview_replay).post(settle::replay))
        .route(
            "/dead-letters/resolve",
            get(settle::preview_resolve).post(settle::resolve),
        )
        .route("/days", get(days::page))
        .route("/days/today", get(days::today))
        .route("/days/{date}", get(days::date::page))
        .route("/days/{date}/reconcile", post(days::date::reconcile_now))
        .route("/tables", get(tables::page))
        .route("/tables/plan", get(tables::upkeep::plan))
        .route("/tables/maintain", post(tables::upkeep::maintain))
        .route("/actions", get(action_pages::page))
        .route("/actions/{id}", get(action_pages::action))
        .route("/actions/{id}/progress", get(action_pages::progress))
        .route("/setup", get(setup::page))
        .route("/setup/check", post(setup::check))
        .fallback(async |State(_): State<Context>| {
            PageError::new(StatusCode::NOT_FOUND, "this page does not exist: start at the overview")
        })
        .method_not_allowed_fallback(async |State(_): State<Context>| {
            let reason = "this address is that of a form: open its page, which the navigation leads to";
            PageError::new(StatusCode::METHOD_NOT_ALLOWED, reason)
        })
        .layer(middleware::from_fn_with_state(
            context.clone(),
            required_user::require_user,
        ));
    let for_all = Router::new()
        .route("/sign-in", post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route(guard::LIVENESS, get(async || "live"))
        .route(
            "/assets/console.css",
            get(|| asset("text/css", include_bytes!("console/assets/console.css"))),
        )
        .route(
            "/assets/icon.svg",
            get(|| asset("image/svg+xml", include_bytes!("console/assets/icon.svg"))),
        )
        .route(
            "/assets/htmx.js",
            get(|| asset("text/javascript", include_bytes!("console/assets/htmx.min.js"))),
        )
        .route(
            "/assets/htmx-sse.js",
            get(|| asset("text/javascript", include_bytes!("console/assets/htmx-sse.min.js"))),
        );
    for_all
        .merge(for_users)
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(middleware::from_fn_with_state(origins, guard::guard))
        .with_state(context)
}

async fn asset(kind: &'static str, content: &'static [u8]) -> Response {
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=3600")],
        content,
    )
        .into_response()
}
