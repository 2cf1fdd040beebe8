//! Errors of S3 and of Azure Storage: each ends in its category, with a text that says what to do.

use super::*;

/// Status, headers, body, query of the URL, category, and words of the failure.
#[rustfmt::skip] // One response per line.
fn service_errors() -> Vec<(&'static str, &'static str, String, String, Category, &'static str)> {
    use Category::{Auth, Permanent, Transient};
    let s3 = |code: &str, message: &str| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>");
    let none = String::new;
    let from_now = |minutes: i64| Timestamp::now().checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
    let azure = |start: i64| format!("st={:.0}&se={:.0}&sig=SECRET", from_now(start), from_now(60));
    let signed = |start: i64| format!("X-Amz-Date={}&X-Amz-Expires=7200&X-Amz-Signature=SECRET", from_now(start).strftime("%Y%m%dT%H%M%SZ"));
    vec![
        ("400 Bad Request", "", s3("RequestTimeout", "Your socket connection was not read from"), none(), Transient, "400 Bad Request (S3 RequestTimeout)"),
        ("400 Bad Request", "", s3("SlowDown", "Please reduce your request rate."), none(), Transient, "(S3 SlowDown)"),
        ("503 Slow Down", "", s3("SlowDown", ""), none(), Transient, "(S3 SlowDown)"),
        ("409 Conflict", "", s3("OperationAborted", ""), none(), Transient, "(S3 OperationAborted)"),
        ("403 Forbidden", "", s3("RequestTimeTooSkewed", ""), none(), Transient, "(S3 RequestTimeTooSkewed)"),
        ("500 Internal Server Error", "", s3("InternalError", ""), none(), Transient, "(S3 InternalError)"),
        ("412 Precondition Failed", "x-ms-error-code: ServerBusy\r\n", none(), none(), Transient, "(Azure ServerBusy)"),
        ("409 Conflict", "x-ms-error-code: BlobArchived\r\n", none(), none(), Permanent, "(Azure BlobArchived)"),
        ("403 Forbidden", "", s3("AccessDenied", "Access Denied"), none(), Permanent, "(S3 AccessDenied)"),
        ("403 Forbidden", "", s3("AccessDenied", "Request has expired"), none(), Permanent, "has expired; the source must resend the event"),
        ("400 Bad Request", "", s3("ExpiredToken", "The provided token has expired."), none(), Permanent, "credentials that signed the URL have expired"),
        ("403 Forbidden", "", s3("InvalidObjectState", ""), none(), Permanent, "archived"),
        ("404 Not Found", "", s3("NoSuchKey", ""), none(), Permanent, "404 Not Found (S3 NoSuchKey)"),
        ("404 Not Found", "", "<html>SlowDown</html>".to_owned(), none(), Permanent, "404 Not Found"),
        ("400 Bad Request", "", format!("{}{}", "x".repeat(9000), s3("SlowDown", "")), none(), Permanent, "400 Bad Request"),
        ("400 Bad Request", "", s3("https://evil.example/?sig=SECRET", ""), none(), Permanent, "400 Bad Request"),
        ("401 Unauthorized", "", s3("SlowDown", ""), none(), Auth, "(S3 SlowDown)"),
        ("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", s3("PermanentRedirect", ""), none(), Permanent, "without a Location (S3 PermanentRedirect): the bucket is in region `eu-west-1`"),
        ("307 Temporary Redirect", "", s3("TemporaryRedirect", ""), none(), Permanent, "(S3 TemporaryRedirect)"),
        ("301 Moved Permanently", "x-amz-bucket-region: <script>\r\n", none(), none(), Permanent, "301 Moved Permanently without a Location"),
        ("400 Bad Request", "", "<Error><Code>AuthorizationQueryParametersError</Code><Region>us-west-1</Region></Error>".to_owned(), none(), Permanent, "region `us-west-1`"),
        // Not valid yet according to the service's clock, or to ours
        ("403 Forbidden", "", s3("AccessDenied", "Request is not valid yet"), signed(-1), Transient, "may not be valid yet"),
        ("403 Forbidden", "", s3("AccessDenied", "Access Denied"), signed(-1), Permanent, "(S3 AccessDenied)"),
        ("403 Forbidden", "", s3("AccessDenied", "Access Denied"), signed(5), Transient, "may not be valid yet"),
        ("403 Forbidden", "x-ms-error-code: AuthenticationFailed\r\n", none(), azure(-1), Transient, "may not be valid yet"),
        ("403 Forbidden", "x-ms-error-code: AuthenticationFailed\r\n", none(), azure(-20), Permanent, "(Azure AuthenticationFailed)"),
        ("403 Forbidden", "", "<Error><Code>AuthenticationFailed</Code><Message>Failed.</Message><AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [Fri]</AuthenticationErrorDetail></Error>".to_owned(), azure(-20), Transient, "may not be valid yet"),
        ("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n", none(), azure(-1), Permanent, "does not permit reading"),
        ("403 Forbidden", "", s3("SignatureDoesNotMatch", ""), signed(5), Permanent, "(S3 SignatureDoesNotMatch)"),
        ("403 Forbidden", "", none(), azure(-1), Transient, "may not be valid yet"),
        ("404 Not Found", "x-ms-error-code: BlobNotFound\r\n", none(), azure(-1), Permanent, "(Azure BlobNotFound)"),
    ]
}

#[tokio::test]
async fn errors_of_storage_services_are_classified_by_their_codes() {
    let bench = Bench::new();
    for (status, headers, body, query, category, words) in service_errors() {
        for then in [Then::Hold, Then::Close] {
            // Without a length the body ends with the connection.
            let length = match then {
                Then::Hold => format!("Content-Length: {}\r\n", body.len()),
                Then::Close => String::new(),
            };
            let answer = format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n{body}");
            let server = sends(answer.into_bytes(), then).await;
            let fetched = bench.fetch_url(&server.url(&format!("a.pdf?{query}"))).await;
            let problem = fetched.expect_err(status);
            let text = problem.message();
            assert_eq!(problem.category, category, "{status} {body}: {text}");
            assert!(text.contains(words), "{status} {body}: {text}");
            assert!(!text.contains("SECRET"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_signature_that_is_not_valid_after_a_redirect_is_explained() {
    let (config, pem) = tls("claimxperience.com,www.claimxperience.com", &[b"http/1.1"]);
    let server = RawServer::start_with(Some(config), |_, mut connection| async move {
        let request = connection.request().await;
        let answer = if request.contains("host: www.") {
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 48\r\n\r\n<Error><Code>SignatureDoesNotMatch</Code></Error>"
        } else {
            "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: https://www.claimxperience.com/a.pdf?X-Amz-Date=20200101T000000Z&X-Amz-Expires=999999999&X-Amz-Signature=SECRET\r\n\r\n"
        };
        connection.send(answer.as_bytes()).await;
    })
    .await;
    let resolve =
        ["claimxperience.com", "www.claimxperience.com"].map(|host| format!("{host}=127.0.0.1:{}", server.port));
    let settings = [("DEV_RESOLVE", resolve.join(","))];
    let bench = Bench::with_settings(LONG_TIMEOUTS, Some(&pem), &settings);
    let problem = bench.fetch_url("https://claimxperience.com/a.pdf").await.unwrap_err();
    assert_eq!(problem.category, Category::Permanent);
    let text = problem.message();
    let words = "(S3 SignatureDoesNotMatch); this was after a redirect to another host";
    assert!(text.contains(words) && !text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn an_error_with_an_endless_body_ends_in_time() {
    let bench = Bench::with(SHORT_TIMEOUTS, None);
    let server = RawServer::start(|_, mut connection| async move {
        connection.request().await;
        connection.send(b"HTTP/1.1 404 Not Found\r\n\r\n").await;
        connection.send_forever(&[b'x'; 1000]).await;
    })
    .await;
    bench.assert_fails("endless", &server, Category::Permanent, "404").await;
    let part = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n<Error><Code>SlowDown</Code>";
    let server = sends(part.to_vec(), Then::Hold).await;
    bench.assert_is_transient("silent", &server, "SlowDown").await;
}
