//! `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since`, for the target of a request and for its source.

use axum::http::HeaderMap;
use jiff::fmt::rfc2822::DateTimeParser;

use super::entry::Entry;
use super::error::StoreError;
use crate::errors::{ErrorResponse, INVALID_HEADER};
use crate::request::header;

/// ETags, or a star for any.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    /// Without quotation marks.
    These(Vec<String>),
}

impl Tags {
    fn parse(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::Any;
        }
        let tags = text
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned());
        Self::These(tags.collect())
    }

    fn matches(&self, entry: &Entry) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.contains(&entry.stamp.etag()),
        }
    }
}

/// The conditions of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    matching: Option<Tags>,
    none_matching: Option<Tags>,
    /// Seconds since the Unix epoch, as HTTP dates have them.
    modified_since: Option<i64>,
    unmodified_since: Option<i64>,
}

impl Conditions {
    pub(crate) fn of_target(headers: &HeaderMap) -> Result<Self, ErrorResponse> {
        Self::read(headers, "")
    }

    pub(crate) fn of_source(headers: &HeaderMap) -> Result<Self, ErrorResponse> {
        Self::read(headers, "x-ms-source-")
    }

    fn read(headers: &HeaderMap, prefix: &str) -> Result<Self, ErrorResponse> {
        let tags = |name: &str| Ok::<_, ErrorResponse>(header(headers, &format!("{prefix}{name}"))?.map(Tags::parse));
        let date = |name: &str| match header(headers, &format!("{prefix}{name}"))? {
            None => Ok(None),
            Some(text) => {
                let parsed = DateTimeParser::new().parse_timestamp(text);
                parsed
                    .map(|timestamp| Some(timestamp.as_second()))
                    .map_err(|_| ErrorResponse::from(INVALID_HEADER))
            }
        };
        Ok(Self {
            matching: tags("if-match")?,
            none_matching: tags("if-none-match")?,
            modified_since: date("if-modified-since")?,
            unmodified_since: date("if-unmodified-since")?,
        })
    }

    /// Checks the conditions before a write. A star in `If-None-Match` means "only if it does not exist".
    pub(crate) fn check_write(&self, current: Option<&Entry>) -> Result<(), StoreError> {
        match (&self.none_matching, current) {
            (Some(Tags::Any), Some(_)) => return Err(StoreError::Exists),
            (Some(tags), Some(entry)) if tags.matches(entry) => return Err(StoreError::ConditionNotMet),
            _ => {}
        }
        match (&self.matching, current) {
            (Some(_), None) => return Err(StoreError::ConditionNotMet),
            (Some(tags), Some(entry)) if !tags.matches(entry) => return Err(StoreError::ConditionNotMet),
            _ => {}
        }
        let Some(entry) = current else {
            return Ok(());
        };
        let changed = entry.stamp.seconds();
        if self.modified_since.is_some_and(|since| changed <= since)
            || self.unmodified_since.is_some_and(|since| changed > since)
        {
            return Err(StoreError::ConditionNotMet);
        }
        Ok(())
    }

    /// Checks the conditions before a read.
    pub(crate) fn check_read(&self, entry: &Entry) -> Result<(), StoreError> {
        let changed = entry.stamp.seconds();
        if self.matching.as_ref().is_some_and(|tags| !tags.matches(entry))
            || self.unmodified_since.is_some_and(|since| changed > since)
        {
            return Err(StoreError::ConditionNotMet);
        }
        if self.none_matching.as_ref().is_some_and(|tags| tags.matches(entry))
            || (self.none_matching.is_none() && self.modified_since.is_some_and(|since| changed <= since))
        {
            return Err(StoreError::NotModified);
        }
        Ok(())
    }
}
