//! The upload stage and OneLake: memory with fifty concurrent files, and a role assignment that has not propagated yet.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use xact_testkit::events::task;
use xact_testkit::managed_identity::{Answer, ManagedIdentity};
use xact_testkit::one_lake::WORKSPACE;
use xact_testkit::secrets::PLANTED;
use xact_testkit::tokens::Issuer;
use xact_testkit::{Fleet, OneLakeServer, failed, variables};
use xact_testkit::{Kafka, Result, wait_until};

const FINISHED: Duration = Duration::from_secs(300);
/// As many as the stage does at once at most.
const FILES: usize = 50;
/// Of each file; `ONE_LAKE_FILE_MIB` sets another size, for measuring.
const MIB: usize = 8;
/// The performance target for the memory of a handler.
const MOST_RESIDENT_KIB: u64 = 128 * 1024;

/// A fleet whose lake is in OneLake, reached with the tokens of a managed identity.
pub(super) fn fleet(name: &str, settings: &[(&str, &str)]) -> Result<(Fleet, OneLakeServer, ManagedIdentity)> {
    let mut fleet = Fleet::new(Kafka::shared()?.bootstrap(), name, settings)?;
    let lake = OneLakeServer::start(&fleet.dir)?;
    let issuer = Arc::new(Issuer::new()?);
    let hour = Answer::Tokens(Duration::from_secs(3600));
    let identity = ManagedIdentity::start(&issuer, &format!("{PLANTED}-{name}"), hour)?;
    fleet.environment.extend(lake.variables(None)?);
    fleet.environment.extend(variables(&identity.variables()));
    // Other tests plant one.
    fleet.environment.extend(variables(&[("AZURE_CLIENT_SECRET", "")]));
    fleet.create_topics()?;
    Ok((fleet, lake, identity))
}

#[test]
fn fifty_concurrent_uploads_stay_within_the_memory_target() -> Result<()> {
    let mib = std::env::var("ONE_LAKE_FILE_MIB").ok().and_then(|mib| mib.parse().ok());
    let bytes = mib.unwrap_or(MIB) * 1024 * 1024;
    let (mut fleet, _lake, _identity) = fleet("fifty", &[("UPLOAD_CONCURRENCY", "50")])?;
    fleet.start(&["download"])?;
    for number in 0..FILES {
        let trace_id = format!("fifty-{number}");
        let url = format!("https://claimxperience.com/ok/{bytes}/{trace_id}/a.pdf");
        fleet.send("pending", &trace_id, &task(&trace_id, &url, &json!({})))?;
    }
    wait_until(FINISHED, "all are cached", || {
        (fleet.records("cached").ok()?.len() == FILES).then_some(())
    })?;
    fleet.start(&["upload"])?;
    wait_until(FINISHED, "all are uploaded", || {
        (fleet.records("results").ok()?.len() == FILES).then_some(())
    })?;
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
    assert!(resident < MOST_RESIDENT_KIB, "{resident} KiB");
    Ok(())
}

#[test]
fn a_role_assignment_that_has_not_propagated_is_reported_and_waited_for() -> Result<()> {
    let (mut fleet, lake, _identity) = fleet("spreading", &[])?;
    lake.admin("POST", "closed", &json!({"workspace": WORKSPACE}).to_string())?;
    fleet.start(&["download", "upload"])?;
    let url = "https://claimxperience.com/ok/9000/spreading/a.pdf";
    fleet.send("pending", "spreading", &task("spreading", url, &json!({})))?;
    let told = wait_until(FINISHED, "readiness tells of the role", || {
        let (status, reasons) = fleet["upload"].get("/health/ready").ok()?;
        (status == 503 && reasons.contains("Contributor")).then_some(reasons)
    })?;
    assert!(
        told.contains("may not have propagated yet")
            && told.contains(WORKSPACE)
            && told.contains(ManagedIdentity::SYSTEM),
        "{told}"
    );
    lake.admin("DELETE", "closed", "")?;
    wait_until(FINISHED, "the file is reported", || {
        (fleet.records("results").ok()?.len() == 1).then_some(())
    })?;
    assert_eq!(fleet.messages("results")?[0]["status"], "completed");
    assert!(fleet.files().join("documentsReceived/A1/spreading/A1_a.pdf").exists());
    wait_until(FINISHED, "it is ready again", || {
        (fleet["upload"].get("/health/ready").ok()?.0 == 200).then_some(())
    })?;
    assert!(fleet.records("dlq")?.is_empty());
    Ok(())
}
