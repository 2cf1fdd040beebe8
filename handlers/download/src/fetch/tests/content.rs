//! Files: their type, their name and their size.

use super::*;

#[tokio::test]
async fn real_files_of_every_extension_are_fetched_completely() {
    let folder = tokio::task::spawn_blocking(xact_testkit::real_files::folder)
        .await
        .unwrap()
        .unwrap();
    // The path names the file: `/EXTENSION/NAME`.
    let root = folder.join("accepted");
    let served = root.clone();
    let server = RawServer::start(move |_, mut connection| {
        let served = served.clone();
        async move {
            let request = connection.request().await;
            let path = request.split(' ').nth(1).unwrap_or_default();
            let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
            let file = std::fs::read(served.join(path.trim_start_matches('/'))).unwrap();
            let headers = format!("Content-Length: {}\r\nConnection: close\r\n", file.len());
            connection.send(&answer(&headers, &file)).await;
        }
    })
    .await;
    let bench = Bench::new();
    let mut extensions = 0;
    for extension in std::fs::read_dir(&root).unwrap().flatten() {
        extensions += 1;
        for file in std::fs::read_dir(extension.path()).unwrap().flatten() {
            let bytes = file.metadata().unwrap().len();
            let mut url = Url::parse(&format!("http://localhost:{}/", server.port)).unwrap();
            let names = [extension.file_name(), file.file_name()];
            let names = names.iter().map(|name| name.to_str().unwrap());
            url.path_segments_mut().unwrap().clear().extend(names);
            // Small ones only; the tests of the content rules read the others.
            if bytes > MAX_FILE_BYTES {
                continue;
            }
            let cached = bench.fetch_url(url.as_str()).await;
            let cached = cached.unwrap_or_else(|problem| panic!("{url}: {}", problem.message()));
            assert_eq!(cached.bytes, bytes, "{url}");
        }
    }
    assert_eq!(extensions, 24);
}

#[tokio::test]
async fn the_content_decides_and_a_difference_is_reported() {
    let bench = Bench::new();
    let heic = [&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], &[7; 200_000]].concat();
    let workbook = b"\x09\x08\x10\0\0\x06\x05\0\xBB\x0D\xCC\x07\0\0\0\0\x06\0\0\0".to_vec();
    let pdf = PDF.to_vec();
    // Name, headers, content; file type, content type, and the declared content type if it differs.
    for (name, headers, body, file_type, content_type, declared) in [
        (
            "a.jpg",
            "Content-Type: image/jpeg\r\n",
            &heic,
            "HEIC",
            "image/heic",
            Some("image/jpeg"),
        ),
        (
            "a.heif",
            "Content-Type: image/heif\r\n",
            &heic,
            "HEIC",
            "image/heic",
            None,
        ),
        (
            "a.pdf",
            "Content-Type: text/html\r\n",
            &pdf,
            "PDF",
            "application/pdf",
            Some("text/html"),
        ),
        (
            "a.pdf",
            "Content-Type: \"application/pdf\", application/pdf\r\n",
            &pdf,
            "PDF",
            "application/pdf",
            None,
        ),
        ("a.pdf", "", &pdf, "PDF", "application/pdf", None),
        (
            "a.pdf",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            &pdf,
            "PDF",
            "application/pdf",
            None,
        ),
        (
            "a.xls",
            "Content-Type: application/vnd.ms-office\r\n",
            &workbook,
            "XLS",
            "application/vnd.ms-excel",
            None,
        ),
        (
            "123e4567",
            "Content-Type: binary/octet-stream\r\n",
            &heic,
            "HEIC",
            "image/heic",
            None,
        ),
        ("download.ashx?id=7", "", &pdf, "PDF", "application/pdf", None),
    ] {
        for pieces in [1, 7] {
            let server = serves(headers, body, pieces).await;
            let url = format!("http://localhost:{}/{name}", server.port);
            let (cached, judged) = bench.judge_url(&url).await.unwrap();
            let case = format!("{name} {headers}");
            assert_eq!(cached.kind.file_type.as_deref(), Some(file_type), "{case}");
            assert_eq!(cached.kind.content_type.as_deref(), Some(content_type), "{case}");
            assert_eq!(cached.kind.declared_content_type.as_deref(), declared, "{case}");
            assert_eq!(judged.differs(), declared.is_some(), "{case}");
            assert_eq!(cached.bytes, body.len() as u64);
        }
    }
}

#[tokio::test]
async fn content_disposition_names_a_file_whose_url_does_not() {
    let bench = Bench::new();
    let csv = b"claim,room\r\n1,roof\r\n";
    for (path, disposition, expected) in [
        ("123e4567", "attachment; filename=\"claims.csv\"", Some("CSV")),
        (
            "123e4567",
            "attachment; filename*=UTF-8''claims%20%C3%BC.txt",
            Some("TXT"),
        ),
        ("get.aspx?id=1", "inline; filename=Gr\u{f6}\u{df}e.csv", Some("CSV")),
        // A name in the URL takes precedence.
        ("a.txt", "attachment; filename=claims.csv", Some("TXT")),
        ("123e4567", "attachment; filename=claims.json", None),
        ("123e4567", "attachment; filename=claims.exe", None),
        ("123e4567", "attachment", None),
    ] {
        let server = serves(&format!("Content-Disposition: {disposition}\r\n"), csv, 1).await;
        let url = format!("http://localhost:{}/{path}", server.port);
        let found = bench.fetch_url(&url).await;
        match (found, expected) {
            (Ok(cached), Some(expected)) => {
                assert_eq!(cached.kind.file_type.as_deref(), Some(expected), "{path} {disposition}");
            }
            (Err(problem), None) => {
                assert_eq!(problem.category, Category::Permanent);
                assert!(
                    problem.message().contains("first bytes"),
                    "{disposition}: {}",
                    problem.message()
                );
            }
            (found, _) => panic!("{path} {disposition}: {found:?}"),
        }
    }
    // A name does not make a page or a program acceptable.
    for body in [&b"<html>Sign in</html>"[..], b"MZ\x90\0\x03\0\0\0"] {
        let server = serves("Content-Disposition: attachment; filename=roof.pdf\r\n", body, 1).await;
        let problem = bench
            .fetch_url(&format!("http://localhost:{}/123e", server.port))
            .await
            .unwrap_err();
        assert_eq!(problem.category, Category::Permanent, "{}", problem.message());
    }
}

#[tokio::test]
async fn a_decompression_bomb_fails_by_its_ratio_before_its_size() {
    let bench = Bench::with_settings(LONG_TIMEOUTS, None, &[("MAX_FILE_BYTES", "1000000000000")]);
    let zeros = vec![b' '; 32 * 1024 * 1024];
    let bomb = gzip(&[PDF, &zeros].concat());
    let server = sends(sized("Content-Encoding: gzip\r\n", &bomb), Then::Hold).await;
    bench
        .assert_fails("a bomb", &server, Category::Permanent, "more than 200 times as many")
        .await;
    // Up to this size the ratio is not checked.
    let small = gzip(
        &[
            PDF,
            &zeros[..usize::try_from(body::RATIO_FREE_BYTES).unwrap() - PDF.len()],
        ]
        .concat(),
    );
    let server = sends(sized("Content-Encoding: gzip\r\n", &small), Then::Hold).await;
    assert_eq!(bench.fetch(&server).await.unwrap().bytes, body::RATIO_FREE_BYTES);
}

#[tokio::test]
async fn bytes_after_the_announced_end_never_reach_another_file() {
    let forged = answer("Content-Length: 12\r\n", b"%PDF-forged!");
    let mut first = answer(&format!("Content-Length: {}\r\n", PDF.len()), PDF);
    first.extend_from_slice(&forged);
    let server = sends(first, Then::Hold).await;
    let bench = Bench::new();
    for number in 1..=3 {
        let cached = bench.fetch(&server).await.unwrap();
        assert_eq!(cached.bytes, PDF.len() as u64, "file {number}");
        assert_eq!(server.connections(), number, "such a connection is not reused");
    }
}
