//! The Blob protocol over HTTP.

use futures::StreamExt;
use futures::stream;
use reqwest::Body;

use crate::support::{FILES, Lake};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

#[tokio::test]
async fn a_blob_is_put_read_and_deleted() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a/b.txt");
    let headers = [
        BLOCK,
        ("Content-Type", "text/plain"),
        ("x-ms-meta-colour", "red"),
        ("Cache-Control", "no-cache"),
    ];
    let put = lake.send("PUT", &path, &headers, "hello").await;
    assert_eq!(
        (put.status, put.header("content-md5")),
        (201, "XUFAKrxLKna5cZ2REBfFkg==")
    );
    let read = lake.get(&path).await;
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
    let head = lake.head(&path).await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, "5", 0)
    );
    assert_eq!(lake.send("DELETE", &path, &[], "").await.status, 202);
    let gone = lake.get(&path).await;
    assert_eq!(gone.outcome(), (404, "BlobNotFound"));
    assert!(
        gone.text().starts_with("<?xml") && gone.text().contains("<Code>BlobNotFound</Code>"),
        "{}",
        gone.text()
    );
    assert_eq!(
        lake.send("DELETE", &path, &[], "").await.outcome(),
        (404, "BlobNotFound")
    );
}

#[tokio::test]
async fn conditions_are_checked() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let put = |condition: &'static str, value: String| {
        let lake = &lake;
        let path = path.clone();
        async move { lake.send("PUT", &path, &[BLOCK, (condition, &value)], "x").await }
    };
    let first = put("If-None-Match", "*".into()).await;
    assert_eq!(first.status, 201);
    assert_eq!(
        put("If-None-Match", "*".into()).await.outcome(),
        (409, "BlobAlreadyExists")
    );
    let etag = first.header("etag").to_owned();
    assert_eq!(
        put("If-Match", "\"0x1\"".into()).await.outcome(),
        (412, "ConditionNotMet")
    );
    let second = put("If-Match", etag.clone()).await;
    assert_eq!(second.status, 201);
    assert_eq!(
        put("If-Match", etag.clone()).await.outcome(),
        (412, "ConditionNotMet"),
        "each write has its own ETag"
    );

    let current = second.header("etag").to_owned();
    let get = |condition: &'static str, value: String| {
        let lake = &lake;
        let path = path.clone();
        async move { lake.send("GET", &path, &[(condition, &value)], "").await.status }
    };
    assert_eq!(get("If-Match", current.clone()).await, 200);
    assert_eq!(get("If-Match", etag).await, 412);
    assert_eq!(get("If-None-Match", current).await, 304);
    assert_eq!(
        get("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT".into()).await,
        304
    );
    assert_eq!(
        get("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT".into()).await,
        412
    );
    assert_eq!(get("If-Modified-Since", "yesterday".into()).await, 400);
}

#[tokio::test]
async fn one_of_many_concurrent_creations_of_a_blob_succeeds() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/log/00000000000000000001.json");
    let tries = stream::iter(0..24).map(|n: usize| {
        let (lake, path) = (&lake, &path);
        async move {
            (
                n,
                lake.send("PUT", path, &[BLOCK, ("If-None-Match", "*")], format!("writer {n}"))
                    .await,
            )
        }
    });
    let answers: Vec<_> = tries.buffer_unordered(8).collect().await;
    let won: Vec<_> = answers.iter().filter(|(_, answer)| answer.status == 201).collect();
    assert_eq!(won.len(), 1);
    assert!(
        answers
            .iter()
            .all(|(_, answer)| answer.status == 201 || answer.outcome() == (409, "BlobAlreadyExists"))
    );
    assert_eq!(lake.get(&path).await.text(), format!("writer {}", won[0].0));
}

#[tokio::test]
async fn ranges_of_a_blob_are_read() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.put(&path, "0123456789").await;
    for (name, range, text, content_range) in [
        ("Range", "bytes=2-4", "234", "bytes 2-4/10"),
        ("x-ms-range", "bytes=7-", "789", "bytes 7-9/10"),
        ("x-ms-range", "bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let part = lake.send("GET", &path, &[(name, range)], "").await;
        assert_eq!(
            (part.status, part.text(), part.header("content-range")),
            (206, text, content_range)
        );
        assert_eq!(part.header("content-length"), text.len().to_string());
    }
    let beyond = lake.send("GET", &path, &[("Range", "bytes=10-")], "").await;
    assert_eq!(
        (beyond.outcome(), beyond.header("content-range")),
        ((416, "InvalidRange"), "bytes */10")
    );
    let hashed = [("x-ms-range", "bytes=0-2"), ("x-ms-range-get-content-md5", "true")];
    assert_eq!(
        lake.send("GET", &path, &hashed, "").await.header("content-md5"),
        "0kkPBI3Dt3pFfj5FCrTrOA=="
    );
}

#[tokio::test]
async fn puts_without_required_headers_are_refused() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let put = |headers: Vec<(&'static str, &'static str)>| {
        let lake = &lake;
        let path = path.clone();
        async move { lake.send("PUT", &path, &headers, "abc").await }
    };
    assert_eq!(put(vec![]).await.outcome(), (400, "MissingRequiredHeader"));
    assert_eq!(
        put(vec![("x-ms-blob-type", "PageBlob")]).await.outcome(),
        (400, "InvalidHeaderValue")
    );
    assert_eq!(
        put(vec![BLOCK, ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")])
            .await
            .outcome(),
        (400, "Md5Mismatch")
    );
    assert_eq!(
        put(vec![BLOCK, ("Content-MD5", "AAAA")]).await.outcome(),
        (400, "InvalidMd5")
    );
    assert_eq!(
        put(vec![BLOCK, ("x-ms-meta-no-name", "x")]).await.outcome(),
        (400, "InvalidMetadata")
    );
    let chunks = Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("abc")]));
    assert_eq!(
        lake.send("PUT", &path, &[BLOCK], chunks).await.outcome(),
        (411, "MissingContentLengthHeader")
    );
    assert_eq!(lake.head(&path).await.status, 404, "none of them left anything");
    let lease = lake.send("PUT", &format!("{path}?comp=lease"), &[], "").await;
    assert_eq!(lease.outcome(), (400, "UnsupportedQueryParameter"));
    assert_eq!(
        lake.send("POST", &path, &[], "").await.outcome(),
        (405, "UnsupportedHttpVerb")
    );
}

#[tokio::test]
async fn a_blob_is_copied_with_its_properties() {
    let lake = Lake::start().await;
    let (from, to) = (format!("{FILES}/from"), format!("{FILES}/to"));
    lake.send(
        "PUT",
        &from,
        &[BLOCK, ("x-ms-meta-colour", "red"), ("Content-Type", "text/plain")],
        "abc",
    )
    .await;
    let source = format!("{}{from}?sig=x", lake.emulator.url());
    let copied = lake
        .send("PUT", &to, &[("x-ms-copy-source", &source), ("If-None-Match", "*")], "")
        .await;
    assert_eq!((copied.status, copied.header("x-ms-copy-status")), (202, "success"));
    let read = lake.get(&to).await;
    assert_eq!(
        (
            read.text(),
            read.header("x-ms-meta-colour"),
            read.header("content-type")
        ),
        ("abc", "red", "text/plain")
    );
    let again = lake
        .send("PUT", &to, &[("x-ms-copy-source", &source), ("If-None-Match", "*")], "")
        .await;
    assert_eq!(again.outcome(), (409, "BlobAlreadyExists"));
    let renamed = [("x-ms-copy-source", source.as_str()), ("x-ms-meta-size", "10")];
    assert_eq!(lake.send("PUT", &to, &renamed, "").await.status, 202);
    let head = lake.head(&to).await;
    assert_eq!(
        (head.header("x-ms-meta-colour"), head.header("x-ms-meta-size")),
        ("", "10")
    );
    let missing = format!("{}{FILES}/none", lake.emulator.url());
    let answer = lake.send("PUT", &to, &[("x-ms-copy-source", &missing)], "").await;
    assert_eq!(answer.outcome(), (404, "BlobNotFound"));
    let outside = lake
        .send("PUT", &to, &[("x-ms-copy-source", "http://elsewhere.invalid")], "")
        .await;
    assert_eq!(outside.outcome(), (400, "InvalidInput"));
}

#[tokio::test]
async fn metadata_and_headers_are_set_and_read() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let put = lake.put(&path, "abc").await;
    let set = lake
        .send(
            "PUT",
            &format!("{path}?comp=metadata"),
            &[("x-ms-meta-colour", "red")],
            "",
        )
        .await;
    assert_eq!(set.status, 200);
    assert_ne!(set.header("etag"), put.header("etag"));
    let read = lake.get(&format!("{path}?comp=metadata")).await;
    assert_eq!((read.status, read.header("x-ms-meta-colour")), (200, "red"));
    let headers = [
        ("x-ms-blob-content-type", "image/png"),
        ("x-ms-blob-cache-control", "no-store"),
    ];
    assert_eq!(
        lake.send("PUT", &format!("{path}?comp=properties"), &headers, "")
            .await
            .status,
        200
    );
    let head = lake.head(&path).await;
    assert_eq!(
        (head.header("content-type"), head.header("cache-control")),
        ("image/png", "no-store")
    );
    assert_eq!(
        (head.header("x-ms-meta-colour"), head.header("content-md5")),
        ("red", "")
    );
    lake.put(&path, "new").await;
    assert_eq!(
        lake.head(&path).await.header("x-ms-meta-colour"),
        "",
        "a new blob has its own metadata"
    );
}

#[tokio::test]
async fn a_batch_is_answered_as_onelake_does() {
    let lake = Lake::start().await;
    let batch = lake
        .send(
            "POST",
            "/claims?restype=container&comp=batch",
            &[("Content-Type", "multipart/mixed; boundary=b")],
            "--b--",
        )
        .await;
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
    let path = format!("{FILES}/a");
    lake.write(&path, "by dfs").await;
    assert_eq!(lake.get(&path).await.text(), "by dfs");
    lake.put(&path, "by blob").await;
    assert_eq!(lake.append(&path, 7, ", and dfs").await.status, 202);
    assert_eq!(lake.flush(&path, 16).await.status, 200);
    let read = lake.get(&path).await;
    assert_eq!(
        (read.text(), read.header("content-md5")),
        ("by blob, and dfs", ""),
        "an MD5 of other bytes is worse than none"
    );
    assert_eq!(
        lake.send("DELETE", FILES, &[], "").await.outcome(),
        (400, "OperationNotAllowedOnThePath")
    );
    lake.put(&format!("{FILES}/d/e"), "x").await;
    assert_eq!(
        lake.send("DELETE", &format!("{FILES}/d"), &[], "").await.outcome(),
        (409, "DirectoryIsNotEmpty")
    );
    assert_eq!(
        lake.put(&format!("{FILES}/d"), "x").await.outcome(),
        (409, "PathConflict")
    );
    let folder = lake.get(&format!("{FILES}/d")).await;
    assert_eq!(
        (folder.status, folder.header("x-ms-resource-type"), folder.body.len()),
        (200, "directory", 0)
    );
}
