//! Responses that are unusual but unambiguous: each is fetched as the file that it contains.

use super::*;

/// Name and response, each with a complete PDF. The connection stays open after it.
#[rustfmt::skip] // One response per line.
fn unusual_responses() -> Vec<(&'static str, Vec<u8>)> {
    let headers = |headers: &str| sized(headers, PDF);
    vec![
        ("a coding without a name", headers("Content-Encoding:\r\n")),
        ("a blank coding", headers("Content-Encoding:  \r\n")),
        ("identity", headers("Content-Encoding: identity\r\n")),
        ("utf-8", headers("Content-Encoding: UTF-8\r\n")),
        ("another character set", headers("Content-Encoding: ISO-8859-1\r\n")),
        ("base64 that is not base64", headers("Content-Encoding: base64\r\n")),
        ("aws-chunked on a plain body", headers("Content-Encoding: aws-chunked\r\n")),
        ("aws-chunked with its frames", sized("Content-Encoding: aws-chunked\r\n", &signed_frames(PDF, 20))),
        ("gzip", sized("Content-Encoding: gzip\r\n", &gzip(PDF))),
        ("gzip of two members", sized("Content-Encoding: x-gzip\r\n", &[gzip(&PDF[..9]), gzip(&PDF[9..])].concat())),
        ("gzip followed by zeros", sized("Content-Encoding: gzip\r\n", &[gzip(PDF), vec![0; 100]].concat())),
        ("gzip in frames", sized("Content-Encoding: aws-chunked,gzip\r\n", &signed_frames(&gzip(PDF), 8))),
        ("gzip on two lines with utf-8", sized("Content-Encoding: utf-8\r\nContent-Encoding: gzip\r\n", &gzip(PDF))),
        ("gzip on a plain body", headers("Content-Encoding: gzip\r\n")),
        ("gzip in chunks", [answer("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", format!("{:x}\r\n", gzip(PDF).len()).as_bytes()), gzip(PDF), b"\r\n0\r\n\r\n".to_vec()].concat()),
        ("a length twice in one line", headers(&format!("Content-Length: {0}, {0}\r\n", PDF.len()))),
        ("a length twice", headers(&format!("Content-Length: {}\r\n", PDF.len()))),
        ("a folded length", answer(&format!("Content-Length:\r\n  {}\r\n", PDF.len()), PDF)),
        ("a length and spaces", answer(&format!("Content-Length  :   {}  \r\n", PDF.len()), PDF)),
        ("folded chunks", [answer("Transfer-Encoding:\r\n chunked\r\n", format!("{:x}\r\n", PDF.len()).as_bytes()), PDF.to_vec(), b"\r\n0\r\n\r\n".to_vec()].concat()),
        ("a folded header", headers("X: y\r\n\tz\r\n")),
        ("a folded header of many lines", headers("Content-Security-Policy: a;\r\n  b;\r\n  c\r\n")),
        ("a space before the colon", headers("Server : old\r\n")),
        ("a header without a name", headers(": y\r\n")),
        ("a header without a colon", headers("PHP Warning\r\n")),
        ("a PHP warning", headers("PHP Warning: PHP Startup: Unable to load '/usr/lib/x.so' in Unknown on line 0\r\n")),
        ("a document type as a header", headers("<!DOCTYPE html PUBLIC: \"-//W3C//DTD\"\r\n")),
        ("a control character in a cookie", headers("Set-Cookie: a=dmo\x01OZPF; path=/\r\n")),
        ("a DEL in a cookie", headers("Set-Cookie: domain=\x7fwww\r\n")),
        ("letters of another alphabet in a name", headers("X-Größe: 1\r\n")),
        ("Latin-1 in a value", [b"HTTP/1.1 200 OK\r\nX: Gr\xF6\xDFe\r\n", format!("Content-Length: {}\r\n\r\n", PDF.len()).as_bytes(), PDF].concat()),
        ("lines that end in LF alone", [b"HTTP/1.1 200 OK\nX: y\n", format!("Content-Length: {}\n\n", PDF.len()).as_bytes(), PDF].concat()),
        ("a status line without a reason", [b"HTTP/1.1 200\r\n", format!("Content-Length: {}\r\n\r\n", PDF.len()).as_bytes(), PDF].concat()),
    ]
}

#[tokio::test]
async fn unusual_responses_are_fetched() {
    let bench = Bench::new();
    for (name, bytes) in unusual_responses() {
        let server = sends(bytes, Then::Hold).await;
        bench.assert_fetches_pdf(name, &server).await;
    }
}
