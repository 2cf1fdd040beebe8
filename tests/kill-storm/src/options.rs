//! What a run is asked for.

use std::time::Duration;

/// A run's size and seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Events sent.
    pub events: usize,
    /// Decides events and schedule.
    pub seed: u64,
    /// How long processes are struck.
    pub duration: Duration,
    /// In Azure's shape: the broker speaks as Event Hubs does and the lake is the OneLake emulator, both by the tokens of a
    /// managed identity. The lake is struck as well.
    pub azure: bool,
}

/// How to call it.
pub const USAGE: &str = "tests/storm [--events N] [--seed S] [--minutes M] [--azure]";

impl Options {
    /// From the command line; without a seed it takes a random one.
    ///
    /// # Errors
    /// With what is wrong.
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
            let value = arguments.next().ok_or_else(|| format!("{name} wants a value"))?;
            let wrong = |_| format!("{name} {value}: no such number");
            match name.as_str() {
                "--events" => options.events = value.parse().map_err(wrong)?,
                "--seed" => options.seed = value.parse().map_err(wrong)?,
                "--minutes" => {
                    let minutes: f64 = value
                        .parse()
                        .map_err(|_| format!("--minutes {value}: no such number"))?;
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
    fn a_run_is_asked_for_by_three_numbers_and_a_shape() {
        let options = parse("--seed 7 --minutes 1.5 --events 300").unwrap();
        assert_eq!((options.seed, options.events), (7, 300));
        assert_eq!(options.duration, Duration::from_secs(90));
        assert!(!options.azure && parse("--azure --seed 7").unwrap().azure);
        assert_eq!(parse("").unwrap().events, 20_000);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, word) in [
            ("--seed", "wants a value"),
            ("--seed x", "no such number"),
            ("--minutes 0", "0.1 to 600"),
            ("--events 0", "1 to 1000000"),
            ("--even 5", "unknown"),
        ] {
            assert!(parse(line).unwrap_err().contains(word), "{line}");
        }
    }
}
