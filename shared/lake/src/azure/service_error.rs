//! What OneLake's refusals say: about the path, about the workspace or item, or about the service.
//!
//! Both client crates' errors become a [`RequestError`] where they are caught, so that a code is judged in one place.

use std::fmt;

use crate::azure::connection::{Trouble, chain};

/// Why a request did not succeed.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The service answered, and not with success.
    Refused {
        /// HTTP status.
        status: u16,
        /// The service's code, for example `BlobAlreadyExists`.
        code: String,
    },
    /// No usable answer: network, identity, permission. The text says which, without a URL.
    Failed(String),
}

impl RequestError {
    /// HTTP status of a refusal.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Failed(_) => None,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Failed(_) => "",
        }
    }

    /// Nothing is at the path, and the workspace and the item are there.
    pub(crate) fn is_absence(&self) -> bool {
        self.status() == Some(404) && !self.is_item_missing()
    }

    /// A condition of the request did not hold. Azure Storage answers a creation with `If-None-Match: *` with 409 where
    /// the blob is there, and other conditions with 412.
    pub(crate) fn is_condition_failed(&self) -> bool {
        matches!(self.status(), Some(409 | 412))
    }

    /// The workspace or the item is not there, which says nothing about the file.
    pub(crate) fn is_item_missing(&self) -> bool {
        [
            "FilesystemNotFound",
            "ContainerNotFound",
            "WorkspaceNotFound",
            "ArtifactNotFound",
            "ItemNotFound",
        ]
        .contains(&self.code())
    }

    /// The path itself cannot be written: its name is refused, or it, or a folder above it, is of another kind. No repetition
    /// helps.
    pub(crate) fn is_path_refused(&self) -> bool {
        match self.status() {
            Some(400) => ["InvalidResourceName", "InvalidUri", "InvalidPathName"].contains(&self.code()),
            Some(409) => [
                "PathConflict",
                "InvalidDestinationPath",
                "ResourceTypeMismatch",
                "DestinationPathIsDirectory",
                "PathAlreadyExists",
                "ParentNotADirectory",
            ]
            .contains(&self.code()),
            Some(414) => true,
            _ => false,
        }
    }

    /// The file was written over DFS, and the operation is only for blobs that were not.
    pub(crate) fn is_written_over_dfs(&self) -> bool {
        self.code() == "BlobOperationNotSupported"
    }

    /// A 409 that says nothing about what is at the path: a lease, an immutability policy, another operation.
    fn is_write_forbidden(&self) -> bool {
        self.status() == Some(409) && !self.is_path_refused() && self.code() != "BlobAlreadyExists"
    }

    /// The service does not take a header that the request needs.
    fn is_header_refused(&self) -> bool {
        [
            "UnsupportedHeader",
            "InvalidHeaderValue",
            "ConditionHeadersNotSupported",
        ]
        .contains(&self.code())
    }
}

/// The text for operators.
impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Refused { status, code } => {
                write!(f, "OneLake answers {status}")?;
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
            return Self::Refused {
                status: (*status).into(),
                code: plain(error_code.as_deref()),
            };
        }
        Self::Failed(trouble_or_chain(&error))
    }
}

impl From<azure_core_legacy::Error> for RequestError {
    fn from(error: azure_core_legacy::Error) -> Self {
        if let azure_core_legacy::error::ErrorKind::HttpResponse { status, error_code } = error.kind() {
            return Self::Refused {
                status: u16::from(*status),
                code: plain(error_code.as_deref()),
            };
        }
        match error.downcast_ref::<Trouble>() {
            Some(trouble) => Self::Failed(trouble.to_string()),
            None => Self::Failed(trouble_or_chain(&error)),
        }
    }
}

/// Service codes are one word; a client crate may put a sentence in its place.
fn plain(code: Option<&str>) -> String {
    code.filter(|code| code.len() < 80 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .unwrap_or_default()
        .to_owned()
}

/// Our connection's own text if the error comes from it; it names the remedy.
fn trouble_or_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(trouble) = cause.downcast_ref::<Trouble>() {
            return trouble.to_string();
        }
        next = cause.source();
    }
    chain(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> RequestError {
        RequestError::Refused {
            status,
            code: code.to_owned(),
        }
    }

    #[test]
    fn a_missing_item_is_not_a_missing_file() {
        assert!(refused(404, "BlobNotFound").is_absence());
        assert!(refused(404, "").is_absence());
        let item = refused(404, "ArtifactNotFound");
        assert!(!item.is_absence() && item.to_string().contains("check the workspace"));
    }

    #[test]
    fn only_refusals_of_the_path_are_permanent() {
        assert!(refused(409, "ResourceTypeMismatch").is_path_refused());
        assert!(refused(400, "InvalidUri").is_path_refused());
        for (status, code) in [
            (409, "BlobAlreadyExists"),
            (409, "LeaseIdMissing"),
            (400, "Md5Mismatch"),
            (503, "ServerBusy"),
        ] {
            assert!(!refused(status, code).is_path_refused(), "{code}");
        }
    }

    #[test]
    fn a_conflict_that_is_not_about_the_path_says_what_to_look_for() {
        for code in ["BlobImmutableDueToPolicy", "LeaseIdMissing", ""] {
            assert!(refused(409, code).to_string().contains("immutability policy"), "{code}");
        }
        for code in ["BlobAlreadyExists", "PathConflict"] {
            assert!(
                !refused(409, code).to_string().contains("immutability policy"),
                "{code}"
            );
        }
    }

    #[test]
    fn a_refused_condition_names_the_header() {
        let text = refused(400, "UnsupportedHeader").to_string();
        assert!(
            text.contains("If-None-Match") && text.contains("xact-pipeline check"),
            "{text}"
        );
    }
}
