//! Who is struck when, and how: by the seed alone.
//!
//! Every target has a timeline of its own, so that no blow meets a process that another one has down already.

use std::time::Duration;

/// What a member of the group may miss before its partitions go to others (`KAFKA_SESSION_TIMEOUT_MS`, the least that
/// the product allows).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Who is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The process of this number, of all handlers' processes.
    Handler(usize),
    /// The broker.
    Broker,
    /// The lake, where it is a process of its own.
    Lake,
}

impl Target {
    /// Whom it is counted under.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Handler(_) => "handlers",
            Self::Broker => "broker",
            Self::Lake => "lake",
        }
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// Started again, after it has ended.
    Start,
}

/// One blow, or the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Since the storm began.
    pub at: Duration,
    /// To whom.
    pub target: Target,
    /// What.
    pub act: Act,
}

/// The steps of a storm in their order; at its end everything runs.
#[must_use]
pub fn of_seed(seed: u64, handlers: usize, has_lake: bool, duration: Duration) -> Vec<Step> {
    // Not the stream that the events come from.
    let mut random = fastrand::Rng::with_seed(seed ^ 0x5707_0a11);
    let mut steps = Vec::new();
    for number in 0..handlers {
        let mut random = random.fork();
        timeline(&mut steps, Target::Handler(number), duration, || {
            (pause(&mut random, 4.0, 25.0), blow_to_handler(&mut random))
        });
    }
    timeline(&mut steps, Target::Broker, duration, || {
        (pause(&mut random, 12.0, 25.0), blow_to_server(&mut random))
    });
    if has_lake {
        timeline(&mut steps, Target::Lake, duration, || {
            // Bounded: a short storm must not pass it by.
            (seconds(&mut random, 6.0, 20.0), blow_to_server(&mut random))
        });
    }
    // A stable sort: what happens to one target at one moment keeps its order.
    steps.sort_by_key(|step| step.at);
    steps
}

/// A blow: acts, each with the time until the next one, the last one with nothing after it.
type Blow = Vec<(Act, Duration)>;

fn timeline(steps: &mut Vec<Step>, target: Target, duration: Duration, mut next: impl FnMut() -> (Duration, Blow)) {
    let mut now = Duration::ZERO;
    loop {
        let (pause, blow) = next();
        now += pause;
        if now >= duration {
            return;
        }
        for (act, hold) in blow {
            // What would outlast the storm ends with it.
            steps.push(Step {
                at: now.min(duration),
                target,
                act,
            });
            now += hold;
        }
    }
}

fn blow_to_handler(random: &mut fastrand::Rng) -> Blow {
    let end = Duration::ZERO;
    match random.u8(0..100) {
        0..40 => vec![(Act::Kill, seconds(random, 0.1, 5.0)), (Act::Start, end)],
        // Longer than the session: it wakes up when its partitions are someone else's.
        40..62 => vec![(Act::Freeze, zombie(random)), (Act::Thaw, end)],
        62..74 => vec![(Act::Freeze, seconds(random, 0.1, 4.0)), (Act::Thaw, end)],
        // A zombie that is killed soon after it woke up, or without having woken up.
        74..80 => vec![
            (Act::Freeze, zombie(random)),
            (Act::Thaw, seconds(random, 0.0, 0.5)),
            (Act::Kill, seconds(random, 0.1, 3.0)),
            (Act::Start, end),
        ],
        80..84 => vec![
            (Act::Freeze, zombie(random)),
            (Act::Kill, seconds(random, 0.1, 3.0)),
            (Act::Start, end),
        ],
        // Killed in the middle of its drain.
        84..88 => vec![
            (Act::Terminate, seconds(random, 0.0, 0.3)),
            (Act::Kill, seconds(random, 0.1, 3.0)),
            (Act::Start, end),
        ],
        _ => vec![(Act::Terminate, seconds(random, 1.0, 8.0)), (Act::Start, end)],
    }
}

fn blow_to_server(random: &mut fastrand::Rng) -> Blow {
    match random.bool() {
        true => vec![(Act::Kill, seconds(random, 0.1, 5.0)), (Act::Start, Duration::ZERO)],
        false => vec![(Act::Freeze, seconds(random, 0.5, 10.0)), (Act::Thaw, Duration::ZERO)],
    }
}

/// Until a frozen process is taken for dead by its group, and some seconds more.
fn zombie(random: &mut fastrand::Rng) -> Duration {
    SESSION_TIMEOUT + seconds(random, 1.0, 9.0)
}

fn seconds(random: &mut fastrand::Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(least + (most - least) * random.f64())
}

/// At least so many seconds, and on the average so many more, without memory.
fn pause(random: &mut fastrand::Rng, least: f64, mean: f64) -> Duration {
    Duration::from_secs_f64(least - mean * (1.0 - random.f64()).ln())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const MINUTES: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_gives_the_same_storm_again_and_another_seed_another() {
        assert_eq!(of_seed(1, 14, true, MINUTES), of_seed(1, 14, true, MINUTES));
        assert_ne!(of_seed(1, 14, true, MINUTES), of_seed(2, 14, true, MINUTES));
    }

    #[test]
    fn blows_to_one_target_follow_each_other_and_all_run_in_the_end() {
        let mut states: BTreeMap<Target, Act> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for step in of_seed(3, 14, true, MINUTES) {
            let before = states.insert(step.target, step.act).unwrap_or(Act::Start);
            let fits = match step.act {
                Act::Kill => before != Act::Kill,
                Act::Terminate | Act::Freeze => matches!(before, Act::Start | Act::Thaw),
                Act::Thaw => before == Act::Freeze,
                Act::Start => matches!(before, Act::Kill | Act::Terminate),
            };
            assert!(fits, "{step:?} after {before:?}");
            assert!(step.at <= MINUTES);
            seen.insert((step.target.kind(), step.act));
        }
        assert!(states.values().all(|act| matches!(act, Act::Start | Act::Thaw)));
        assert_eq!(states.len(), 16, "everybody is struck");
        assert_eq!(seen.len(), 13, "every kind of blow is there");
    }
}
