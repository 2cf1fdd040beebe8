//! Runs a short storm, with and without emulated Azure. `STORM_SEED` sets another seed.

// The report is printed for the log of the run.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use parking_lot::Mutex;

use xact_kill_storm::Options;

/// Long enough to inject a fault into every process and to resume some processes as zombies.
const DURATION: Duration = Duration::from_secs(60);
const EVENTS: usize = 1500;
const SEED: u64 = 1;

/// Two storms at the same time would overload the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn storm(azure: bool) -> xact_testkit::Result<()> {
    let _turn = ONE_AT_A_TIME.lock();
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok());
    let report = xact_kill_storm::run(Options {
        events: EVENTS,
        seed: seed.unwrap_or(SEED),
        duration: DURATION,
        azure,
    })?;
    assert!(report.is_good(), "{report}");
    println!("{report}");
    Ok(())
}

#[test]
fn a_storm_loses_and_duplicates_nothing() -> xact_testkit::Result<()> {
    storm(false)
}

#[test]
fn a_storm_over_event_hubs_and_one_lake_loses_and_duplicates_nothing() -> xact_testkit::Result<()> {
    storm(true)
}
