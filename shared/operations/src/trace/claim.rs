//! The claim of an event.

use xact_contracts::json::Object;
use xact_contracts::messages::Event;

/// Returns the claim of an event, as the event writer reads it.
pub(super) fn claim_number(event: &Event) -> Option<String> {
    let inner = event.inner.parse();
    inner.iter().find_map(|object| {
        let adm = object.all(&["adm"]).find_map(|value| Object::parse(value.get()).ok())?;
        let loss = adm
            .all(&["coverageLoss"])
            .find_map(|value| Object::parse(value.get()).ok())?;
        loss.text(&["claimNumber"])
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_claim_is_read_as_the_event_writer_reads_it() {
        for (data, expected) in [
            (json!({"adm": {"coverageLoss": {"claimNumber": "CL-1"}}}), Some("CL-1")),
            (json!({"ADM": {"coverage_loss": {"ClaimNumber": 17}}}), Some("17")),
            (json!({"adm": {"coverageLoss": "CL-1"}}), None),
            (json!({"claimNumber": "CL-1"}), None),
        ] {
            let event = Event::from_value(&json!({"trace_id": "t", "type": "x", "data": data})).unwrap();
            assert_eq!(claim_number(&event).as_deref(), expected, "{data}");
        }
    }
}
