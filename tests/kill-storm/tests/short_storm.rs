//! A short storm, as `tests/run` runs it. `STORM_SEED` gives it another seed.

use std::time::Duration;
use xact_kill_storm::Options;

/// Long enough for every process to be struck, and for some to wake up as zombies.
const STORM: Duration = Duration::from_secs(75);
const EVENTS: usize = 2000;
const SEED: u64 = 1;

#[test]
fn nothing_is_lost_and_nothing_comes_twice_in_a_storm() -> harness::Result<()> {
    let seed = std::env::var("STORM_SEED").ok().and_then(|seed| seed.parse().ok());
    let report = xact_kill_storm::run(Options {
        events: EVENTS,
        seed: seed.unwrap_or(SEED),
        duration: STORM,
    })?;
    assert!(report.is_good(), "{report}");
    println!("{report}");
    Ok(())
}
