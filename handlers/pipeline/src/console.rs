//! The console: web pages about the pipeline, from the same operations as the commands.
//!
//! It reads topics and tables while a page is shown, and keeps nothing but the positions of the last hour. Pages are made here,
//! without a build step; the only script is htmx, which replaces a part of a page by what the server sends.

mod chart;
mod context;
mod dead_letters;
mod find;
mod guard;
mod layout;
mod overview;
mod positions;
mod setup;
mod tables;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use context::Context;
use layout::PageError;
use positions::Positions;
use xact_config::{Environment, Settings};

/// The port that the command and `--dev` use unless it is taken.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:8088";

/// Reasons why the console cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    /// Other machines would reach it.
    #[error(
        "{0} is reached from other machines, and the console has no sign-in: use 127.0.0.1 or [::1], and reach it through a tunnel (ssh -L 8088:127.0.0.1:8088 HOST)"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be opened.
    #[error("{0} cannot be opened: {1}; choose another one with --listen")]
    Port(SocketAddr, std::io::Error),
}

/// The console on an open port.
pub(crate) struct Console {
    listener: TcpListener,
    context: Context,
}

impl Console {
    /// Opens the address. Nothing is read until a page is requested.
    pub(crate) async fn open(
        settings: &Settings,
        environment: &Environment,
        address: SocketAddr,
    ) -> Result<Self, ConsoleError> {
        if !address.ip().is_loopback() {
            return Err(ConsoleError::NotLoopback(address));
        }
        let opened = TcpListener::bind(address).await;
        let listener = opened.map_err(|error| ConsoleError::Port(address, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| ConsoleError::Port(address, error))?;
        let settings = Arc::new(settings.clone());
        let context = Context {
            variables: Arc::new(environment.describe()),
            positions: Arc::new(Positions::new(settings.clone())),
            settings,
            address,
        };
        Ok(Self { listener, context })
    }

    /// Returns the address of the first page.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.context.address)
    }

    /// Serves until `stop`.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        xact_runtime::serve(self.listener, router(self.context), stop).await;
    }
}

fn router(context: Context) -> Router {
    Router::new()
        .route("/", get(overview::page))
        .route("/overview", get(overview::part))
        .route("/find", get(find::page))
        .route("/dead-letters", get(dead_letters::page))
        .route("/dead-letters/{id}", get(dead_letters::entry))
        .route("/tables", get(tables::page))
        .route("/setup", get(setup::page))
        .route("/setup/check", get(setup::check))
        .route(
            "/assets/console.css",
            get(|| asset("text/css", include_bytes!("console/assets/console.css"))),
        )
        .route(
            "/assets/htmx.js",
            get(|| asset("text/javascript", include_bytes!("console/assets/htmx.min.js"))),
        )
        .fallback(async |State(_): State<Context>| {
            PageError::new(StatusCode::NOT_FOUND, "this page does not exist: start at the overview")
        })
        .layer(middleware::from_fn_with_state(context.address, guard::guard))
        .with_state(context)
}

async fn asset(kind: &'static str, content: &'static [u8]) -> Response {
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=3600")],
        content,
    )
        .into_response()
}
