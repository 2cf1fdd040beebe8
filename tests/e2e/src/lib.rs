//! What the end-to-end tests share: real processes started as an operator starts them, and expectations that are derived
//! from what was sent, without a line of the product.
//!
//! - [`running`]: a process that serves `/health`, `/metrics` and `/invoke`
//! - [`pipeline`]: `xact-pipeline --dev`, and where it keeps things
//! - [`stages`]: the handlers as processes of their own, with one environment for all
//! - [`fleet`]: some of them with topics, groups and a lake of their own, so that tests share a broker
//! - [`namespace`]: an Event Hubs namespace, and the ways to be let in to it
//! - [`one_lake`]: the OneLake emulator as a process of its own
//! - [`samples`]: the sample server as a process of its own
//! - [`scale_rules`]: the deployment's scale rules, asked by KEDA's own scaler
//! - [`command`]: an operator's command, run to its end
//! - [`operator`]: a broker and a pipeline for whole sequences of them
//! - [`idle`]: what processes cost while they have nothing to do
//! - [`producer`]: transactions, and batches of one compression
//! - [`kcat`], [`groups`]: Kafka seen by somebody else's clients
//! - [`metrics`]: a scrape, read
//! - [`events`]: events that tests make themselves
//! - [`sent`] → [`rows`] → [`compare`]: what was sent, the rows that must come of it, and whether they did
//! - [`secrets`]: what must be nowhere in all of it
//! - [`ids`]: the specification's ids, computed anew

pub mod command;
pub mod compare;
pub mod events;
pub mod fleet;
pub mod groups;
pub mod idle;
pub mod ids;
pub mod kcat;
pub mod metrics;
pub mod namespace;
pub mod one_lake;
pub mod operator;
pub mod pipeline;
pub mod producer;
pub mod rows;
pub mod running;
pub mod samples;
pub mod scale_rules;
pub mod secrets;
pub mod sent;
pub mod stages;

pub use command::{Answer, command};
pub use fleet::Fleet;
pub use metrics::Metrics;
pub use namespace::Namespace;
pub use one_lake::OneLakeServer;
pub use operator::Operator;
pub use pipeline::Pipeline;
pub use running::Running;
pub use scale_rules::ScaleRules;

/// Environment variables for a child process.
pub type Variables = Vec<(String, String)>;

/// Variables from pairs of texts.
#[must_use]
pub fn variables<V: ToString>(pairs: &[(&str, V)]) -> Variables {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect()
}

/// A failed set-up, said so that the reader knows what to do next.
#[must_use]
pub fn failed(what: impl Into<String>, detail: impl Into<String>) -> xact_testkit::Error {
    xact_testkit::Error::Failed {
        what: what.into(),
        detail: detail.into(),
    }
}
