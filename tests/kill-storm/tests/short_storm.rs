//! A short storm, as `tests/run` runs it. `STORM_SEED` gives it another seed.

use std::time::Duration;

use parking_lot::Mutex;

use xact_kill_storm::{Options, Report};

/// Long enough for every process to be struck, and for some to wake up as zombies.
const STORM: Duration = Duration::from_secs(60);
const EVENTS: usize = 1500;
const SEED: u64 = 1;

/// Two storms at once would be one of another kind.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn storm(azure: bool) -> xact_testkit::Result<Report> {
    let _turn = ONE_AT_A_TIME.lock();
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok());
    xact_kill_storm::run(Options {
        events: EVENTS,
        seed: seed.unwrap_or(SEED),
        duration: STORM,
        azure,
    })
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_in_a_storm() -> xact_testkit::Result<()> {
    let report = storm(false)?;
    assert!(report.is_good(), "{report}");
    println!("{report}");
    Ok(())
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_in_a_storm_over_event_hubs_and_one_lake() -> xact_testkit::Result<()> {
    let report = storm(true)?;
    assert!(report.is_good(), "{report}");
    println!("{report}");
    Ok(())
}
