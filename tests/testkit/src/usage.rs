//! CPU time and wake-ups of a process, and CPU time of the machine, as counted by the kernel.

use std::{fs, time::Duration};

use crate::{Error, Process, Result, failed};

/// Totals since the start of a process over its current threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of its threads.
    pub run_time: Duration,
    /// Voluntary context switches, which equal the wake-ups.
    pub wake_ups: u64,
}

impl Usage {
    /// Reads the totals of a running process.
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
            // The totals of a thread that ends meanwhile are lost.
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            usage.run_time += run_time(&read("schedstat"));
            usage.wake_ups += wake_ups(&read("status"));
        }
        Ok(usage)
    }

    /// Returns the difference from an earlier reading.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            run_time: self.run_time.saturating_sub(earlier.run_time),
            wake_ups: self.wake_ups.saturating_sub(earlier.wake_ups),
        }
    }
}

/// Returns the CPU seconds of a process since its start, with those of threads that have ended, in steps of 10 ms.
pub fn cpu_seconds(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))?;
    // The name, in parentheses, may hold spaces. The fields behind it begin with the third; 14 and 15 are the times, in ticks
    // of 1/100 s: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    Ok(ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

/// Returns the CPU seconds of everything that has run on this machine since its start, in steps of 10 ms.
pub fn busy_cpu_seconds() -> Result<f64> {
    let path = "/proc/stat";
    let stat = fs::read_to_string(path).map_err(Error::io(format!("read {path}")))?;
    busy_seconds(&stat).ok_or_else(|| failed(format!("{path} has no total of all cores"), stat))
}

/// Sums the first line, in ticks of 1/100 s: `cpu user nice system idle iowait irq softirq …`
/// (<https://man7.org/linux/man-pages/man5/proc_stat.5.html>). The time of virtual machines is in `user`.
fn busy_seconds(stat: &str) -> Option<f64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = line.split_whitespace().map_while(|ticks| ticks.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else {
        return None;
    };
    Some((user + nice + system + irq + softirq) / 100.0)
}

/// Parses `schedstat`: CPU nanoseconds, nanoseconds in the run queue, time slices.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_cores_are_not_busy() {
        let stat = "cpu  100 20 300 4000 5000 6 70 8000 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(busy_seconds(stat), Some(4.96));
        assert_eq!(busy_seconds("cpu0 1 2 3 4 5 6 7\n"), None);
        assert_eq!(busy_seconds("cpu  1 2 3\n"), None);
    }
}
