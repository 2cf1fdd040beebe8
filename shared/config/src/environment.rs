//! The variables that are set: the process's own, those of `.env`, and those that a flag stands for.

use std::collections::BTreeMap;

use crate::{ConfigError, VARIABLES};

/// The variables that are set.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own variables.
    #[must_use]
    pub fn of_process() -> Self {
        // A variable that is no UTF-8 reads with replacement characters, and then fails its check aloud.
        std::env::vars_os()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .collect()
    }

    /// Sets a variable, as `--flag` and `--dev` do.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Sets a variable that is not set: a default other than the table's.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if self.get(name).is_none() {
            self.set(name, value);
        }
    }

    /// The value, if it is set and not blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// What is in force, one line each, secrets hidden: for the start-up print.
    #[must_use]
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        VARIABLES
            .iter()
            .filter_map(|variable| {
                let value = self.get(variable.name).unwrap_or(variable.default);
                let shown = if variable.secret { "[set]" } else { without_query(value) };
                (!value.is_empty()).then(|| (variable.name, shown.to_owned()))
            })
            .collect()
    }
}

/// A URL may carry a key in its query (a SAS token): what is printed ends before it.
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
/// When the file is there and cannot be read.
pub fn load_dotenv(environment: &mut Environment) -> Result<(), ConfigError> {
    let entries = match dotenvy::dotenv_iter() {
        Ok(entries) => entries,
        Err(error) if error.not_found() => return Ok(()),
        Err(error) => return Err(ConfigError(vec![format!(".env: {error}")])),
    };
    for entry in entries {
        let (name, value) = entry.map_err(|error| {
            // The error repeats the line, which may hold a secret: only say where to look.
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
    fn secrets_are_not_described() {
        let mut environment = Environment::default();
        environment.set("INVOKE_TOKEN", "PLANTED");
        let text = format!("{:?}", environment.describe());
        assert!(text.contains("INVOKE_TOKEN") && !text.contains("PLANTED"));
    }
}
