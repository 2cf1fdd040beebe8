//! The bound on open connections: at the limit the server stops accepting, and clients wait in the kernel's queue.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready as try_ready};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tower::Service;

/// Makes the service of a connection once there is room for one.
#[derive(Clone)]
pub(crate) struct Limited<S> {
    inner: S,
    slots: PollSemaphore,
    /// The slot of the connection that is accepted next.
    next: Option<Arc<OwnedSemaphorePermit>>,
}

impl<S> Limited<S> {
    /// At most `limit` connections, all served by clones of `inner`.
    pub(crate) fn new(inner: S, limit: usize) -> Self {
        Self {
            inner,
            slots: PollSemaphore::new(Arc::new(Semaphore::new(limit))),
            next: None,
        }
    }
}

impl<S: Clone> Service<SocketAddr> for Limited<S> {
    type Response = Connection<S>;
    type Error = Infallible;
    type Future = Ready<Result<Connection<S>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.next.is_none() {
            // `None` would mean a closed semaphore; nobody closes it.
            self.next = try_ready!(self.slots.poll_acquire(cx)).map(Arc::new);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _peer: SocketAddr) -> Self::Future {
        ready(Ok(Connection {
            inner: self.inner.clone(),
            _slot: self.next.take(),
        }))
    }
}

/// The service of one connection; its slot is free again when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Connection<S> {
    inner: S,
    _slot: Option<Arc<OwnedSemaphorePermit>>,
}

impl<S: Service<R>, R> Service<R> for Connection<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_connection_waits_until_another_is_gone() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut limited = Limited::new((), 1);
        assert!(poll_fn(|cx| limited.poll_ready(cx)).now_or_never().is_some());
        let first = limited.call(peer).into_inner();
        assert!(poll_fn(|cx| limited.poll_ready(cx)).now_or_never().is_none());
        drop(first);
        assert!(poll_fn(|cx| limited.poll_ready(cx)).now_or_never().is_some());
    }
}
