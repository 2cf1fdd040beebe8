//! Error responses of S3 and of Azure Storage. Their code says what the status alone does not: whether a retry may help.
//!
//! The body of an error is untrusted text. It is searched for known values only, and nothing else of it is repeated: codes
//! are those of the list below, and a region must have the form of one.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::HeaderMap;

/// Bytes of an error's body that are read. S3's bodies have some hundred, with the code at the front.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// Timeout of an error's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Retryable,
    Final,
}
use Meaning::{Final, Retryable};

/// Codes that a download may receive: those of [S3][s3], further ones that its SDKs retry, and those of [Azure Storage][azure].
///
/// [s3]: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
/// [azure]: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
#[rustfmt::skip] // One code per line.
const CODES: [(&str, Meaning, &str); 58] = [
    ("BandwidthLimitExceeded", Retryable, ""),
    ("Busy", Retryable, ""),
    ("ConditionalRequestConflict", Retryable, ""),
    ("ConnectionClosedByRequester", Retryable, ""),
    ("IncompleteBody", Retryable, ""),
    ("InternalError", Retryable, ""),
    ("OperationAborted", Retryable, ""),
    ("OperationTimedOut", Retryable, ""),
    ("PriorRequestNotComplete", Retryable, ""),
    ("RequestLimitExceeded", Retryable, ""),
    ("RequestThrottled", Retryable, ""),
    ("RequestThrottledException", Retryable, ""),
    ("RequestTimeTooSkewed", Retryable, "the clocks of the signer and of the service are more than 15 minutes apart"),
    ("RequestTimeout", Retryable, ""),
    ("RequestTimeoutException", Retryable, ""),
    ("ServerBusy", Retryable, ""),
    ("ServiceUnavailable", Retryable, ""),
    ("SlowDown", Retryable, ""),
    ("ThrottledException", Retryable, ""),
    ("Throttling", Retryable, ""),
    ("ThrottlingException", Retryable, ""),
    ("TooManyRequests", Retryable, ""),
    ("TooManyRequestsException", Retryable, ""),
    ("AccountBeingCreated", Retryable, ""),

    ("AccessDenied", Final, ""),
    ("AccountIsDisabled", Final, ""),
    ("AccountProblem", Final, ""),
    ("AllAccessDisabled", Final, ""),
    ("AuthenticationFailed", Final, ""),
    ("AuthorizationFailure", Final, "the storage account does not allow this network, or the signature does not cover the request"),
    ("AuthorizationHeaderMalformed", Final, ""),
    ("AuthorizationPermissionMismatch", Final, "the signature does not permit reading"),
    ("AuthorizationProtocolMismatch", Final, ""),
    ("AuthorizationQueryParametersError", Final, ""),
    ("AuthorizationServiceMismatch", Final, ""),
    ("AuthorizationSourceIPMismatch", Final, "the signature is for requests from another address"),
    ("BlobArchived", Final, "the file must be rehydrated from the archive tier first"),
    ("BlobBeingRehydrated", Final, "the file is being rehydrated from the archive tier, which takes hours: replay it after that"),
    ("BlobNotFound", Final, ""),
    ("ContainerBeingDeleted", Final, ""),
    ("ContainerNotFound", Final, ""),
    ("ExpiredToken", Final, "the credentials that signed the URL have expired; the source must resend the event with fresh URLs"),
    ("IllegalLocationConstraintException", Final, ""),
    ("InsufficientAccountPermissions", Final, ""),
    ("InvalidAccessKeyId", Final, ""),
    ("InvalidObjectState", Final, "the file is archived and must be restored first"),
    ("InvalidRequest", Final, ""),
    ("InvalidToken", Final, ""),
    ("InvalidURI", Final, ""),
    ("KeyTooLongError", Final, ""),
    ("MethodNotAllowed", Final, ""),
    ("NoSuchBucket", Final, ""),
    ("NoSuchKey", Final, ""),
    ("NoSuchVersion", Final, ""),
    ("PermanentRedirect", Final, ""),
    ("ResourceNotFound", Final, ""),
    ("SignatureDoesNotMatch", Final, ""),
    ("TemporaryRedirect", Final, ""),
];

/// An error response of S3 or of Azure Storage.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServiceError {
    /// Service and code: `S3 SlowDown`.
    code: Option<(&'static str, &'static str)>,
    meaning: Option<Meaning>,
    advice: &'static str,
    /// The region of the bucket, if the service names one.
    region: Option<String>,
    /// The service says that the URL is not valid yet (Azure: not valid now).
    pub(super) is_not_valid_yet: bool,
    is_expired: bool,
}

impl ServiceError {
    /// Reads an error response, up to the limits of size and time.
    pub(super) async fn read(response: Response, timeout: Duration) -> Self {
        let headers = response.headers().clone();
        let body = read_body(response, timeout.min(BODY_TIMEOUT)).await;
        Self::of(&headers, &body)
    }

    fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let is_azure = headers.keys().any(|name| name.as_str().starts_with("x-ms-"));
        let service = if is_azure { "Azure" } else { "S3" };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let written = text("x-ms-error-code").or_else(|| element(&body, "Code"));
        let known = CODES.iter().find(|(code, ..)| written == Some(*code));
        let region = text("x-amz-bucket-region").or_else(|| element(&body, "Region"));
        let message = element(&body, "Message").unwrap_or_default();
        let detail = element(&body, "AuthenticationErrorDetail").unwrap_or_default();
        Self {
            code: known.map(|(code, ..)| (service, *code)),
            meaning: known.map(|(_, meaning, _)| *meaning),
            advice: known.map_or("", |(.., advice)| advice),
            region: region.filter(|region| is_region(region)).map(str::to_owned),
            is_not_valid_yet: message.starts_with("Request is not valid yet")
                || detail.starts_with("Signature not valid in the specified time frame"),
            is_expired: message.starts_with("Request has expired"),
        }
    }

    /// Returns whether the same request may succeed later, according to the code.
    pub(super) fn is_retryable(&self) -> bool {
        self.meaning == Some(Retryable)
    }

    /// Returns whether the service says no more than that the request is not allowed.
    pub(super) fn is_only_denied(&self) -> bool {
        matches!(self.code, None | Some((_, "AccessDenied" | "AuthenticationFailed")))
    }

    /// Returns the text to append to the status: empty, or ` (S3 AccessDenied): …`.
    pub(super) fn explanation(&self) -> String {
        let code = self.code.map(|(service, code)| format!(" ({service} {code})"));
        let mut text = code.unwrap_or_default();
        let region = self.region.as_ref().map(|region| {
            format!("the bucket is in region `{region}`, for which this URL's signature is not valid; the source must sign URLs for that region")
        });
        let expired = "the service says that the URL has expired; the source must resend the event with fresh URLs";
        let advice = match region.as_deref() {
            Some(region) => region,
            None if self.is_expired => expired,
            None => self.advice,
        };
        if !advice.is_empty() {
            text.push_str(": ");
            text.push_str(advice);
        }
        text
    }
}

async fn read_body(mut response: Response, timeout: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            let wanted = (MAX_BODY_BYTES - body.len()).min(piece.len());
            body.extend_from_slice(&piece[..wanted]);
            if body.len() == MAX_BODY_BYTES {
                break;
            }
        }
    };
    // After a timeout, what was received is searched.
    let _ = tokio::time::timeout(timeout, read).await;
    body
}

/// Returns the text of an XML element without attributes and children.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

/// Checks the form of a region: `us-west-2`, `us-gov-east-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let number = parts.next_back().unwrap_or_default();
    let words: Vec<&str> = parts.collect();
    text.len() <= 32
        && (2..=3).contains(&words.len())
        && words.into_iter().all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn codes_are_distinct() {
        let distinct: HashSet<_> = CODES.iter().map(|(code, ..)| code).collect();
        assert_eq!(distinct.len(), CODES.len());
    }

    #[test]
    fn known_values_are_explained_and_nothing_else_is_repeated() {
        let s3 = |code: &str, rest: &str| format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{rest}</Error>");
        let none = ("x-other", "");
        for (header, body, text) in [
            (none, s3("SlowDown", "<Message>x</Message>"), " (S3 SlowDown)"),
            (none, s3(" SlowDown\n", ""), " (S3 SlowDown)"),
            (("x-ms-error-code", "ServerBusy"), s3("", ""), " (Azure ServerBusy)"),
            (("x-ms-request-id", "1"), s3("ServerBusy", ""), " (Azure ServerBusy)"),
            (none, s3("https://evil.example/?sig=x", ""), ""),
            (none, s3("slowdown", ""), ""),
            (none, "<Code>SlowDown".to_owned(), ""),
            (none, "<html>503</html>".to_owned(), ""),
            (none, String::new(), ""),
            (("x-amz-bucket-region", "us-west-2; DROP TABLE"), s3("", ""), ""),
            (none, s3("Invented", "<Region>https://evil.example</Region>"), ""),
        ] {
            let (name, value) = header;
            let headers = [(HeaderName::from_static(name), HeaderValue::from_static(value))];
            let error = ServiceError::of(&HeaderMap::from_iter(headers), body.as_bytes());
            assert_eq!(error.explanation(), text, "{body}");
        }
    }

    #[test]
    fn the_form_of_regions_is_checked() {
        for region in ["a-b-2", "us-west-2", "us-gov-east-1", "ap-southeast-14"] {
            assert!(is_region(region), "{region}");
        }
        for text in [
            "", "us", "us-west", "a-b-2-", "A-b-2", "a-b-222", "a-b-+2", "a b-2", "a-b-2\n", "-b-2",
        ] {
            assert!(!is_region(text), "{text}");
        }
        assert!(!is_region("a-b-c-d-2"));
    }
}
