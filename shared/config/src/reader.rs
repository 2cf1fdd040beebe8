//! Reads variables one by one and collects the mistakes, so that all are reported together.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::environment::Environment;
use crate::variable::{Var, Visibility};

/// Reads variables and collects the mistakes.
pub(crate) struct Reader<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) errors: Vec<String>,
    /// Names of the variables that were read.
    pub(crate) read: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            errors: Vec::new(),
            read: BTreeSet::new(),
        }
    }
}

impl Reader<'_> {
    /// Returns the value or, if it is not set, the default. An invalid value is reported and replaced by `T::default()`.
    pub(crate) fn get<T: Default>(&mut self, var: &Var<T>) -> T {
        self.optional(var).unwrap_or_default()
    }

    /// Returns the value or the default; `None` if both are empty, or if the value is invalid, which is reported.
    pub(crate) fn optional<T>(&mut self, var: &Var<T>) -> Option<T> {
        self.read.insert(var.name());
        let text = self.text(var);
        if text.is_empty() {
            return None;
        }
        var.parse(text)
            .map_err(|expectation| self.reject(var, expectation))
            .ok()
    }

    /// Reports what is wrong with a variable.
    pub(crate) fn reject<T>(&mut self, var: &Var<T>, why: impl Display) {
        let text = self.text(var);
        let shown = match var.variable.visibility {
            Visibility::Full => format!("{text:?}"),
            Visibility::FullIfValid if text.chars().count() <= 12 => format!("{text:?}"),
            Visibility::FullIfValid => format!("{:?}", text.chars().take(4).chain(['…']).collect::<String>()),
            Visibility::Secret => "[hidden]".to_owned(),
        };
        self.errors.push(format!("{}={shown}: {why}", var.name()));
    }

    fn text<T>(&self, var: &Var<T>) -> &str {
        self.environment.get(var.name()).unwrap_or(var.variable.default)
    }
}
