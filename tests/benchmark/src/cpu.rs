//! CPU time of processes, which other work on the machine disturbs less than rates.

use std::fs;

use xact_testkit::{Result, context};

/// Clock ticks of `/proc/PID/stat` in a second: fixed on Linux.
const TICKS: f64 = 100.0;

/// Returns the user and system time of a process in seconds, with that of threads that have ended.
pub(crate) fn seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    let stat = stat.map_err(context("the CPU time of a process"))?;
    // The name in parentheses may hold spaces; utime and stime are the 14th and 15th field of the line.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS)
}
