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
    assert_eq!(gone.told(), (404, "BlobNotFound"));
    assert!(
        gone.text().starts_with("<?xml") && gone.text().contains("<Code>BlobNotFound</Code>"),
        "{}",
        gone.text()
    );
    assert_eq!(lake.send("DELETE", &path, &[], "").await.told(), (404, "BlobNotFound"));
}

#[tokio::test]
async fn conditions_are_kept() {
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
        put("If-None-Match", "*".into()).await.told(),
        (409, "BlobAlreadyExists")
    );
    let etag = first.header("etag").to_owned();
    assert_eq!(put("If-Match", "\"0x1\"".into()).await.told(), (412, "ConditionNotMet"));
    let second = put("If-Match", etag.clone()).await;
    assert_eq!(second.status, 201);
    assert_eq!(
        put("If-Match", etag.clone()).await.told(),
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
async fn of_many_who_ask_for_a_new_blob_one_gets_it() {
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
            .all(|(_, answer)| answer.status == 201 || answer.told() == (409, "BlobAlreadyExists"))
    );
    assert_eq!(lake.get(&path).await.text(), format!("writer {}", won[0].0));
}

#[tokio::test]
async fn parts_of_a_blob_are_read() {
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
        (beyond.told(), beyond.header("content-range")),
        ((416, "InvalidRange"), "bytes */10")
    );
    let hashed = [("x-ms-range", "bytes=0-2"), ("x-ms-range-get-content-md5", "true")];
    assert_eq!(
        lake.send("GET", &path, &hashed, "").await.header("content-md5"),
        "0kkPBI3Dt3pFfj5FCrTrOA=="
    );
}

#[tokio::test]
async fn puts_without_what_they_need_are_refused() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let put = |headers: Vec<(&'static str, &'static str)>| {
        let lake = &lake;
        let path = path.clone();
        async move { lake.send("PUT", &path, &headers, "abc").await }
    };
    assert_eq!(put(vec![]).await.told(), (400, "MissingRequiredHeader"));
    assert_eq!(
        put(vec![("x-ms-blob-type", "PageBlob")]).await.told(),
        (400, "InvalidHeaderValue")
    );
    assert_eq!(
        put(vec![BLOCK, ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")])
            .await
            .told(),
        (400, "Md5Mismatch")
    );
    assert_eq!(
        put(vec![BLOCK, ("Content-MD5", "AAAA")]).await.told(),
        (400, "InvalidMd5")
    );
    assert_eq!(
        put(vec![BLOCK, ("x-ms-meta-no-name", "x")]).await.told(),
        (400, "InvalidMetadata")
    );
    let chunks = Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("abc")]));
    assert_eq!(
        lake.send("PUT", &path, &[BLOCK], chunks).await.told(),
        (411, "MissingContentLengthHeader")
    );
    assert_eq!(lake.head(&path).await.status, 404, "none of them left anything");
    let lease = lake.send("PUT", &format!("{path}?comp=lease"), &[], "").await;
    assert_eq!(lease.told(), (400, "UnsupportedQueryParameter"));
    assert_eq!(
        lake.send("POST", &path, &[], "").await.told(),
        (405, "UnsupportedHttpVerb")
    );
}

async fn put_block(lake: &Lake, path: &str, id: &str, body: &'static str) {
    let answer = lake
        .send("PUT", &format!("{path}?comp=block&blockid={id}"), &[], body)
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn commit(lake: &Lake, path: &str, list: &str) -> (u16, String) {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
    let answer = lake.send("PUT", &format!("{path}?comp=blocklist"), &[], body).await;
    (answer.status, answer.header("x-ms-error-code").to_owned())
}

#[tokio::test]
async fn a_blob_is_made_of_blocks_new_and_old() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    put_block(&lake, &path, "QQ==", "aaa").await;
    put_block(&lake, &path, "Qg==", "bb").await;
    assert_eq!(lake.head(&path).await.status, 404, "blocks are no blob");
    let list = lake.get(&format!("{path}?comp=blocklist&blocklisttype=all")).await;
    let uncommitted = "<CommittedBlocks></CommittedBlocks><UncommittedBlocks><Block><Name>QQ==</Name><Size>3</Size></Block><Block><Name>Qg==</Name><Size>2</Size></Block></UncommittedBlocks>";
    assert!(list.text().contains(uncommitted), "{}", list.text());

    assert_eq!(
        commit(&lake, &path, "<Latest>Qg==</Latest><Uncommitted>QQ==</Uncommitted>")
            .await
            .0,
        201
    );
    assert_eq!(lake.get(&path).await.text(), "bbaaa");
    put_block(&lake, &path, "Qw==", "c").await;
    put_block(&lake, &path, "QQ==", "AAA").await;
    let mixed = "<Committed>QQ==</Committed><Latest>QQ==</Latest><Latest>Qw==</Latest><Committed>Qg==</Committed>";
    assert_eq!(commit(&lake, &path, mixed).await.0, 201);
    assert_eq!(lake.get(&path).await.text(), "aaaAAAcbb");
    let list = lake.get(&format!("{path}?comp=blocklist&blocklisttype=all")).await;
    assert!(
        list.text().contains("<UncommittedBlocks></UncommittedBlocks>"),
        "{}",
        list.text()
    );
    assert_eq!(list.header("x-ms-blob-content-length"), "9");
}

#[tokio::test]
async fn a_block_list_with_an_unknown_block_changes_nothing() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    put_block(&lake, &path, "QQ==", "aaa").await;
    let refused = (400, "InvalidBlockList".to_owned());
    for list in [
        "<Latest>Qg==</Latest>",
        "<Committed>QQ==</Committed>",
        "<Latest>QQ==</Latest><Uncommitted>Qg==</Uncommitted>",
    ] {
        assert_eq!(commit(&lake, &path, list).await, refused, "{list}");
    }
    assert_eq!(
        commit(&lake, &path, "<Other>QQ==</Other>").await,
        (400, "InvalidXmlDocument".to_owned())
    );
    assert_eq!(lake.head(&path).await.status, 404);
    assert_eq!(commit(&lake, &path, "<Latest>QQ==</Latest>").await.0, 201);
    for id in ["", "%25", &"QUFB".repeat(22)] {
        let answer = lake
            .send("PUT", &format!("{path}?comp=block&blockid={id}"), &[], "x")
            .await;
        assert_eq!(answer.told(), (400, "InvalidQueryParameterValue"), "{id}");
    }
    let nothing = lake.get(&format!("{FILES}/none?comp=blocklist")).await;
    assert_eq!(nothing.told(), (404, "BlobNotFound"));
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
    assert_eq!(again.told(), (409, "BlobAlreadyExists"));
    let renamed = [("x-ms-copy-source", source.as_str()), ("x-ms-meta-size", "10")];
    assert_eq!(lake.send("PUT", &to, &renamed, "").await.status, 202);
    let head = lake.head(&to).await;
    assert_eq!(
        (head.header("x-ms-meta-colour"), head.header("x-ms-meta-size")),
        ("", "10")
    );
    let missing = format!("{}{FILES}/none", lake.emulator.url());
    let answer = lake.send("PUT", &to, &[("x-ms-copy-source", &missing)], "").await;
    assert_eq!(answer.told(), (404, "BlobNotFound"));
    let outside = lake
        .send("PUT", &to, &[("x-ms-copy-source", "http://elsewhere.invalid")], "")
        .await;
    assert_eq!(outside.told(), (400, "InvalidInput"));
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

/// What stands between tags, in order: `(tag, text)` for each of `Name` in blobs and prefixes.
fn names(xml: &str, element: &str) -> Vec<String> {
    let begin = format!("<{element}><Name>");
    let parts = xml.split(&begin).skip(1);
    parts
        .map(|part| part.split("</Name>").next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn lists_have_prefixes_levels_and_pages() {
    let lake = Lake::start().await;
    for name in ["log/1.json", "log/2.json", "log/3.json", "part=a%2526b/x", "z"] {
        assert_eq!(lake.put(&format!("{FILES}/{name}"), "x").await.status, 201);
    }
    let list = |query: String| {
        let lake = &lake;
        async move {
            let list = lake.get(&format!("/claims?restype=container&comp=list&{query}")).await;
            assert_eq!(list.status, 200, "{}", list.text());
            list.text().to_owned()
        }
    };
    let files = "Lake.Lakehouse/Files/";
    let below = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("{files}{name}")).collect() };
    let flat = list(format!("prefix={files}")).await;
    assert_eq!(
        names(&flat, "Blob"),
        below(&[
            "log",
            "log/1.json",
            "log/2.json",
            "log/3.json",
            "part=a%26b",
            "part=a%26b/x",
            "z"
        ])
    );
    assert!(
        flat.contains("<ResourceType>directory</ResourceType>"),
        "folders are blobs of a kind"
    );
    let level = list(format!("prefix={files}&delimiter=/")).await;
    assert_eq!(names(&level, "BlobPrefix"), below(&["log/", "part=a%26b/"]));
    assert_eq!(names(&level, "Blob"), below(&["z"]));
    // As Delta looks for new commits.
    let from = list(format!("prefix={files}log/&delimiter=/&startFrom={files}log/2.json")).await;
    assert_eq!(
        names(&from, "Blob"),
        below(&["log/2.json", "log/3.json"]),
        "the start is among them"
    );
    for size in 1..4 {
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let page = list(format!("prefix={files}log/&maxresults={size}&marker={marker}")).await;
            found.extend(names(&page, "Blob"));
            marker = page
                .split("<NextMarker>")
                .nth(1)
                .unwrap()
                .split("</NextMarker>")
                .next()
                .unwrap()
                .to_owned();
            if marker.is_empty() {
                break;
            }
        }
        assert_eq!(
            found,
            below(&["log/1.json", "log/2.json", "log/3.json"]),
            "{size} a page"
        );
    }
    assert!(names(&list("prefix=nothing".into()).await, "Blob").is_empty());
    let refused = lake.get("/claims?restype=container&comp=list&maxresults=0").await;
    assert_eq!(refused.told(), (400, "OutOfRangeQueryParameterValue"));
    let refused = lake.get("/nobody?restype=container&comp=list").await;
    assert_eq!(refused.told(), (404, "ContainerNotFound"));
}

#[tokio::test]
async fn metadata_is_listed_on_request() {
    let lake = Lake::start().await;
    lake.send(
        "PUT",
        &format!("{FILES}/a"),
        &[BLOCK, ("x-ms-meta-colour", "red & blue")],
        "x",
    )
    .await;
    let plain = lake
        .get("/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/a")
        .await;
    assert!(!plain.text().contains("colour"));
    let full = lake
        .get("/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/a&include=metadata")
        .await;
    assert!(
        full.text()
            .contains("<Metadata><colour>red &amp; blue</colour></Metadata>"),
        "{}",
        full.text()
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
        lake.send("DELETE", FILES, &[], "").await.told(),
        (400, "OperationNotAllowedOnThePath")
    );
    lake.put(&format!("{FILES}/d/e"), "x").await;
    assert_eq!(
        lake.send("DELETE", &format!("{FILES}/d"), &[], "").await.told(),
        (409, "DirectoryIsNotEmpty")
    );
    assert_eq!(lake.put(&format!("{FILES}/d"), "x").await.told(), (409, "PathConflict"));
    let folder = lake.get(&format!("{FILES}/d")).await;
    assert_eq!(
        (folder.status, folder.header("x-ms-resource-type"), folder.body.len()),
        (200, "directory", 0)
    );
}
