//! Classifies requests of both protocols. The table of operations is in [`xact_contracts::onelake_billing`], because the
//! client counts its requests by the same table.

use axum::http::header::HOST;
use axum::http::request::Parts;

/// The operation of a request, in rules and counters.
pub use xact_contracts::onelake_billing::Operation as Verb;
pub use xact_contracts::onelake_billing::Protocol;

use crate::request::Query;

/// Returns the protocol and the operation of a request; `has_path`: whether it has a path below a workspace.
pub(crate) fn classify(parts: &Parts, has_path: bool, query: &Query) -> (Protocol, Verb) {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let host = parts.uri.host().or_else(|| text(HOST.as_str())).unwrap_or("");
    let protocol = Protocol::of_request(parts.method.as_str(), host, |name| query.has(name), text);
    let verb = Verb::of_request(
        protocol,
        parts.method.as_str(),
        has_path,
        |name| query.get(name),
        |name| parts.headers.contains_key(name),
    );
    (protocol, verb)
}
