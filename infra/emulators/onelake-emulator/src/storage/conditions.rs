//! `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since`, for the target of a request and for its source.

use axum::http::HeaderMap;
use jiff::Timestamp;
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
        let tags = text.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        let tags = tags.map(|tag| tag.trim_matches('"').to_owned());
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
        let date = |name: &str| {
            let text = header(headers, &format!("{prefix}{name}"))?;
            let date = text.map(|text| DateTimeParser::new().parse_timestamp(text)).transpose();
            let date = date.map_err(|_| ErrorResponse::from(INVALID_HEADER))?;
            Ok::<_, ErrorResponse>(date.map(Timestamp::as_second))
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
        let Some(entry) = current else {
            return if self.matching.is_some() {
                Err(StoreError::ConditionNotMet)
            } else {
                Ok(())
            };
        };
        let changed = entry.stamp.seconds();
        if self.none_matching == Some(Tags::Any) {
            Err(StoreError::Exists)
        } else if self.none_matching.as_ref().is_some_and(|tags| tags.matches(entry))
            || self.matching.as_ref().is_some_and(|tags| !tags.matches(entry))
            || self.modified_since.is_some_and(|since| changed <= since)
            || self.unmodified_since.is_some_and(|since| changed > since)
        {
            Err(StoreError::ConditionNotMet)
        } else {
            Ok(())
        }
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
