//! What a process has cost so far, as the kernel counts it.

use std::{fs, time::Duration};

use crate::{Error, Process, Result};

/// Totals since the start of a process, over the threads that it has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Time for which a thread of it ran on a core.
    pub run_time: Duration,
    /// How often a thread of it went to sleep, which is how often one was woken.
    pub wake_ups: u64,
}

impl Usage {
    /// Of a running process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn of(process: &Process) -> Result<Self> {
        let tasks = format!("/proc/{}/task", process.id());
        let mut usage = Usage {
            run_time: Duration::ZERO,
            wake_ups: 0,
        };
        for task in fs::read_dir(&tasks)
            .map_err(Error::io(format!("read {tasks}")))?
            .flatten()
        {
            // A thread that ends meanwhile takes its totals with it.
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            usage.run_time += run_time(&read("schedstat"));
            usage.wake_ups += wake_ups(&read("status"));
        }
        Ok(usage)
    }

    /// What was added since an earlier look.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            run_time: self.run_time.saturating_sub(earlier.run_time),
            wake_ups: self.wake_ups.saturating_sub(earlier.wake_ups),
        }
    }
}

/// `schedstat`: nanoseconds on a core, nanoseconds of waiting for one, turns.
fn run_time(schedstat: &str) -> Duration {
    let nanoseconds = schedstat.split_whitespace().next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn wake_ups(status: &str) -> u64 {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
