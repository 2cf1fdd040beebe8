//! The command-line options of a run.

use std::time::Duration;

/// A run's size and seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Number of events to send.
    pub events: usize,
    /// Seed of events and schedule.
    pub seed: u64,
    /// Time for which faults are injected.
    pub duration: Duration,
    /// Whether to emulate Azure: the broker behaves as Event Hubs does and the lake is the OneLake emulator, both accessed with
    /// tokens of a managed identity. Faults are then injected into the lake too.
    pub azure: bool,
}

/// Usage of the command line.
pub const USAGE: &str = "tests/storm [--events N] [--seed S] [--minutes M] [--azure]";

impl Options {
    /// Parses the command line; the default seed is random.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            events: 20_000,
            seed: fastrand::u64(..1_000_000),
            duration: Duration::from_secs(5 * 60),
            azure: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            if name == "--azure" {
                options.azure = true;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} requires a value"))?;
            let wrong = |_| format!("{name} {value}: not a valid number");
            match name.as_str() {
                "--events" => options.events = value.parse().map_err(wrong)?,
                "--seed" => options.seed = value.parse().map_err(wrong)?,
                "--minutes" => {
                    let minutes: f64 = value
                        .parse()
                        .map_err(|_| format!("--minutes {value}: not a valid number"))?;
                    if !(0.1..=600.0).contains(&minutes) {
                        return Err(format!("--minutes {value}: 0.1 to 600 are allowed"));
                    }
                    options.duration = Duration::from_secs_f64(minutes * 60.0);
                }
                _ => return Err(format!("{name} is unknown")),
            }
        }
        match options.events {
            1..=1_000_000 => Ok(options),
            other => Err(format!("--events {other}: 1 to 1000000 are allowed")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_option_is_parsed() {
        let options = parse("--seed 7 --minutes 1.5 --events 300").unwrap();
        assert_eq!((options.seed, options.events), (7, 300));
        assert_eq!(options.duration, Duration::from_secs(90));
        assert!(!options.azure && parse("--azure --seed 7").unwrap().azure);
        assert_eq!(parse("").unwrap().events, 20_000);
    }

    #[test]
    fn an_invalid_option_is_reported() {
        for (line, word) in [
            ("--seed", "requires a value"),
            ("--seed x", "not a valid number"),
            ("--minutes 0", "0.1 to 600"),
            ("--events 0", "1 to 1000000"),
            ("--even 5", "unknown"),
        ] {
            assert!(parse(line).unwrap_err().contains(word), "{line}");
        }
    }
}
