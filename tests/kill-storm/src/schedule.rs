//! The schedule of injected faults (kills, freezes, stops), decided by the seed alone.
//!
//! Every target has its own timeline, so that no fault hits a process that is already down.

use std::time::Duration;

/// `KAFKA_SESSION_TIMEOUT_MS` of the run, the minimum that the product allows.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// A process into which faults are injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The handler process of this number.
    Handler(usize),
    /// The broker.
    Broker,
    /// The OneLake emulator.
    Lake,
}

impl Target {
    /// Returns the name under which the faults of this target are counted.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Handler(_) => "handlers",
            Self::Broker => "broker",
            Self::Lake => "lake",
        }
    }
}

/// A signal to a process, or its restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Resume,
    /// Starts the process again after it has exited.
    Start,
}

/// One action at a point of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Time since the storm began.
    pub at: Duration,
    /// The process that is affected.
    pub target: Target,
    /// The action.
    pub action: Action,
}

/// The processes of a run.
#[derive(Debug, Clone, Copy)]
pub struct Targets {
    /// Number of handler processes.
    pub handlers: usize,
    /// Whether the lake is a process.
    pub has_lake: bool,
}

/// Returns the steps of a storm in order. After the last one every process runs.
pub fn of_seed(seed: u64, targets: Targets, duration: Duration) -> Vec<Step> {
    // A random stream that is independent of that of the events.
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5707_0a11);
    let mut steps = Vec::new();
    for number in 0..targets.handlers {
        let mut random = random.fork();
        timeline(&mut steps, Target::Handler(number), duration, || {
            (pause(&mut random, 4.0, 25.0), handler_fault(&mut random))
        });
    }
    timeline(&mut steps, Target::Broker, duration, || {
        (pause(&mut random, 12.0, 25.0), server_fault(&mut random))
    });
    if targets.has_lake {
        timeline(&mut steps, Target::Lake, duration, || {
            // A bounded pause, so that a short storm hits the lake too.
            (seconds(&mut random, 6.0, 20.0), server_fault(&mut random))
        });
    }
    // The sort is stable: steps of one target at the same time keep their order.
    steps.sort_by_key(|step| step.at);
    steps
}

/// The actions of one fault, each with the time until the next one; zero after the last.
type FaultSteps = Vec<(Action, Duration)>;

fn timeline(
    steps: &mut Vec<Step>,
    target: Target,
    duration: Duration,
    mut next: impl FnMut() -> (Duration, FaultSteps),
) {
    let mut now = Duration::ZERO;
    loop {
        let (pause, fault) = next();
        now += pause;
        if now >= duration {
            return;
        }
        for (action, hold) in fault {
            // Faults that would outlast the storm end with it.
            steps.push(Step {
                at: now.min(duration),
                target,
                action,
            });
            now += hold;
        }
    }
}

fn handler_fault(random: &mut fastrand::Rng) -> FaultSteps {
    let end = Duration::ZERO;
    match random.u8(0..100) {
        0..40 => vec![(Action::Kill, seconds(random, 0.1, 5.0)), (Action::Start, end)],
        // Longer than the session timeout: when it resumes, its partitions are assigned to another member.
        40..62 => vec![(Action::Freeze, zombie(random)), (Action::Resume, end)],
        62..74 => vec![(Action::Freeze, seconds(random, 0.1, 4.0)), (Action::Resume, end)],
        // A zombie that is killed soon after it resumes, or before.
        74..80 => vec![
            (Action::Freeze, zombie(random)),
            (Action::Resume, seconds(random, 0.0, 0.5)),
            (Action::Kill, seconds(random, 0.1, 3.0)),
            (Action::Start, end),
        ],
        80..84 => vec![
            (Action::Freeze, zombie(random)),
            (Action::Kill, seconds(random, 0.1, 3.0)),
            (Action::Start, end),
        ],
        // Killed while it drains.
        84..88 => vec![
            (Action::Terminate, seconds(random, 0.0, 0.3)),
            (Action::Kill, seconds(random, 0.1, 3.0)),
            (Action::Start, end),
        ],
        _ => vec![(Action::Terminate, seconds(random, 1.0, 8.0)), (Action::Start, end)],
    }
}

fn server_fault(random: &mut fastrand::Rng) -> FaultSteps {
    if random.bool() {
        vec![
            (Action::Kill, seconds(random, 0.1, 5.0)),
            (Action::Start, Duration::ZERO),
        ]
    } else {
        vec![
            (Action::Freeze, seconds(random, 0.5, 10.0)),
            (Action::Resume, Duration::ZERO),
        ]
    }
}

/// Returns a time that is some seconds longer than the session timeout, after which the group has evicted the process.
fn zombie(random: &mut fastrand::Rng) -> Duration {
    SESSION_TIMEOUT + seconds(random, 1.0, 9.0)
}

fn seconds(random: &mut fastrand::Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + (most - least) * random.f64())
}

/// Returns a pause of at least `least` seconds plus an exponentially distributed time with this mean.
fn pause(random: &mut fastrand::Rng, least: f64, mean: f64) -> Duration {
    Duration::from_secs_f64(least - mean * (1.0 - random.f64()).ln())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const MINUTES: Duration = Duration::from_secs(600);
    const TARGETS: Targets = Targets {
        handlers: 14,
        has_lake: true,
    };

    #[test]
    fn a_storm_is_reproducible_by_its_seed() {
        assert_eq!(of_seed(1, TARGETS, MINUTES), of_seed(1, TARGETS, MINUTES));
        assert_ne!(of_seed(1, TARGETS, MINUTES), of_seed(2, TARGETS, MINUTES));
    }

    #[test]
    fn faults_of_one_target_do_not_overlap_and_all_processes_run_at_the_end() {
        let mut states: BTreeMap<Target, Action> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for step in of_seed(3, TARGETS, MINUTES) {
            let before = states.insert(step.target, step.action).unwrap_or(Action::Start);
            let fits = match step.action {
                Action::Kill => before != Action::Kill,
                Action::Terminate | Action::Freeze => matches!(before, Action::Start | Action::Resume),
                Action::Resume => before == Action::Freeze,
                Action::Start => matches!(before, Action::Kill | Action::Terminate),
            };
            assert!(fits, "{step:?} after {before:?}");
            assert!(step.at <= MINUTES);
            seen.insert((step.target.kind(), step.action));
        }
        assert!(
            states
                .values()
                .all(|action| matches!(action, Action::Start | Action::Resume))
        );
        assert_eq!(states.len(), 16, "every target has faults");
        assert_eq!(seen.len(), 13, "every kind of fault occurs");
    }
}
