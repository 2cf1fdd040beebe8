//! Answers that are odd and harmless: each is the file that it holds.

use super::*;

const PDF_SHA256: &str = "026bb3d8af9ab1e1e2ec9d63dc3712e17cd9105dae94ea981e1f2b7aa8b2fa36";

/// Name and answer; the connection then stays open. Each is a whole PDF.
#[rustfmt::skip] // One answer a line.
fn odd_answers() -> Vec<(&'static str, Vec<u8>)> {
    let headers = |headers: &str| sized(headers, PDF);
    vec![
        ("a coding without a name", headers("Content-Encoding:\r\n")),
        ("a blank coding", headers("Content-Encoding:  \r\n")),
        ("identity", headers("Content-Encoding: identity\r\n")),
        ("utf-8", headers("Content-Encoding: UTF-8\r\n")),
        ("another character set", headers("Content-Encoding: ISO-8859-1\r\n")),
        ("base64 that is none", headers("Content-Encoding: base64\r\n")),
        ("aws-chunked on a plain body", headers("Content-Encoding: aws-chunked\r\n")),
        ("aws-chunked with its frames", sized("Content-Encoding: aws-chunked\r\n", &signed_frames(PDF, 20))),
        ("gzip", sized("Content-Encoding: gzip\r\n", &gzip(PDF))),
        ("gzip of two members", sized("Content-Encoding: x-gzip\r\n", &[gzip(&PDF[..9]), gzip(&PDF[9..])].concat())),
        ("gzip and zeros behind it", sized("Content-Encoding: gzip\r\n", &[gzip(PDF), vec![0; 100]].concat())),
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
async fn odd_answers_are_the_file_that_they_hold() {
    let bench = Bench::new();
    for (name, bytes) in odd_answers() {
        let server = sends(bytes, true).await;
        let fetched = bench.fetch(&server).await;
        let cached = fetched.unwrap_or_else(|problem| panic!("{name}: {}", problem.message()));
        assert_eq!(cached.bytes, PDF.len() as u64, "{name}");
        assert_eq!(cached.sha256, PDF_SHA256, "{name}");
    }
}

#[tokio::test]
async fn a_bomb_ends_at_its_ratio_long_before_its_size() {
    let bench = Bench::with_settings(PATIENT, None, &[("MAX_FILE_BYTES", "1000000000000")]);
    let zeros = vec![b' '; 32 * 1024 * 1024];
    let bomb = gzip(&[PDF, &zeros].concat());
    let server = sends(sized("Content-Encoding: gzip\r\n", &bomb), true).await;
    bench
        .assert_fails("a bomb", &server, Category::Permanent, "more than 200 times as many")
        .await;
    // As much of it as is judged by its size alone.
    let small = gzip(
        &[
            PDF,
            &zeros[..usize::try_from(body::UNJUDGED_RATIO_BYTES).unwrap() - PDF.len()],
        ]
        .concat(),
    );
    let server = sends(sized("Content-Encoding: gzip\r\n", &small), true).await;
    assert_eq!(bench.fetch(&server).await.unwrap().bytes, body::UNJUDGED_RATIO_BYTES);
}

#[tokio::test]
async fn the_same_text_is_checked_and_fetched() {
    for (location, path) in [
        (&b"/Roof photo 1.pdf"[..], "/Roof%20photo%201.pdf"),
        ("/größe.pdf".as_bytes(), "/gr%C3%B6%C3%9Fe.pdf"),
        (b"/Gr\xF6\xDFe.pdf", "/Gr%F6%DFe.pdf"),
        (b"b c.pdf?x=d e", "/b%20c.pdf?x=d%20e"),
        (b"/a%20b.pdf", "/a%20b.pdf"),
    ] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = RawServer::start({
            let (seen, location) = (Arc::clone(&seen), location.to_vec());
            move |number, mut connection: Connection| {
                let (seen, location) = (Arc::clone(&seen), location.clone());
                async move {
                    let request = connection.request().await;
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(path);
                    let redirect = [
                        b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: ",
                        &location[..],
                        b"\r\n\r\n",
                    ];
                    let file = sized("Connection: close\r\n", PDF);
                    connection
                        .send(if number == 0 { redirect.concat() } else { file }.as_slice())
                        .await;
                }
            }
        })
        .await;
        let first = format!("http://localhost:{}/first file ü.pdf", server.port);
        let cached = Bench::new().fetch_url(&first).await;
        assert!(
            cached.is_ok(),
            "{path}: {:?}",
            cached.err().map(|problem| problem.message().to_owned())
        );
        assert_eq!(*seen.lock().unwrap(), ["/first%20file%20%C3%BC.pdf", path]);
    }
}
