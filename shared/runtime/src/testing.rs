//! Support for tests of handlers (feature `testing`).

use jiff::Timestamp;

use crate::emit::Emit;
use crate::handler::Handler;
use crate::routing::{RecordContext, Routing};
use xact_contracts::topology::Topics;
use xact_kafka::Record;

/// Returns the topics and messages that the runtime produces for what a handler emitted, after running what follows their
/// acknowledgement.
pub async fn produced<H: Handler>(emit: Emit<H>, now: Timestamp) -> Vec<(String, serde_json::Value)> {
    let record = Record::default();
    let routing = Routing {
        stage: H::STAGE,
        topics: Topics::default(),
        max_retries: 4,
    };
    let on = RecordContext::new(&record, &record.trace, now);
    let routed = routing.emitted(emit.messages, on);
    if let Some(then) = emit.then {
        then.await;
    }
    let value = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_default();
    let outgoing = routed.outgoing.into_iter();
    outgoing.map(|out| (out.topic, value(&out.value))).collect()
}
