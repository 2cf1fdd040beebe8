//! Processes that end exactly between two steps which no transaction joins. After a restart, finished steps are recognized,
//! unfinished ones are done, and nothing is duplicated.
//!
//! The handlers' fail points (`xact_runtime::fail_points`) end them. Builds with debug assertions have them.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use xact_testkit::{Fleet, Kafka, Result};

const ABORT_TIMEOUT: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;

/// Events of a round.
const EVENTS: usize = 8;

/// The stages that end at a fail point in this round, in the order of the flow, with the fail point.
type Seams = [(&'static str, &'static str)];

/// Restarts the stages with their fail points, sends events whose attachments are of these kinds, waits until each
/// has ended there and starts it without, until nothing is left to do.
fn end_at(fleet: &mut Fleet, round: &str, kinds: &[&str], seams: &Seams) -> Result<()> {
    for (stage, fail_point) in seams {
        fleet.spawn(stage, stage, &[("FAILPOINTS", fail_point)])?;
    }
    for (stage, _) in seams {
        fleet[stage].wait_ready()?;
    }
    for number in 0..EVENTS {
        let trace_id = format!("{round}-{number}");
        let url = |kind: &&str| format!("https://claimxperience.com/{kind}/3000/{trace_id}/{kind}.pdf");
        fleet.send_event(&trace_id, &kinds.iter().map(url).collect())?;
    }
    // In the order of the flow: the next stage may need what this one does after its start.
    for (stage, fail_point) in seams {
        let process = &mut fleet[stage].process;
        let status = process.wait(ABORT_TIMEOUT)?;
        let tail = process.tail();
        assert_eq!(
            status.signal(),
            Some(SIGABRT),
            "{stage} ends at {fail_point} with {status}: {tail}"
        );
        fleet.start(&[stage])?;
    }
    fleet.wait_no_lag()
}

#[test]
fn a_process_that_ends_between_any_two_steps_loses_and_duplicates_nothing() -> Result<()> {
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::whole(kafka.bootstrap(), "seams", &[])?;

    // What it produced is acknowledged; that it is done is not committed.
    let delivered = [
        ("event-ingester", "delivered::event-ingester=2*off->1*return"),
        ("event-writer", "delivered::event-writer=1*return"),
        ("download", "delivered::download=3*off->1*return"),
        ("upload", "delivered::upload=1*off->1*return"),
        ("result-processor", "delivered::result-processor=1*return"),
        ("dlq", "delivered::dlq=1*off->1*return"),
    ];
    end_at(&mut fleet, "delivered", &["ok", "missing"], &delivered)?;

    // Parquet files without a commit; a retry that is on its way again, and still in the retry topic as well.
    let written = [
        ("event-writer", "delta::written=1*return"),
        ("retry-scheduler", "delivered::retry-scheduler=2*off->1*return"),
        ("result-processor", "delta::written=1*return"),
    ];
    end_at(&mut fleet, "written", &["unavailable-once", "missing"], &written)?;

    // A commit, a cached file, a file in the lake, none of which is recorded yet.
    let committed = [
        ("event-writer", "delta::committed=1*return"),
        ("download", "renamed=2*off->1*return"),
        ("upload", "uploaded=2*off->1*return"),
        ("result-processor", "delta::committed=1*return"),
    ];
    end_at(&mut fleet, "committed", &["ok", "missing"], &committed)?;

    fleet.assert_exactly_what_was_sent()?;
    // A process that is killed cannot remove the parts of its other downloads: the janitor does.
    let mut left = fleet.cached();
    left.retain(|path| path.extension().is_none_or(|extension| extension != "part"));
    assert!(left.is_empty(), "left in the cache: {left:?}");
    Ok(())
}
