//! The limit on open connections: at the limit the server stops accepting, and clients wait in the kernel's queue.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready as try_ready};

use axum::BoxError;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::Service;

/// Makes the service of a connection once a slot is free.
#[derive(Clone)]
pub(crate) struct Limited<F> {
    service_of: F,
    slots: PollSemaphore,
    /// The slot of the connection that is accepted next.
    next: Option<Arc<OwnedSemaphorePermit>>,
}

impl<F> Limited<F> {
    /// Accepts at most `limit` connections; `service_of` makes the service for the address of a peer.
    pub(crate) fn new(service_of: F, limit: usize) -> Self {
        Self {
            service_of,
            slots: PollSemaphore::new(Arc::new(Semaphore::new(limit))),
            next: None,
        }
    }
}

impl<F: Fn(SocketAddr) -> S, S> Service<SocketAddr> for Limited<F> {
    type Response = Connection<S>;
    type Error = Infallible;
    type Future = Ready<Result<Connection<S>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.next.is_none() {
            // `None` would mean a closed semaphore; this one is never closed.
            self.next = try_ready!(self.slots.poll_acquire(cx)).map(Arc::new);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        ready(Ok(Connection {
            inner: (self.service_of)(peer),
            _slot: self.next.take(),
        }))
    }
}

/// The service of one connection; its slot is free again when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Connection<S> {
    inner: S,
    _slot: Option<Arc<OwnedSemaphorePermit>>,
}

impl<S, B> Service<Request<B>> for Connection<S>
where
    S: Service<Request<Body>>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        self.inner.call(request.map(Body::new))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_connection_waits_until_another_is_closed() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut limited = Limited::new(|_| (), 1);
        assert!(poll_fn(|cx| limited.poll_ready(cx)).now_or_never().is_some());
        let first = limited.call(peer).into_inner();
        assert!(poll_fn(|cx| limited.poll_ready(cx)).now_or_never().is_none());
        drop(first);
        assert!(poll_fn(|cx| limited.poll_ready(cx)).now_or_never().is_some());
    }
}
