//! The errors of S3 and of Azure Storage: their status alone does not say whether another attempt helps, their code does.
//!
//! An error's body is text of an unknown server. It is searched for what is known, and nothing of it is repeated: codes come
//! from the list below, and a region only in the form that regions have.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::HeaderMap;

/// Bytes of an error's body that are looked at: S3's have some hundred, and the code stands in front.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// How long an error's body is waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a code means that the same request may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    TryAgain,
    Final,
}
use Meaning::{Final, TryAgain};

/// Codes that a download may be answered with: [S3][s3], what its SDKs repeat beyond that, and [Azure Storage][azure].
///
/// [s3]: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
/// [azure]: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
#[rustfmt::skip] // One code a line.
const CODES: [(&str, Meaning, &str); 58] = [
    ("BandwidthLimitExceeded", TryAgain, ""),
    ("Busy", TryAgain, ""),
    ("ConditionalRequestConflict", TryAgain, ""),
    ("ConnectionClosedByRequester", TryAgain, ""),
    ("IncompleteBody", TryAgain, ""),
    ("InternalError", TryAgain, ""),
    ("OperationAborted", TryAgain, ""),
    ("OperationTimedOut", TryAgain, ""),
    ("PriorRequestNotComplete", TryAgain, ""),
    ("RequestLimitExceeded", TryAgain, ""),
    ("RequestThrottled", TryAgain, ""),
    ("RequestThrottledException", TryAgain, ""),
    ("RequestTimeTooSkewed", TryAgain, "the clocks of the signer and of the service are more than 15 minutes apart"),
    ("RequestTimeout", TryAgain, ""),
    ("RequestTimeoutException", TryAgain, ""),
    ("ServerBusy", TryAgain, ""),
    ("ServiceUnavailable", TryAgain, ""),
    ("SlowDown", TryAgain, ""),
    ("ThrottledException", TryAgain, ""),
    ("Throttling", TryAgain, ""),
    ("ThrottlingException", TryAgain, ""),
    ("TooManyRequests", TryAgain, ""),
    ("TooManyRequestsException", TryAgain, ""),
    ("AccountBeingCreated", TryAgain, ""),

    ("AccessDenied", Final, ""),
    ("AccountIsDisabled", Final, ""),
    ("AccountProblem", Final, ""),
    ("AllAccessDisabled", Final, ""),
    ("AuthenticationFailed", Final, ""),
    ("AuthorizationFailure", Final, "the storage account does not let this network in, or the signature does not cover the request"),
    ("AuthorizationHeaderMalformed", Final, ""),
    ("AuthorizationPermissionMismatch", Final, "the signature does not permit reading"),
    ("AuthorizationProtocolMismatch", Final, ""),
    ("AuthorizationQueryParametersError", Final, ""),
    ("AuthorizationServiceMismatch", Final, ""),
    ("AuthorizationSourceIPMismatch", Final, "the signature is for requests from another address"),
    ("BlobArchived", Final, "the file must be rehydrated from the archive tier first"),
    ("BlobBeingRehydrated", Final, "the file is being rehydrated from the archive tier, which takes hours: replay it then"),
    ("BlobNotFound", Final, ""),
    ("ContainerBeingDeleted", Final, ""),
    ("ContainerNotFound", Final, ""),
    ("ExpiredToken", Final, "the credentials that signed the URL have expired; the source must send the event anew, with fresh URLs"),
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

/// What an error answer of S3 or of Azure Storage says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServiceError {
    /// Service and code: `S3 SlowDown`.
    code: Option<(&'static str, &'static str)>,
    meaning: Option<Meaning>,
    advice: &'static str,
    /// Where the bucket is, if the service names another region than the URL.
    region: Option<String>,
    /// The service takes the URL for one that is not valid yet, or, as Azure says it, not valid now.
    pub(super) is_not_valid_yet: bool,
    is_expired: bool,
}

impl ServiceError {
    /// Reads an error answer to its end, or to where it is too long or too slow.
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

    /// Whether the service says that the same request may succeed later.
    pub(super) fn means_try_again(&self) -> bool {
        self.meaning == Some(TryAgain)
    }

    /// Whether the service says nothing more than that the request is not allowed.
    pub(super) fn may_be_about_time(&self) -> bool {
        matches!(self.code, None | Some((_, "AccessDenied" | "AuthenticationFailed")))
    }

    /// What is known of it, to stand behind the status: empty, or ` (S3 AccessDenied): …`.
    pub(super) fn explanation(&self) -> String {
        let mut text = self
            .code
            .map(|(service, code)| format!(" ({service} {code})"))
            .unwrap_or_default();
        let region = self.region.as_ref().map(|region| {
            format!("the bucket is in region `{region}`, where this URL's signature does not hold; the source must sign URLs for it")
        });
        let expired = "the service says that the URL has expired; the source must send the event anew, with fresh URLs";
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
    // What came until then is searched.
    let _ = tokio::time::timeout(timeout, read).await;
    body
}

/// The text of an XML element without attributes and children.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = behind.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

/// `us-west-2`, `us-gov-east-1`.
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
    use reqwest::header::HeaderValue;

    use super::*;

    fn explained(headers: &[(&'static str, &'static str)], body: &str) -> (ServiceError, String) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let error = ServiceError::of(&map, body.as_bytes());
        let text = error.explanation();
        (error, text)
    }

    #[test]
    fn codes_are_distinct_and_say_what_they_mean() {
        for (index, (code, ..)) in CODES.iter().enumerate() {
            assert!(CODES[index + 1..].iter().all(|(other, ..)| other != code), "{code}");
        }
        let of = |code: &str| explained(&[], &format!("<Error><Code>{code}</Code></Error>")).0;
        for code in [
            "RequestTimeout",
            "SlowDown",
            "InternalError",
            "OperationAborted",
            "ServerBusy",
        ] {
            assert!(of(code).means_try_again(), "{code}");
        }
        for code in [
            "AccessDenied",
            "ExpiredToken",
            "NoSuchKey",
            "SignatureDoesNotMatch",
            "Invented",
        ] {
            assert!(!of(code).means_try_again(), "{code}");
        }
    }

    #[test]
    fn what_is_known_is_explained_and_nothing_else_is_repeated() {
        let s3 = |code: &str, rest: &str| format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{rest}</Error>");
        for (headers, body, text) in [
            (&[][..], s3("SlowDown", "<Message>x</Message>"), " (S3 SlowDown)"),
            (&[], s3(" SlowDown\n", ""), " (S3 SlowDown)"),
            (
                &[("x-ms-error-code", "ServerBusy")],
                String::new(),
                " (Azure ServerBusy)",
            ),
            (
                &[("x-ms-request-id", "1")],
                s3("BlobNotFound", ""),
                " (Azure BlobNotFound)",
            ),
            (&[], s3("https://evil.example/?sig=x", ""), ""),
            (&[], s3("slowdown", ""), ""),
            (&[], "<Code>SlowDown".to_owned(), ""),
            (&[], "<html>503</html>".to_owned(), ""),
            (&[], String::new(), ""),
            (&[("x-amz-bucket-region", "us-west-2; DROP TABLE")], String::new(), ""),
            (&[], s3("Invented", "<Region>https://evil.example</Region>"), ""),
        ] {
            assert_eq!(explained(headers, &body).1, text, "{body}");
        }
        let region = explained(&[("x-amz-bucket-region", "eu-central-1")], &s3("PermanentRedirect", "")).1;
        assert!(
            region.starts_with(" (S3 PermanentRedirect): the bucket is in region `eu-central-1`"),
            "{region}"
        );
        let region = explained(
            &[],
            &s3("AuthorizationHeaderMalformed", "<Region>us-gov-east-1</Region>"),
        )
        .1;
        assert!(region.contains("`us-gov-east-1`"), "{region}");
        let expired = explained(&[], &s3("AccessDenied", "<Message>Request has expired</Message>")).1;
        assert!(expired.contains("has expired"), "{expired}");
    }

    #[test]
    fn a_url_that_is_not_valid_yet_is_told() {
        let s3 = "<Error><Code>AccessDenied</Code><Message>Request is not valid yet</Message></Error>";
        assert!(explained(&[], s3).0.is_not_valid_yet);
        let azure = "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate.</Message><AuthenticationErrorDetail>\
            Signature not valid in the specified time frame: Start [Fri]</AuthenticationErrorDetail></Error>";
        assert!(explained(&[], azure).0.is_not_valid_yet);
        assert!(
            !explained(
                &[],
                "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            )
            .0
            .is_not_valid_yet
        );
    }

    #[test]
    fn regions_have_their_form() {
        for region in ["us-west-2", "eu-central-1", "us-gov-east-1", "ap-southeast-14"] {
            assert!(is_region(region), "{region}");
        }
        for text in [
            "",
            "us",
            "us-west",
            "us-west-2-",
            "US-WEST-2",
            "us-west-222",
            "us-west-+2",
            "us west-2",
            "us-west-2\n",
            "-west-2",
            "a-b-c-d-2",
        ] {
            assert!(!is_region(text), "{text}");
        }
    }
}
