//! Classifies the error codes of OneLake: they concern the path, the workspace or item, or the service.
//!
//! The errors of both client crates are converted to a [`RequestError`], so that codes are classified in one place.

use std::{fmt, iter};

use crate::azure::connection::{SendError, chain, is_service_code};

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The service responded with an error.
    Refused {
        /// HTTP status.
        status: u16,
        /// The service's code, for example `BlobAlreadyExists`.
        code: String,
    },
    /// No usable response arrived: network, identity, permission. The text gives the reason, without a URL.
    Failed(String),
}

impl RequestError {
    /// Returns the HTTP status of an error response.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Failed(_) => None,
        }
    }

    /// Returns the service's code, if there is one.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Failed(_) => "",
        }
    }

    /// Returns whether nothing is at the path, while the workspace and the item exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == Some(404) && !self.is_item_missing()
    }

    /// Returns whether a condition of the request did not hold. Azure Storage responds with 409 to `If-None-Match: *` if the
    /// blob exists, and with 412 to other conditions.
    pub(crate) fn is_condition_failed(&self) -> bool {
        matches!(self.status(), Some(409 | 412))
    }

    /// Returns whether the workspace or the item does not exist, which says nothing about the file.
    pub(crate) fn is_item_missing(&self) -> bool {
        matches!(
            self.code(),
            "FilesystemNotFound" | "ContainerNotFound" | "WorkspaceNotFound" | "ArtifactNotFound" | "ItemNotFound"
        )
    }

    /// Returns whether the path itself cannot be written: its name is not allowed, or it is a folder, or a folder above it is
    /// a file. A retry does not help.
    pub(crate) fn is_path_refused(&self) -> bool {
        matches!(
            (self.status(), self.code()),
            (Some(400), "InvalidResourceName" | "InvalidUri" | "InvalidPathName")
                | (
                    Some(409),
                    "PathConflict" | "InvalidDestinationPath" | "ResourceTypeMismatch"
                )
                | (
                    Some(409),
                    "DestinationPathIsDirectory" | "PathAlreadyExists" | "ParentNotADirectory"
                )
                | (Some(414), _)
        )
    }

    /// Returns whether the file was written over DFS and the operation is only for blobs that were not.
    pub(crate) fn is_written_over_dfs(&self) -> bool {
        self.code() == "BlobOperationNotSupported"
    }

    /// Returns whether this is a 409 for another reason than the path: a lease, an immutability policy, another operation.
    fn is_write_forbidden(&self) -> bool {
        self.status() == Some(409) && !self.is_path_refused() && self.code() != "BlobAlreadyExists"
    }

    /// Returns whether the service does not support a header that the request needs.
    fn is_header_refused(&self) -> bool {
        matches!(
            self.code(),
            "UnsupportedHeader" | "InvalidHeaderValue" | "ConditionHeadersNotSupported"
        )
    }
}

impl std::error::Error for RequestError {}

/// The text for operators.
impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Refused { status, code } => {
                write!(f, "OneLake responds with {status}")?;
                if !code.is_empty() {
                    write!(f, " {code}")?;
                }
                if self.is_item_missing() {
                    f.write_str(": check the workspace and the item in the path (GUIDs are the safer choice)")?;
                }
                if self.is_write_forbidden() {
                    f.write_str(
                        ": something other than the file forbids the change (a lease, an immutability policy or another \
                         operation on the item); look the code up in \"Blob service error codes\" and remove the cause",
                    )?;
                }
                if self.is_header_refused() {
                    f.write_str(
                        ": it does not take a conditional write (If-None-Match), which keeps two writers apart; \
                         `xact-pipeline check` tries the same request",
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl From<azure_core::Error> for RequestError {
    fn from(error: azure_core::Error) -> Self {
        if let azure_core::error::ErrorKind::HttpResponse { status, error_code, .. } = error.kind() {
            return refused((*status).into(), error_code.as_deref());
        }
        Self::Failed(send_error_or_chain(&error))
    }
}

impl From<azure_core_legacy::Error> for RequestError {
    fn from(error: azure_core_legacy::Error) -> Self {
        if let azure_core_legacy::error::ErrorKind::HttpResponse { status, error_code } = error.kind() {
            return refused((*status).into(), error_code.as_deref());
        }
        let sent = error.downcast_ref::<SendError>();
        Self::Failed(sent.map_or_else(|| send_error_or_chain(&error), SendError::to_string))
    }
}

/// Returns an error of the service. A client crate may use a sentence instead of the code, which is dropped.
fn refused(status: u16, code: Option<&str>) -> RequestError {
    let code = code.filter(|code| is_service_code(code)).unwrap_or_default();
    RequestError::Refused {
        status,
        code: code.to_owned(),
    }
}

/// Returns the connection's own text if the error comes from it, because it names the remedy.
fn send_error_or_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = iter::successors(Some(error), |cause| cause.source());
    let sent = causes.find_map(|cause| cause.downcast_ref::<SendError>());
    sent.map_or_else(|| chain(error), SendError::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_item_is_not_a_missing_file() {
        assert!(refused(404, Some("BlobNotFound")).is_not_found());
        assert!(refused(404, None).is_not_found());
        let item = refused(404, Some("ArtifactNotFound"));
        assert!(!item.is_not_found() && item.to_string().contains("check the workspace"));
    }

    #[test]
    fn an_error_of_the_path_is_permanent_and_a_conflict_with_another_cause_names_possible_causes() {
        for (status, code, is_permanent, names_causes) in [
            (409, "ResourceTypeMismatch", true, false),
            (409, "PathConflict", true, false),
            (400, "InvalidUri", true, false),
            (409, "BlobAlreadyExists", false, false),
            (409, "LeaseIdMissing", false, true),
            (409, "BlobImmutableDueToPolicy", false, true),
            (409, "", false, true),
            (400, "Md5Mismatch", false, false),
            (503, "ServerBusy", false, false),
        ] {
            let error = refused(status, Some(code));
            assert_eq!(error.is_path_refused(), is_permanent, "{code}");
            let named = error.to_string().contains("immutability policy");
            assert_eq!(named, names_causes, "{error}");
        }
    }

    #[test]
    fn a_refused_condition_names_the_header() {
        let text = refused(400, Some("UnsupportedHeader")).to_string();
        assert!(text.contains("If-None-Match"), "{text}");
        assert!(text.contains("xact-pipeline check"), "{text}");
    }
}
