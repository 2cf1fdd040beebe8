//! Responses that break the rules of HTTP, of a coding or of a file.

use super::*;

/// Name, response, category, and words of the failure. The connection stays open after it.
#[rustfmt::skip] // One response per line.
fn malformed_responses() -> Vec<(&'static str, Vec<u8>, Category, &'static str)> {
    use Category::{Permanent, Transient, Unknown};
    let raw = |text: &str| text.as_bytes().to_vec();
    let headers = |headers: &str| answer(headers, PDF);
    let chunks = |body: &str| answer("Transfer-Encoding: chunked\r\n", body.as_bytes());
    vec![
        // The status line
        ("not HTTP", raw("SSH-2.0-OpenSSH_9.2\r\n"), Transient, "the request failed"),
        ("HTTP/0.9", PDF.to_vec(), Transient, "the request failed"),
        ("HTTP/2 without a request for it", b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), Transient, "the request failed"),
        ("HTTP/2 in the status line", raw("HTTP/2.0 200 OK\r\n\r\n"), Transient, "the request failed"),
        ("a status of two digits", raw("HTTP/1.1 20 OK\r\n\r\n"), Transient, "the request failed"),
        ("an unknown status", raw("HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n"), Unknown, "999"),
        ("an upgrade", raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), Unknown, "101"),
        ("half of a file", raw("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\n%PDF-"), Unknown, "206"),
        ("a redirect to nowhere", raw("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), Permanent, "302 Found without a Location"),
        ("a redirect to nothing", raw("HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n"), Permanent, "302 Found without a Location"),
        // Lengths
        ("a length that is not a number", headers("Content-Length: many\r\n"), Transient, "the request failed"),
        ("a negative length", headers("Content-Length: -1\r\n"), Transient, "the request failed"),
        ("a length of thirty digits", headers("Content-Length: 100000000000000000000000000000\r\n"), Transient, "the request failed"),
        ("two lengths", headers("Content-Length: 51\r\nContent-Length: 52\r\n"), Transient, "the request failed"),
        ("a length over the limit", headers("Content-Length: 9223372036854775807\r\n"), Permanent, "MAX_FILE_BYTES"),
        ("a length, and chunks that disagree", answer("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"9\r\n%PDF-1.7\n\r\n0\r\n\r\n"), Transient, "5 were announced"),
        ("no byte", answer("Content-Length: 0\r\n", b""), Permanent, "the file is empty"),
        ("no byte in chunks", chunks("0\r\n\r\n"), Permanent, "the file is empty"),
        // Chunks
        ("a chunk size that is not a number", chunks("zz\r\n%PDF-"), Transient, "ended early"),
        ("a chunk of seventeen digits", chunks("FFFFFFFFFFFFFFFFF\r\n%PDF-"), Transient, "ended early"),
        ("a chunk that is longer than its size", chunks("5\r\n%PDF-1.7\r\n0\r\n\r\n"), Transient, "ended early"),
        ("a negative chunk", chunks("-5\r\n%PDF-"), Transient, "ended early"),
        ("a chunk extension without an end", chunks(&format!("5;{}", "x".repeat(500_000))), Transient, "ended early"),
        ("trailers without an end", chunks(&format!("5\r\n%PDF-\r\n0\r\n{}", "x: y\r\n".repeat(100_000))), Transient, "ended early"),
        // The end of the body is given in two ways, or in none that can be trusted
        ("lengths in a list that differ", headers("Content-Length: 51, 52\r\n"), Transient, "the request failed"),
        ("a folded length of two numbers", headers("Content-Length: 5\r\n 1\r\n"), Transient, "the request failed"),
        ("a length in hexadecimal", headers("Content-Length: 0x33\r\n"), Transient, "the request failed"),
        ("an empty length", headers("Content-Length: \r\n"), Transient, "the request failed"),
        ("a length with a control character", headers("Content-Length: 5\x01\r\n"), Transient, "does not announce where its body ends"),
        ("a length under a broken name", headers("Content\x01-Length: 5\r\n"), Transient, "does not announce where its body ends"),
        ("a length without a colon", headers("Content-Length 5\r\n"), Transient, "does not announce where its body ends"),
        ("chunks with a control character", answer("Transfer-Encoding: chunked\x01\r\n", b"5\r\n%PDF-\r\n0\r\n\r\n"), Transient, "does not announce where its body ends"),
        ("chunks in HTTP/1.0", raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%PDF-\r\n0\r\n\r\n"), Transient, "the request failed"),
        ("chunks that are not the last coding", answer("Transfer-Encoding: chunked, identity\r\n", PDF), Permanent, "transfer-encoding"),
        ("a folded coding of chunks", answer("Transfer-Encoding: gzip,\r\n chunked\r\n", b"5\r\n%PDF-\r\n0\r\n\r\n"), Permanent, "transfer-encoding"),
        ("a short body in spite of its coding", [answer("Content-Length: 500\r\nTransfer-Encoding: chunked\r\n", format!("{:x}\r\n", PDF.len()).as_bytes()), PDF.to_vec(), b"\r\n0\r\n\r\n".to_vec()].concat(), Transient, "500 were announced"),
        // Codings that are not supported
        ("brotli in capitals", headers("CONTENT-ENCODING: BR\r\n"), Permanent, "\"BR\""),
        ("zstd", headers("Content-Encoding: zstd\r\n"), Permanent, "\"zstd\""),
        ("compress", headers("Content-Encoding: compress\r\n"), Permanent, "\"compress\""),
        ("several codings", headers("Content-Encoding: identity, br\r\n"), Permanent, "\"identity, br\""),
        ("a second line of codings", headers("Content-Encoding: identity\r\nContent-Encoding: br\r\n"), Permanent, "content-encoding"),
        ("a coding that is not text", [b"HTTP/1.1 200 OK\r\nContent-Encoding: \xFF\r\n\r\n", PDF].concat(), Permanent, "content-encoding"),
        ("gzip as a transfer coding", answer("Transfer-Encoding: gzip, chunked\r\n", b"5\r\n%PDF-\r\n0\r\n\r\n"), Permanent, "transfer-encoding"),
        // Bodies that do not match their coding
        ("half of a gzip body", sized("Content-Encoding: gzip\r\n", &gzip(PDF)[..40]), Transient, "ends within its gzip coding"),
        ("a gzip body with a wrong checksum", sized("Content-Encoding: gzip\r\n", &{ let mut body = gzip(PDF); let at = body.len() - 8; body[at] ^= 1; body }), Permanent, "the gzip data is corrupt"),
        ("a gzip body shorter than announced", answer(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\nTransfer-Encoding: identity\r\n", gzip(PDF).len() + 1), &gzip(PDF)), Transient, "the body"),
        ("not deflate", sized("Content-Encoding: deflate\r\n", PDF), Permanent, "the deflate data is corrupt"),
        ("truncated frames", sized("Content-Encoding: aws-chunked\r\n", &signed_frames(PDF, 20)[..150]), Transient, "ends within its aws-chunked coding"),
        ("an HTML page in gzip", sized("Content-Encoding: gzip\r\n", &gzip(b"<!DOCTYPE html><html><body>no</body></html>")), Permanent, "HTML"),
        ("a program in gzip", sized("Content-Encoding: gzip\r\n", &gzip(&[b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3E\0".as_slice(), &[0; 64]].concat())), Permanent, ""),
        ("nothing in gzip", sized("Content-Encoding: gzip\r\n", &gzip(b"")), Permanent, "the file is empty"),
        ("more than allowed in gzip", sized("Content-Encoding: gzip\r\n", &gzip(&[PDF, &[b' '; 1_000_000]].concat())), Permanent, "MAX_FILE_BYTES"),
        // Headers
        ("a header of two megabytes", headers(&format!("X: {}\r\n", "x".repeat(2_000_000))), Transient, "the request failed"),
        ("ten thousand headers", headers(&"X: y\r\n".repeat(10_000)), Transient, "the request failed"),
        ("NUL in a header", headers("X: \0\r\n"), Transient, "the request failed"),
        ("a carriage return in a header", headers("X: a\rb\r\n"), Transient, "the request failed"),
    ]
}

#[tokio::test]
async fn malformed_responses_end_in_their_category() {
    let bench = Bench::new();
    for (name, bytes, category, words) in malformed_responses() {
        let server = sends(bytes, Then::Hold).await;
        bench.assert_fails(name, &server, category, words).await;
    }
}
