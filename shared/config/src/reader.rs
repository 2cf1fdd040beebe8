//! Reads single variables, and collects what is wrong with them instead of stopping at the first.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use crate::{Environment, VARIABLES, Variable};

/// Reads variables and collects what is wrong.
pub(super) struct Reader<'a> {
    pub(super) environment: &'a Environment,
    pub(super) errors: Vec<String>,
}

impl Reader<'_> {
    fn variable(name: &str) -> Variable {
        // A name that is not in the table would be a mistake in this file; a test reads all settings.
        VARIABLES
            .iter()
            .copied()
            .find(|variable| variable.name == name)
            .unwrap_or(Variable {
                name: "",
                default: "",
                help: "",
                secret: true,
            })
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.environment
            .get(name)
            .unwrap_or(Self::variable(name).default)
            .to_owned()
    }

    pub(super) fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|value| !value.is_empty())
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.optional(name).map(SecretString::from)
    }

    pub(super) fn reject(&mut self, name: &str, why: impl Display) {
        let variable = Self::variable(name);
        let value = if variable.secret {
            "[hidden]".to_owned()
        } else {
            format!("{:?}", self.text(name))
        };
        self.errors.push(format!("{name}={value}: {why}"));
    }

    /// A value of a type, within bounds that `allowed` describes.
    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, allowed: &str, fits: impl Fn(&T) -> bool) -> Option<T> {
        let value = self.text(name).parse().ok().filter(fits);
        if value.is_none() {
            self.reject(name, format_args!("must be {allowed}"));
        }
        value
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        match self.text(name).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.reject(name, "must be true or false");
                false
            }
        }
    }

    pub(super) fn seconds(&mut self, name: &str, allowed: &str, least: f64, most: f64) -> Duration {
        self.parsed::<f64>(name, allowed, |seconds| (least..=most).contains(seconds))
            .map_or(Duration::ZERO, Duration::from_secs_f64)
    }

    pub(super) fn millis(&mut self, name: &str, least: u64, most: u64) -> Duration {
        self.parsed(name, &format!("{least} to {most} milliseconds"), |millis| {
            (least..=most).contains(millis)
        })
        .map_or(Duration::ZERO, Duration::from_millis)
    }

    pub(super) fn count(&mut self, name: &str, most: usize) -> usize {
        self.parsed::<usize>(name, &format!("a whole number from 1 to {most}"), |count| {
            (1..=most).contains(count)
        })
        .unwrap_or(1)
    }

    pub(super) fn topic(&mut self, name: &str) -> String {
        let topic = self.text(name);
        let fits = topic.len() <= 200
            && !matches!(topic.as_str(), "." | "..")
            && topic
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !fits {
            self.reject(
                name,
                "must be a topic name: at most 200 letters, digits, '.', '_' or '-'",
            );
        }
        topic
    }
}
