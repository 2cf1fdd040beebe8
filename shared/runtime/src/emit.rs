//! The messages that a handler emits, encoded and truncated to the size that a broker accepts.

use std::fmt;
use std::marker::PhantomData;

use futures::future::BoxFuture;
use serde::Serialize;

use crate::size_limit;
use xact_contracts::messages::{DownloadTask, Message, Problem};
use xact_contracts::topology::{Stage, TopicRole};

/// The stage whose row of the topology says what may be emitted. Every [`Handler`](crate::Handler) implements it.
pub trait Emitter {
    /// The stage.
    const STAGE: Stage;
}

/// The messages that the handler `H` emits for the stages downstream.
pub struct Emit<H> {
    pub(crate) messages: Vec<Emitted>,
    /// Runs once the broker has acknowledged everything that was emitted.
    pub(crate) then: Option<BoxFuture<'static, ()>>,
    handler: PhantomData<fn() -> H>,
}

impl<H> fmt::Debug for Emit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit")
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

/// One emitted message.
#[derive(Debug)]
pub(crate) enum Emitted {
    /// A message for the topic of its role.
    Message(Encoded),
    /// An attachment that failed on its own.
    Failed(Box<DownloadTask>, Problem),
}

/// A message as it is produced.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) role: TopicRole,
    /// The trace id; empty when the message has none.
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
}

impl Encoded {
    /// Encodes a message, with long strings truncated if the broker would not accept it.
    pub(crate) fn new<M: Message + Serialize>(message: &M) -> Self {
        Self {
            role: M::ROLE,
            key: message.trace_id().to_owned(),
            value: size_limit::encode_within_limit(message),
        }
    }
}

impl<H> Default for Emit<H> {
    fn default() -> Self {
        Self {
            messages: Vec::new(),
            then: None,
            handler: PhantomData,
        }
    }
}

impl<H: Emitter> Emit<H> {
    /// Creates an outcome without messages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message of any type. Its type determines the role of its topic ([`Message::ROLE`]). A stage that emits a role
    /// which its row of the topology does not list does not build: the assertion below is evaluated for each pair of handler
    /// and message when code is generated (`cargo check` does not get that far).
    #[must_use]
    pub fn message<M: Message + Serialize>(mut self, message: &M) -> Self {
        const {
            assert!(
                H::STAGE.may_produce(M::ROLE),
                "the stage must not produce this type of message: see its row in contracts/src/topology.rs"
            );
        }
        self.messages.push(Emitted::Message(Encoded::new(message)));
        self
    }

    /// Adds an attachment that failed on its own. It is retried or dead-lettered like a failed message.
    #[must_use]
    pub fn failed(mut self, task: DownloadTask, problem: Problem) -> Self {
        self.messages.push(Emitted::Failed(Box::new(task), problem));
        self
    }

    /// Runs `after` once the broker has acknowledged all messages, for example to delete what a redelivery would need. It must
    /// be short, and a crash that prevents it must be harmless.
    #[must_use]
    pub fn then(mut self, after: impl Future<Output = ()> + Send + 'static) -> Self {
        self.then = Some(Box::pin(after));
        self
    }
}
