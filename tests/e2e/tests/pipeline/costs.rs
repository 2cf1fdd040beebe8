//! Requests to OneLake: one write for a file and two for a commit, counted by the emulator.

use serde_json::json;

use crate::one_lake::fleet;
use xact_testkit::events::event;
use xact_testkit::{Fleet, Result, context};

const ATTACHMENTS: usize = 3;

/// Sends events with three attachments of 100 KB each, and waits until all stages are done with them.
fn send(fleet: &Fleet, name: &str, events: usize) -> Result<()> {
    for number in 0..events {
        let trace_id = format!("{name}-{number}");
        let urls: Vec<String> = (0..ATTACHMENTS)
            .map(|file| format!("https://claimxperience.com/ok/100000/{trace_id}/{file}.pdf"))
            .collect();
        fleet.send("raw", &trace_id, &event(&trace_id, &json!(urls)))?;
    }
    fleet.wait_no_lag()
}

/// Returns the number of entries in the logs of the tables.
fn commits(fleet: &Fleet) -> Result<u64> {
    let mut commits = 0;
    for table in ["xact_events", "xact_attachments"] {
        let log = fleet.dir.join("tables").join(table).join("_delta_log");
        let entries = std::fs::read_dir(&log).map_err(context(log.display().to_string()))?;
        commits += entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
            .count() as u64;
    }
    Ok(commits)
}

#[test]
fn a_file_is_one_write_and_a_commit_is_two() -> Result<()> {
    const EVENTS: usize = 20;
    let (mut fleet, lake) = fleet("costs", &[])?;
    fleet.start_all()?;
    // Tables are created and opened once.
    send(&fleet, "first", 2)?;
    lake.admin("DELETE", "requests", "")?;
    let before = commits(&fleet)?;
    send(&fleet, "second", EVENTS)?;
    let made = commits(&fleet)? - before;
    let bill = lake.bill()?;
    let areas = &bill["areas"];
    let files = EVENTS * ATTACHMENTS;
    assert_eq!(areas["Files"]["total"]["requests"], files, "{bill:#}");
    assert_eq!(areas["Files"]["classes"]["write"]["units"], files, "{bill:#}");
    assert!(made >= 2, "{made} commits");
    let tables = &areas["Tables"]["classes"];
    assert_eq!(tables["write"]["requests"], 2 * made, "{bill:#}");
    // Class other is left out: each batch of results asks whether there is a table of failed attachments (two Blob HEADs while
    // there is none), and one a minute confirms that a table is still there. Nothing is listed, read or renamed.
    for class in ["read", "iterative_read", "iterative_write", "delete"] {
        assert!(tables.get(class).is_none(), "{class}: {bill:#}");
    }
    Ok(())
}
