//! Errors of other libraries as errors of the testkit.

use std::fmt::Display;

use xact_testkit::{Error, failed};

pub(crate) fn caused_by(what: &str, error: &dyn Display) -> Error {
    failed(what, error.to_string())
}
