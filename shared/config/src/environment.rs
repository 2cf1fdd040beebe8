//! The variables that are set: of the process, of `.env`, and by flags of the command line.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::error::ConfigError;
use crate::variables::VARIABLES;

/// The variables that are set.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

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
        self.0.insert(name.to_owned(), value.into());
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
        let value = self.0.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// Returns every variable that has a value, with the value or `[set]` if it is secret: for the start-up print.
    #[must_use]
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        VARIABLES
            .iter()
            .filter_map(|variable| {
                let value = self.get(variable.name).unwrap_or(variable.default);
                let shown = if variable.is_secret() {
                    "[set]"
                } else {
                    without_query(value)
                };
                (!value.is_empty()).then(|| (variable.name, shown.to_owned()))
            })
            .collect()
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
        Self(variables.into_iter().collect())
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
            environment.set(&name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let mut environment = Environment::default();
        environment.set("INVOKE_TOKEN", "PLANTED");
        let text = format!("{:?}", environment.describe());
        assert!(text.contains("INVOKE_TOKEN") && !text.contains("PLANTED"));
    }
}
