//! The Blob protocol over HTTP.

use futures::StreamExt;
use futures::stream;
use reqwest::Body;

use crate::support::{BLOCK, FILES, Lake, NEW};

#[tokio::test]
async fn a_blob_is_put_read_and_deleted() {
    let lake = Lake::start().await;
    let headers = [
        ("Content-Type", "text/plain"),
        ("x-ms-meta-colour", "red"),
        ("Cache-Control", "no-cache"),
    ];
    let put = lake.put_with(&headers, "a/b.txt", "hello").await;
    assert_eq!(put, "201");
    assert_eq!(put.header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    let read = lake.get("a/b.txt").await;
    assert_eq!((read.status, read.text()), (200, "hello"));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("cache-control", "no-cache"),
        ("x-ms-meta-colour", "red"),
        ("x-ms-properties", "colour=cmVk"),
        ("x-ms-blob-type", "BlockBlob"),
        ("accept-ranges", "bytes"),
        ("etag", put.header("etag")),
    ] {
        assert_eq!(read.header(name), value, "{name}");
    }
    let head = lake.head("a/b.txt").await;
    assert_eq!((head.status, head.text()), (200, ""));
    assert_eq!(head.header("content-length"), "5");
    assert_eq!(lake.delete("a/b.txt").await, "202");
    let gone = lake.get("a/b.txt").await;
    assert_eq!(gone, "404 BlobNotFound");
    let is_xml = gone.text().starts_with("<?xml") && gone.text().contains("<Code>BlobNotFound</Code>");
    assert!(is_xml, "{gone:?}");
    assert_eq!(lake.delete("a/b.txt").await, "404 BlobNotFound");
}

#[tokio::test]
async fn conditions_are_checked() {
    let lake = Lake::start().await;
    let put = async |name: &str, value: &str| lake.put_with(&[(name, value)], "a", "x").await;
    let first = put("If-None-Match", "*").await;
    assert_eq!(first, "201");
    assert_eq!(put("If-None-Match", "*").await, "409 BlobAlreadyExists");
    assert_eq!(put("If-Match", "\"0x1\"").await, "412 ConditionNotMet");
    let second = put("If-Match", first.header("etag")).await;
    assert_eq!(second, "201");
    let third = put("If-Match", first.header("etag")).await;
    assert_eq!(third, "412 ConditionNotMet", "each write has its own ETag");

    for (name, value, status) in [
        ("If-Match", second.header("etag"), 200),
        ("If-Match", first.header("etag"), 412),
        ("If-None-Match", second.header("etag"), 304),
        ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT", 304),
        ("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT", 412),
        ("If-Modified-Since", "yesterday", 400),
    ] {
        let read = lake.send("GET", "a", &[(name, value)], "").await;
        assert_eq!(read.status, status, "{name}: {value}");
    }
}

#[tokio::test]
async fn one_of_many_concurrent_creations_of_a_blob_succeeds() {
    let lake = Lake::start().await;
    let path = "log/00000000000000000001.json";
    let tries = stream::iter(0..24).map(|n| lake.put_with(&[NEW], path, format!("writer {n}")));
    let answers: Vec<_> = tries.buffered(8).collect().await;
    let won: Vec<_> = (0..24).filter(|n| answers[*n] == "201").collect();
    assert_eq!(won.len(), 1);
    let lost = answers.iter().filter(|answer| **answer == "409 BlobAlreadyExists");
    assert_eq!(lost.count(), 23);
    assert_eq!(lake.get(path).await.text(), format!("writer {}", won[0]));
}

#[tokio::test]
async fn ranges_of_a_blob_are_read() {
    let lake = Lake::start().await;
    lake.put("a", "0123456789").await;
    for (name, range, text, content_range) in [
        ("Range", "bytes=2-4", "234", "bytes 2-4/10"),
        ("x-ms-range", "bytes=7-", "789", "bytes 7-9/10"),
        ("x-ms-range", "bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let part = lake.send("GET", "a", &[(name, range)], "").await;
        assert_eq!((part.status, part.text()), (206, text));
        let length = text.len().to_string();
        let names = ["content-range", "content-length"];
        assert_eq!(part.headers(names), [content_range, &length]);
    }
    let beyond = lake.send("GET", "a", &[("Range", "bytes=10-")], "").await;
    assert_eq!(beyond, "416 InvalidRange");
    assert_eq!(beyond.header("content-range"), "bytes */10");
    let hashed = [("x-ms-range", "bytes=0-2"), ("x-ms-range-get-content-md5", "true")];
    let hashed = lake.send("GET", "a", &hashed, "").await;
    assert_eq!(hashed.header("content-md5"), "0kkPBI3Dt3pFfj5FCrTrOA==");
}

#[tokio::test]
async fn puts_without_required_headers_are_refused() {
    let lake = Lake::start().await;
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[], "400 MissingRequiredHeader"),
        (&[("x-ms-blob-type", "PageBlob")], "400 InvalidHeaderValue"),
        (&[BLOCK, ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "400 Md5Mismatch"),
        (&[BLOCK, ("Content-MD5", "AAAA")], "400 InvalidMd5"),
        (&[BLOCK, ("x-ms-meta-no-name", "x")], "400 InvalidMetadata"),
    ];
    for (headers, outcome) in cases {
        assert_eq!(lake.send("PUT", "a", headers, "abc").await, outcome);
    }
    let chunks = Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("abc")]));
    assert_eq!(lake.put("a", chunks).await, "411 MissingContentLengthHeader");
    lake.assert_outcomes(&[
        // None of them left anything.
        ("HEAD a", "", "404 BlobNotFound"),
        ("PUT a?comp=lease", "", "400 UnsupportedQueryParameter"),
        ("POST a", "", "405 UnsupportedHttpVerb"),
    ])
    .await;
}

#[tokio::test]
async fn a_blob_is_copied_with_its_properties() {
    let lake = Lake::start().await;
    let headers = [("x-ms-meta-colour", "red"), ("Content-Type", "text/plain")];
    lake.put_with(&headers, "from", "abc").await;
    let copy = async |source: &str, header| {
        let headers = [("x-ms-copy-source", source), header];
        lake.send("PUT", "to", &headers, "").await
    };
    let source = lake.url("from?sig=x");
    let copied = copy(&source, NEW).await;
    assert_eq!((copied.status, copied.header("x-ms-copy-status")), (202, "success"));
    let read = lake.get("to").await;
    assert_eq!(read.text(), "abc");
    let names = ["x-ms-meta-colour", "content-type"];
    assert_eq!(read.headers(names), ["red", "text/plain"]);
    assert_eq!(copy(&source, NEW).await, "409 BlobAlreadyExists");
    let metadata = ("x-ms-meta-size", "10");
    assert_eq!(copy(&source, metadata).await, "202");
    let head = lake.head("to").await;
    assert_eq!(head.headers(["x-ms-meta-colour", "x-ms-meta-size"]), ["", "10"]);
    assert_eq!(copy(&lake.url("none"), metadata).await, "404 BlobNotFound");
    assert_eq!(copy("http://elsewhere.invalid", metadata).await, "400 InvalidInput");
}

#[tokio::test]
async fn metadata_and_headers_are_set_and_read() {
    let lake = Lake::start().await;
    let put = lake.put("a", "abc").await;
    let metadata = [("x-ms-meta-colour", "red")];
    let set = lake.send("PUT", "a?comp=metadata", &metadata, "").await;
    assert_eq!(set, "200");
    assert_ne!(set.header("etag"), put.header("etag"));
    let read = lake.get("a?comp=metadata").await;
    assert_eq!((read.status, read.header("x-ms-meta-colour")), (200, "red"));
    let headers = [
        ("x-ms-blob-content-type", "image/png"),
        ("x-ms-blob-cache-control", "no-store"),
    ];
    assert_eq!(lake.send("PUT", "a?comp=properties", &headers, "").await, "200");
    let head = lake.head("a").await;
    let names = ["content-type", "cache-control", "x-ms-meta-colour", "content-md5"];
    assert_eq!(head.headers(names), ["image/png", "no-store", "red", ""]);
    lake.put("a", "new").await;
    let head = lake.head("a").await;
    assert_eq!(head.header("x-ms-meta-colour"), "", "a new blob has its own metadata");
}

#[tokio::test]
async fn a_batch_is_answered_as_onelake_does() {
    let lake = Lake::start().await;
    let headers = [("Content-Type", "multipart/mixed; boundary=b")];
    let url = "/claims?restype=container&comp=batch";
    let batch = lake.send("POST", url, &headers, "--b--").await;
    assert_eq!(batch.status, 400);
    let expected =
        r#"{"error":{"code":"BadRequest","message":"Either WorkspaceId or ArtifactId are missing in the request"}}"#;
    assert_eq!(batch.text(), expected);
    let count = lake.emulator.requests(onelake_emulator::Verb::Batch);
    assert_eq!((count.requests, count.statuses.get(&400)), (1, Some(&1)));
}

#[tokio::test]
async fn both_protocols_see_one_file() {
    let lake = Lake::start().await;
    lake.write("a", "by dfs").await;
    assert_eq!(lake.get("a").await.text(), "by dfs");
    lake.put("a", "by blob").await;
    assert_eq!(lake.append("a", 7, ", and dfs").await, "202");
    assert_eq!(lake.flush("a", 16).await, "200");
    let read = lake.get("a").await;
    // An MD5 of other bytes is worse than none.
    assert_eq!((read.text(), read.header("content-md5")), ("by blob, and dfs", ""));
    assert_eq!(lake.delete(FILES).await, "400 OperationNotAllowedOnThePath");
    lake.put("d/e", "x").await;
    assert_eq!(lake.delete("d").await, "409 DirectoryIsNotEmpty");
    let folder = lake.get("d").await;
    assert_eq!((folder.status, folder.text()), (200, ""));
    assert_eq!(folder.header("x-ms-resource-type"), "directory");
}
