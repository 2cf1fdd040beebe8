//! What each answer and each error means: its category, and a text without the URL.

use super::FetchError;
use crate::resolver::{NoAddress, RefusedAddress};
use crate::retry_after;
use contracts::category::Category;
use contracts::messages::Problem;
use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::error::Error;

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The table of the specification, section 4.
const fn category_of(status: u16) -> Category {
    match status {
        401 | 407 => Category::Auth,
        408 | 425 | 429 | 500..=599 => Category::Transient,
        400..=499 => Category::Permanent,
        _ => Category::Unknown,
    }
}

pub(super) fn refused_status(response: &Response) -> FetchError {
    let status = response.status();
    let category = category_of(status.as_u16());
    let retry_after = header(response.headers(), RETRY_AFTER.as_str())
        .filter(|_| category.is_retryable())
        .and_then(|value| retry_after::parse(value, Timestamp::now()));
    FetchError::Refused {
        problem: Problem::new(category, format!("the server answered {status}")).with_status(status.as_u16()),
        retry_after,
    }
}

pub(super) fn request_problem(error: &reqwest::Error) -> Problem {
    if let Some(refused) = cause::<RefusedAddress>(error) {
        return Problem::new(Category::Permanent, refused.to_string());
    }
    if let Some(unknown) = cause::<NoAddress>(error) {
        return Problem::new(Category::Transient, unknown.to_string());
    }
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the request failed"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error)))
}

pub(super) fn body_problem(error: &reqwest::Error) -> Problem {
    let what = if error.is_timeout() {
        "the body stopped coming"
    } else {
        "the body was cut short"
    };
    Problem::new(Category::Transient, format!("{what}: {}", innermost(error))).with_status(200)
}

/// The cause at the bottom: the layers above it only repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_specification() {
        for (status, category) in [
            (400, Category::Permanent),
            (401, Category::Auth),
            (403, Category::Permanent),
            (404, Category::Permanent),
            (407, Category::Auth),
            (408, Category::Transient),
            (410, Category::Permanent),
            (425, Category::Transient),
            (429, Category::Transient),
            (500, Category::Transient),
            (503, Category::Transient),
            (599, Category::Transient),
            (204, Category::Unknown),
            (206, Category::Unknown),
            (304, Category::Unknown),
            (600, Category::Unknown),
        ] {
            assert_eq!(category_of(status), category, "{status}");
        }
    }
}
