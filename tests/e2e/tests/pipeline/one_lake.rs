//! The upload stage and OneLake: memory with fifty concurrent files, and a role assignment that has not propagated yet.

use serde_json::json;

use xact_testkit::events::task;
use xact_testkit::managed_identity::ManagedIdentity;
use xact_testkit::one_lake::WORKSPACE;
use xact_testkit::{Fleet, OneLakeServer, Result, assert_contains, failed};

/// As many as the stage does at once at most.
const FILES: usize = 50;
/// Of each file; `ONE_LAKE_FILE_MIB` sets another size, for measuring.
const MIB: usize = 8;
/// The performance target for the memory of a handler.
const MAX_RESIDENT_KIB: u64 = 128 * 1024;

/// Returns a fleet whose lake is in OneLake, reached with the tokens of a managed identity.
pub(super) fn fleet(name: &str, settings: &[(&str, &str)]) -> Result<(Fleet, OneLakeServer)> {
    let mut fleet = Fleet::shared(name, settings)?;
    let lake = OneLakeServer::start(&fleet.dir)?;
    fleet.environment.extend(lake.variables_with_identity(name)?);
    Ok((fleet, lake))
}

#[test]
fn fifty_concurrent_uploads_stay_within_the_memory_target() -> Result<()> {
    let mib = std::env::var("ONE_LAKE_FILE_MIB").ok().and_then(|mib| mib.parse().ok());
    let bytes = mib.unwrap_or(MIB) * 1024 * 1024;
    let (mut fleet, _lake) = fleet("fifty", &[("UPLOAD_CONCURRENCY", "50")])?;
    fleet.start(&["download"])?;
    for number in 0..FILES {
        let trace_id = format!("fifty-{number}");
        let url = format!("https://claimxperience.com/ok/{bytes}/{trace_id}/a.pdf");
        fleet.send("pending", &trace_id, &task(&trace_id, &url, &json!({})))?;
    }
    fleet.wait_records("cached", FILES)?;
    fleet.start(&["upload"])?;
    fleet.wait_records("results", FILES)?;
    let results = fleet.messages("results")?;
    let right = results
        .iter()
        .filter(|result| result["status"] == "completed" && result["bytes_downloaded"] == bytes);
    assert_eq!(right.count(), FILES, "{results:#?}");
    let resident = fleet["upload"].process.most_resident_kib();
    let resident = resident.ok_or_else(|| failed("its memory", "the process is gone"))?;
    println!(
        "{FILES} files of {} MiB: {} MiB resident at most",
        bytes >> 20,
        resident >> 10
    );
    assert!(resident < MAX_RESIDENT_KIB, "{resident} KiB");
    Ok(())
}

#[test]
fn a_role_assignment_that_has_not_propagated_is_reported_and_waited_for() -> Result<()> {
    let (mut fleet, lake) = fleet("spreading", &[])?;
    lake.admin("POST", "closed", &json!({"workspace": WORKSPACE}).to_string())?;
    fleet.start(&["download", "upload"])?;
    let url = "https://claimxperience.com/ok/9000/spreading/a.pdf";
    fleet.send("pending", "spreading", &task("spreading", url, &json!({})))?;
    let reasons = fleet.wait_until("the missing role is reported", || {
        let reasons = fleet["upload"].reasons()?.to_string();
        reasons.contains("Contributor").then_some(reasons)
    })?;
    let parts = ["may not have propagated yet", WORKSPACE, ManagedIdentity::SYSTEM];
    assert_contains(&reasons, &parts);
    lake.admin("DELETE", "closed", "")?;
    fleet.wait_records("results", 1)?;
    assert_eq!(fleet.messages("results")?[0]["status"], "completed");
    assert!(fleet.files().join("documentsReceived/A1/spreading/A1_a.pdf").exists());
    fleet.wait_ready(&["upload"])?;
    assert!(fleet.records("dlq")?.is_empty());
    Ok(())
}
