//! Files: their type, their name and their size.

use super::*;

#[tokio::test]
async fn real_files_of_every_extension_are_fetched_completely() {
    let folder = tokio::task::spawn_blocking(xact_testkit::real_files::folder).await;
    // The path names the file: `/EXTENSION/NAME`.
    let root = folder.unwrap().unwrap().join("accepted");
    let served = root.clone();
    let server = RawServer::start(move |_, mut connection| {
        let served = served.clone();
        async move {
            let request = connection.request().await;
            let path = percent_encoding::percent_decode_str(path_of(&request)).decode_utf8_lossy();
            let file = std::fs::read(served.join(path.trim_start_matches('/'))).unwrap();
            connection.send(&sized("Connection: close\r\n", &file)).await;
        }
    })
    .await;
    let bench = Bench::new();
    let mut extensions = 0;
    for extension in std::fs::read_dir(&root).unwrap().flatten() {
        extensions += 1;
        for file in std::fs::read_dir(extension.path()).unwrap().flatten() {
            let bytes = file.metadata().unwrap().len();
            // Small ones only; the tests of the content rules read the others.
            if bytes > MAX_FILE_BYTES {
                continue;
            }
            let mut url = Url::parse(&server.url("")).unwrap();
            let names = [extension.file_name(), file.file_name()];
            let names = names.iter().map(|name| name.to_str().unwrap());
            url.path_segments_mut().unwrap().clear().extend(names);
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
    let pdf = (PDF.to_vec(), "PDF", "application/pdf");
    let heic = (heic, "HEIC", "image/heic");
    let xls = (workbook, "XLS", "application/vnd.ms-excel");
    // Name, declared content type, file, and whether the declared type is reported as different.
    for (name, declared, file, differs) in [
        ("a.jpg", "image/jpeg", &heic, true),
        ("a.heif", "image/heif", &heic, false),
        ("a.pdf", "text/html", &pdf, true),
        ("a.pdf", "\"application/pdf\", application/pdf", &pdf, false),
        ("a.pdf", "", &pdf, false),
        ("a.pdf", "application/x-www-form-urlencoded", &pdf, false),
        ("a.xls", "application/vnd.ms-office", &xls, false),
        ("123e4567", "binary/octet-stream", &heic, false),
        ("download.ashx?id=7", "", &pdf, false),
    ] {
        let (body, file_type, content_type) = file;
        for pieces in [1, 7] {
            let named = Some(declared).filter(|declared| !declared.is_empty());
            let header = named.map(|declared| format!("Content-Type: {declared}\r\n"));
            let response = sized(&header.unwrap_or_default(), body);
            let server = sends_in_pieces(response, pieces, Then::Hold).await;
            let (cached, judged) = bench.judge_url(&server.url(name)).await.unwrap();
            let expected = ContentKind {
                file_type: Some((*file_type).to_owned()),
                content_type: Some((*content_type).to_owned()),
                declared_content_type: differs.then(|| declared.to_owned()),
            };
            assert_eq!(cached.kind, expected, "{name} {declared}");
            assert_eq!(judged.differs(), differs, "{name} {declared}");
            assert_eq!(cached.bytes, body.len() as u64);
        }
    }
}

#[tokio::test]
async fn content_disposition_names_a_file_whose_url_does_not() {
    let bench = Bench::new();
    let csv = b"claim,room\r\n1,roof\r\n";
    for (path, disposition, expected) in [
        ("123e", "attachment; filename=\"claims.csv\"", Some("CSV")),
        ("123e", "attachment; filename*=UTF-8''claims%20%C3%BC.txt", Some("TXT")),
        ("get.aspx?id=1", "inline; filename=Gr\u{f6}\u{df}e.csv", Some("CSV")),
        // A name in the URL takes precedence.
        ("a.txt", "attachment; filename=claims.csv", Some("TXT")),
        ("123e", "attachment; filename=claims.json", None),
        ("123e", "attachment; filename=claims.exe", None),
        ("123e", "attachment", None),
    ] {
        let server = sends(
            sized(&format!("Content-Disposition: {disposition}\r\n"), csv),
            Then::Hold,
        )
        .await;
        let found = bench.fetch_url(&server.url(path)).await;
        match (&found, expected) {
            (Ok(cached), Some(_)) => assert_eq!(cached.kind.file_type.as_deref(), expected, "{path} {disposition}"),
            (Err(problem), None) => {
                let text = problem.message();
                assert_eq!(problem.category, Category::Permanent);
                assert!(text.contains("first bytes"), "{disposition}: {text}");
            }
            _ => panic!("{path} {disposition}: {found:?}"),
        }
    }
    // A name does not make a page or a program acceptable.
    for body in [&b"<html>Sign in</html>"[..], b"MZ\x90\0\x03\0\0\0"] {
        let headers = "Content-Disposition: attachment; filename=roof.pdf\r\n";
        let server = sends(sized(headers, body), Then::Hold).await;
        let problem = bench.fetch_url(&server.url("123e")).await.unwrap_err();
        assert_eq!(problem.category, Category::Permanent, "{}", problem.message());
    }
}

#[tokio::test]
async fn a_decompression_bomb_fails_by_its_ratio_before_its_size() {
    let settings = [("MAX_FILE_BYTES", "1000000000000".to_owned())];
    let bench = Bench::with_settings(LONG_TIMEOUTS, None, &settings);
    let gzipped = |bytes| {
        let mut file = PDF.to_vec();
        file.resize(bytes, b' ');
        sends(sized("Content-Encoding: gzip\r\n", &gzip(&file)), Then::Hold)
    };
    let server = gzipped(32 * 1024 * 1024).await;
    let words = "more than 200 times as many";
    bench.assert_fails("a bomb", &server, Category::Permanent, words).await;
    // Up to this size the ratio is not checked.
    let server = gzipped(body::RATIO_FREE_BYTES.try_into().unwrap()).await;
    assert_eq!(bench.fetch(&server).await.unwrap().bytes, body::RATIO_FREE_BYTES);
}

#[tokio::test]
async fn bytes_after_the_announced_end_never_reach_another_file() {
    let forged = answer("Content-Length: 12\r\n", b"%PDF-forged!");
    let server = sends([sized("", PDF), forged].concat(), Then::Hold).await;
    let bench = Bench::new();
    for number in 1..=3 {
        bench.assert_fetches_pdf(&format!("file {number}"), &server).await;
        assert_eq!(server.connections(), number, "such a connection is not reused");
    }
}
