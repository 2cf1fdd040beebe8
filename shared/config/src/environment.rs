//! The variables that are set: of the process, of `.env`, and by flags of the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use crate::error::ConfigError;
use crate::groups::group_from;
use crate::variable::Variable;
use crate::variables::VARIABLES;

/// Where the value of a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueSource {
    /// The environment of the process.
    Process,
    /// The file `.env` of the working directory.
    DotEnv,
    /// A flag, such as `--log-level`, or `--dev`, which sets many.
    CommandLine,
    /// The declaration.
    Default,
}

impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "environment",
            Self::DotEnv => ".env",
            Self::CommandLine => "command line",
            Self::Default => "default",
        })
    }
}

/// A variable with the value that applies.
#[derive(Debug, Clone)]
pub struct EffectiveVariable {
    /// The variable.
    pub variable: &'static Variable,
    /// The heading that operators find it under.
    pub group: &'static str,
    /// The value as it may be shown: `[set]` for a secret, without the query of a URL; empty for none.
    pub shown: String,
    /// Where the value comes from.
    pub source: ValueSource,
}

/// The variables that are set.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, (String, ValueSource)>);

impl Environment {
    /// Returns the variables of the process.
    #[must_use]
    pub fn of_process() -> Self {
        // Replacement characters in a value that is not UTF-8 make its validation fail.
        let text = |text: OsString| text.to_string_lossy().into_owned();
        std::env::vars_os()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    /// Sets a variable, as `--flag` and `--dev` do.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.put(name, value.into(), ValueSource::CommandLine);
    }

    fn put(&mut self, name: &str, value: String, source: ValueSource) {
        self.0.insert(name.to_owned(), (value, source));
    }

    /// Sets a variable unless it is set: a default other than the declared one.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// Returns the value, trimmed, if it is set and not blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(|(value, _)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// Returns every variable that has a value, with the value or `[set]` if it is secret: for the log.
    #[must_use]
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        let with_value = self.effective().into_iter().filter(|one| !one.shown.is_empty());
        with_value.map(|one| (one.variable.name, one.shown)).collect()
    }

    /// Returns every variable with the value that applies and its source, in the order of the declarations.
    #[must_use]
    pub fn effective(&self) -> Vec<EffectiveVariable> {
        let mut group = "";
        let effective = VARIABLES.iter().map(|variable| {
            group = group_from(variable.name).unwrap_or(group);
            let set = self.get(variable.name);
            let source = self.0.get(variable.name).map(|(_, source)| *source);
            let value = set.unwrap_or(variable.default);
            let shown = if variable.is_secret() && !value.is_empty() {
                "[set]"
            } else {
                without_query(value)
            };
            EffectiveVariable {
                variable,
                group,
                shown: shown.to_owned(),
                source: set.and(source).unwrap_or(ValueSource::Default),
            }
        });
        effective.collect()
    }
}

/// Returns the value without the query of a URL, which may hold a key (a SAS token).
fn without_query(value: &str) -> &str {
    match value.split_once("://") {
        Some(_) => value.split(['?', '#']).next().unwrap_or_default(),
        None => value,
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(
            variables
                .map(|(name, value)| (name, (value, ValueSource::Process)))
                .collect(),
        )
    }
}

/// Adds `.env` of the working directory to the environment; the real environment wins.
///
/// # Errors
/// If the file exists and cannot be read.
pub fn load_dotenv(environment: &mut Environment) -> Result<(), ConfigError> {
    let entries = match dotenvy::dotenv_iter() {
        Ok(entries) => entries,
        Err(error) if error.not_found() => return Ok(()),
        Err(error) => return Err(ConfigError(vec![format!(".env: {error}")])),
    };
    for entry in entries {
        let (name, value) = entry.map_err(|error| {
            // The error holds the line, which may hold a secret: only its position is reported.
            let line = match error {
                dotenvy::Error::LineParse(_, position) => format!(" near character {position} of a line"),
                _ => String::new(),
            };
            ConfigError(vec![format!(
                ".env cannot be read{line}: it holds lines of NAME=value; quote values that hold spaces or #"
            )])
        })?;
        if !environment.0.contains_key(&name) {
            environment.put(&name, value, ValueSource::DotEnv);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::GROUPS;

    #[test]
    fn secrets_are_hidden() {
        let mut environment = Environment::default();
        environment.set("INVOKE_TOKEN", "PLANTED");
        let text = format!("{:?}", environment.describe());
        assert!(text.contains("INVOKE_TOKEN") && !text.contains("PLANTED"));
    }

    #[test]
    fn every_variable_has_its_value_its_source_and_a_group() {
        let process = [("LOG_LEVEL", "DEBUG"), ("JSON_LOGS", " "), ("METRICS_PORT", "9000")];
        let process = process.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut environment: Environment = process.into_iter().collect();
        environment.put("MAX_RETRIES", "7".to_owned(), ValueSource::DotEnv);
        environment.set("METRICS_PORT", "9001");
        environment.set_default("METRICS_PORT", "9002");
        let effective = environment.effective();
        assert_eq!(effective.len(), VARIABLES.len());
        for (name, shown, source) in [
            ("LOG_LEVEL", "DEBUG", "environment"),
            // A blank value is as none.
            ("JSON_LOGS", "true", "default"),
            ("METRICS_PORT", "9001", "command line"),
            ("MAX_RETRIES", "7", ".env"),
            ("INVOKE_TOKEN", "", "default"),
        ] {
            let found = effective.iter().find(|one| one.variable.name == name).unwrap();
            assert_eq!(
                (found.shown.as_str(), found.source.to_string().as_str()),
                (shown, source),
                "{name}"
            );
        }
        let mut groups: Vec<&str> = effective.iter().map(|one| one.group).collect();
        groups.dedup();
        assert_eq!(groups, GROUPS.map(|(_, group)| group), "each group is together");
    }
}
