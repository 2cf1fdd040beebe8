//! The errors of Azure Storage: status, code and text, one constant for each, for both protocols.
//!
//! Codes and texts: [Blob][blob], [common][common], and the list in each operation of the [Data Lake Storage][dfs] API.
//!
//! [blob]: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
//! [common]: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
//! [dfs]: https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create

use std::borrow::Cow;
use std::io;

use axum::http::header::{CONTENT_RANGE, HeaderName, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};

/// An error as the service defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

const fn error(status: StatusCode, code: &'static str, message: &'static str) -> ServiceError {
    ServiceError { status, code, message }
}

/// An error answer.
#[derive(Debug, Clone)]
pub(crate) struct ErrorResponse {
    pub(crate) error: ServiceError,
    /// Replaces the text of the error.
    pub(crate) message: Option<Cow<'static, str>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<ServiceError> for ErrorResponse {
    fn from(error: ServiceError) -> Self {
        Self {
            error,
            message: None,
            headers: Vec::new(),
        }
    }
}

impl ErrorResponse {
    pub(crate) fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(message.into());
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn text(&self) -> &str {
        self.message.as_deref().unwrap_or(self.error.message)
    }

    /// Returns 401 with the challenge that names the token issuer.
    pub(crate) fn challenge(error: ServiceError) -> Self {
        Self::from(error).with_header(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))
    }

    /// Whether authentication failed: such requests are not billed.
    pub(crate) fn is_of_authentication(&self) -> bool {
        [
            NO_AUTHENTICATION,
            INVALID_TOKEN,
            INVALID_AUTHENTICATION,
            AUTHENTICATION_FAILED,
        ]
        .contains(&self.error)
    }

    /// Returns 416 for a file of `length` bytes.
    pub(crate) fn out_of_range(length: u64) -> Self {
        let error_response = Self::from(INVALID_RANGE);
        match HeaderValue::from_str(&format!("bytes */{length}")) {
            Ok(range) => error_response.with_header(CONTENT_RANGE, range),
            Err(_) => error_response,
        }
    }

    /// Returns 400 for a name that is not valid.
    pub(crate) fn invalid_name(why: &str) -> Self {
        Self::from(INVALID_NAME).with_message(format!("{} ({why})", INVALID_NAME.message))
    }
}

impl From<io::Error> for ErrorResponse {
    /// Logs an error of the system, and returns 500.
    fn from(error: io::Error) -> Self {
        tracing::warn!(%error, "OneLake emulator: request failed");
        Self::from(INTERNAL_ERROR)
    }
}

const CHALLENGE: &str = "Bearer authorization_uri=https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/authorize resource_id=https://storage.azure.com";

macro_rules! service_errors {
    ($($name:ident = $status:ident, $code:literal, $message:literal;)*) => {
        $(pub(crate) const $name: ServiceError = error(StatusCode::$status, $code, $message);)*
    };
}

service_errors! {
    // Authentication.
    NO_AUTHENTICATION = UNAUTHORIZED, "NoAuthenticationInformation", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
    INVALID_TOKEN = UNAUTHORIZED, "InvalidAuthenticationInfo", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
    INVALID_AUTHENTICATION = BAD_REQUEST, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format. Check the value of Authorization header.";
    AUTHENTICATION_FAILED = FORBIDDEN, "AuthenticationFailed", "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
    PERMISSION_MISMATCH = FORBIDDEN, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.";

    // Invalid requests.
    INVALID_URI = BAD_REQUEST, "InvalidUri", "The request URI is invalid.";
    INVALID_NAME = BAD_REQUEST, "InvalidResourceName", "The specified resource name contains invalid characters.";
    INVALID_INPUT = BAD_REQUEST, "InvalidInput", "One of the request inputs is not valid.";
    INVALID_HEADER = BAD_REQUEST, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.";
    MISSING_HEADER = BAD_REQUEST, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.";
    INVALID_QUERY = BAD_REQUEST, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid.";
    QUERY_OUT_OF_RANGE = BAD_REQUEST, "OutOfRangeQueryParameterValue", "One of the query parameters specified in the request URI is outside the permissible range.";
    MISSING_QUERY = BAD_REQUEST, "MissingRequiredQueryParameter", "A query parameter that's mandatory for this request is not specified.";
    UNSUPPORTED_QUERY = BAD_REQUEST, "UnsupportedQueryParameter", "One of the query parameters specified in the request URI is not supported.";
    UNSUPPORTED_VERB = METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.";
    INVALID_PROPERTY = BAD_REQUEST, "InvalidPropertyName", "The property name contains invalid characters.";
    INVALID_METADATA = BAD_REQUEST, "InvalidMetadata", "The metadata specified is invalid. It has characters that are not permitted.";
    INVALID_MD5 = BAD_REQUEST, "InvalidMd5", "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64-encoded.";
    MD5_MISMATCH = BAD_REQUEST, "Md5Mismatch", "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
    CRC64_MISMATCH = BAD_REQUEST, "Crc64Mismatch", "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.";
    UNSUPPORTED_HEADER = BAD_REQUEST, "UnsupportedHeader", "One of the HTTP headers specified in the request is not supported.";
    LENGTH_MUST_BE_ZERO = BAD_REQUEST, "ContentLengthMustBeZero", "The Content-Length request header must be zero.";
    MISSING_LENGTH = LENGTH_REQUIRED, "MissingContentLengthHeader", "The content length header was not specified.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit.";
    INCOMPLETE_BODY = BAD_REQUEST, "IncompleteBody", "The specified resource body is not completely uploaded.";
    INVALID_RANGE = RANGE_NOT_SATISFIABLE, "InvalidRange", "The range specified is invalid for the current size of the resource.";
    RANGE_TOO_LARGE_FOR_MD5 = BAD_REQUEST, "OutOfRangeInput", "The range for a Content-MD5 must not exceed 4 MiB.";

    // The state of a path.
    FILESYSTEM_NOT_FOUND = NOT_FOUND, "FilesystemNotFound", "The specified filesystem does not exist.";
    CONTAINER_NOT_FOUND = NOT_FOUND, "ContainerNotFound", "The specified container does not exist.";
    FILESYSTEM_EXISTS = CONFLICT, "FilesystemAlreadyExists", "The specified filesystem already exists.";
    CONTAINER_EXISTS = CONFLICT, "ContainerAlreadyExists", "The specified container already exists.";
    PATH_NOT_FOUND = NOT_FOUND, "PathNotFound", "The specified path does not exist.";
    BLOB_NOT_FOUND = NOT_FOUND, "BlobNotFound", "The specified blob does not exist.";
    PATH_EXISTS = CONFLICT, "PathAlreadyExists", "The specified path already exists.";
    BLOB_EXISTS = CONFLICT, "BlobAlreadyExists", "The specified blob already exists.";
    PATH_CONFLICT = CONFLICT, "PathConflict", "The specified path, or an element of the path, exists and its resource type is invalid for this operation.";
    WRITTEN_BY_DFS = CONFLICT, "BlobOperationNotSupported", "Blob operation is not supported.";
    IMMUTABLE = CONFLICT, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy.";
    DIRECTORY_NOT_EMPTY = CONFLICT, "DirectoryNotEmpty", "The recursive query parameter value must be true to delete a non-empty directory.";
    DIRECTORY_IS_NOT_EMPTY = CONFLICT, "DirectoryIsNotEmpty", "This operation is not permitted on a non-empty directory.";
    SOURCE_NOT_FOUND = NOT_FOUND, "SourcePathNotFound", "The source path for a rename operation does not exist.";
    RENAME_PARENT_NOT_FOUND = NOT_FOUND, "RenameDestinationParentPathNotFound", "The parent directory of the destination path does not exist.";
    INVALID_RENAME_SOURCE = CONFLICT, "InvalidRenameSourcePath", "The source directory cannot be the same as the destination directory, nor can the destination be a subdirectory of the source directory.";
    INVALID_SOURCE_URI = BAD_REQUEST, "InvalidSourceUri", "The source URI is invalid.";
    INVALID_FLUSH_POSITION = BAD_REQUEST, "InvalidFlushPosition", "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the file after appending the uploaded data.";
    INVALID_BLOCK_LIST = BAD_REQUEST, "InvalidBlockList", "The specified block list is invalid.";
    INVALID_XML = BAD_REQUEST, "InvalidXmlDocument", "The specified XML is not syntactically valid.";
    CONDITION_NOT_MET = PRECONDITION_FAILED, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.";
    NOT_MODIFIED = NOT_MODIFIED, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.";

    // Errors of OneLake. FriendlyNameSupportDisabled, ArtifactNotFound and the text for batches are as users report them (delta-io/delta-rs#4401, Bertverbeek4PS/bc2adls#139, Eventual-Inc/Daft#7533).
    NOT_ON_THIS_PATH = BAD_REQUEST, "OperationNotAllowedOnThePath", "The operation is not allowed on this path: workspaces, items and their folders are managed by Fabric.";
    FRIENDLY_NAMES_OFF = BAD_REQUEST, "FriendlyNameSupportDisabled", "OneLake does not resolve this mix of names and identifiers: give the workspace and the item both by GUID, or both by name.";
    ITEM_NOT_FOUND = NOT_FOUND, "ArtifactNotFound", "The item is not found in the workspace.";
    IDS_MISSING = BAD_REQUEST, "BadRequest", "Either WorkspaceId or ArtifactId are missing in the request";

    // The state of the service.
    SERVER_BUSY = SERVICE_UNAVAILABLE, "ServerBusy", "The server is currently unable to receive requests. Please retry your request.";
    THROTTLED = TOO_MANY_REQUESTS, "TooManyRequests", "The request is throttled. Please retry after the time in the Retry-After header.";
    INTERNAL_ERROR = INTERNAL_SERVER_ERROR, "InternalError", "The server encountered an internal error. Please retry the request.";
}
