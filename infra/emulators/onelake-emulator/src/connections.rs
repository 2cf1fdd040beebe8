//! Connections: at most so many, each with the address of its peer, and able to close without an answer.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as try_ready};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::Service;

use crate::service::{Cut, Shared, serve};

/// Makes the service of a connection once there is room for one; until then clients wait in the kernel's queue.
#[derive(Clone)]
pub(crate) struct Connections {
    shared: Arc<Shared>,
    admin: Router,
    slots: PollSemaphore,
    /// The slot of the connection that is accepted next.
    next: Option<Arc<OwnedSemaphorePermit>>,
}

impl Connections {
    /// At most `limit` connections.
    pub(crate) fn new(shared: Arc<Shared>, admin: Router, limit: usize) -> Self {
        Self {
            shared,
            admin,
            slots: PollSemaphore::new(Arc::new(Semaphore::new(limit))),
            next: None,
        }
    }
}

impl Service<SocketAddr> for Connections {
    type Response = Connection;
    type Error = Infallible;
    type Future = Ready<Result<Connection, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.next.is_none() {
            // `None` would mean a closed semaphore; nobody closes it.
            self.next = try_ready!(self.slots.poll_acquire(cx)).map(Arc::new);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        ready(Ok(Connection {
            shared: Arc::clone(&self.shared),
            admin: self.admin.clone(),
            peer,
            _slot: self.next.take(),
        }))
    }
}

/// The service of one connection; its slot is free again when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    admin: Router,
    peer: SocketAddr,
    _slot: Option<Arc<OwnedSemaphorePermit>>,
}

impl<B> Service<Request<B>> for Connection
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Cut;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Cut>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cut>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self {
            shared, admin, peer, ..
        } = self.clone();
        // An error makes the HTTP layer close the connection.
        Box::pin(async move { serve(&shared, &admin, peer, request.map(Body::new)).await })
    }
}
