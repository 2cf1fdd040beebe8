//! The broker has stored a produced record, and its acknowledgement is lost. The handler must send the record again, and the
//! record must be stored once.
//!
//! The same for a Delta commit is tested where storage can lose an answer: `shared/lake/tests/lost_answers.rs`.

use std::collections::BTreeSet;

use serde_json::json;

use xact_testkit::events::event;
use xact_testkit::{Fleet, Kafka, Result};

const EVENTS: usize = 2000;
/// Few requests carry all tasks.
const LOST: u32 = 2;

#[test]
fn a_record_whose_acknowledgement_was_lost_is_stored_once() -> Result<()> {
    let (kafka, proxy) = Kafka::start_behind_proxy()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "acknowledgements", &[])?;
    let events = (0..EVENTS).map(|number| {
        let trace_id = format!("lost-{number}");
        let url = format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf");
        (trace_id.clone(), event(&trace_id, &json!([url])))
    });
    fleet.send_all("raw", events)?;

    // From here on the handler is the only one that produces.
    proxy.lose_acknowledgements(LOST);
    fleet.start(&["event-ingester"])?;
    fleet.wait_records("pending", EVENTS)?;
    // It exits once all records are acknowledged and committed: nothing is produced after that.
    fleet.stop(&["event-ingester"])?;

    assert_eq!(proxy.lost(), LOST, "acknowledgements that were lost");
    let tasks = fleet.records("pending")?;
    let traces: BTreeSet<&str> = tasks.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(
        [tasks.len(), traces.len()],
        [EVENTS, EVENTS],
        "tasks, and events with tasks"
    );
    Ok(())
}
