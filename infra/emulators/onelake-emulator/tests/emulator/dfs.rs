//! Files and folders over the Data Lake protocol.

use serde_json::Value;

use crate::support::{FILES, Lake};

#[tokio::test]
async fn a_file_is_created_appended_to_flushed_and_read() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/2025/roof.jpg");
    let created = lake
        .send(
            "PUT",
            &format!("{path}?resource=file"),
            &[("x-ms-version", "2022-11-02")],
            "",
        )
        .await;
    assert_eq!(created.status, 201);
    assert_eq!(created.header("x-ms-version"), "2022-11-02");
    for name in ["etag", "last-modified", "x-ms-request-id", "date", "server"] {
        assert!(!created.header(name).is_empty(), "{name} is missing: {created:?}");
    }

    let appended = lake.append(&path, 0, "hello ").await;
    assert_eq!(
        (appended.status, appended.header("etag")),
        (202, created.header("etag")),
        "nothing is written yet"
    );
    assert_eq!(lake.append(&path, 6, "world").await.status, 202);
    assert_eq!(
        lake.head(&path).await.header("content-length"),
        "0",
        "nothing shows before the flush"
    );
    assert_eq!(std::fs::read(lake.on_disk(&path)).unwrap(), b"");

    let flushed = lake.flush(&path, 11).await;
    assert_eq!(flushed.status, 200);
    assert_ne!(
        flushed.header("etag"),
        created.header("etag"),
        "a write changes the ETag"
    );
    let read = lake.get(&path).await;
    assert_eq!((read.status, read.text()), (200, "hello world"));
    assert_eq!(read.header("etag"), flushed.header("etag"));
    assert_eq!(
        std::fs::read_to_string(lake.on_disk(&path)).unwrap(),
        "hello world",
        "a plain file"
    );

    let head = lake.head(&format!("{path}?action=getStatus")).await;
    assert_eq!(
        (
            head.status,
            head.header("content-length"),
            head.header("x-ms-resource-type")
        ),
        (200, "11", "file")
    );
}

#[tokio::test]
async fn requests_without_required_parameters_are_refused() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    // As a client sends it that says nothing of a body that is not there.
    let url = format!("{}{path}?resource=file", lake.emulator.url());
    let silent = lake
        .client
        .put(url)
        .bearer_auth(crate::support::TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(silent.headers()["x-ms-error-code"], "ContentLengthMustBeZero");
    let cases = [
        ("PUT", "?resource=file", "body", (400, "ContentLengthMustBeZero")),
        ("PUT", "?resource=directory", "body", (400, "ContentLengthMustBeZero")),
        ("PUT", "?resource=thing", "", (400, "UnsupportedQueryParameter")),
        ("PATCH", "?action=append", "x", (400, "MissingRequiredQueryParameter")),
        (
            "PATCH",
            "?action=append&position=x",
            "x",
            (400, "InvalidQueryParameterValue"),
        ),
        ("PATCH", "?action=append&position=0", "", (400, "InvalidHeaderValue")),
        ("PATCH", "?action=append&position=0", "x", (404, "PathNotFound")),
        ("PATCH", "?action=flush", "", (400, "MissingRequiredQueryParameter")),
        (
            "PATCH",
            "?action=flush&position=0",
            "x",
            (400, "ContentLengthMustBeZero"),
        ),
        (
            "PATCH",
            "?action=flush&position=0&close=maybe",
            "",
            (400, "InvalidQueryParameterValue"),
        ),
        ("PATCH", "?action=flush&position=0", "", (404, "PathNotFound")),
        ("PATCH", "?action=setProperties", "", (404, "PathNotFound")),
        (
            "PATCH",
            "?action=setAccessControl",
            "",
            (400, "UnsupportedQueryParameter"),
        ),
        ("DELETE", "?recursive=true", "", (404, "PathNotFound")),
        ("HEAD", "?action=getStatus", "", (404, "PathNotFound")),
    ];
    for (method, query, body, told) in cases {
        let answer = lake.send(method, &format!("{path}{query}"), &[], body).await;
        assert_eq!(answer.outcome(), told, "{method} {query} {body}");
    }
    let refused = lake
        .send("PATCH", &format!("{path}?action=append&position=0"), &[], "x")
        .await;
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(body["error"]["code"], "PathNotFound", "errors are JSON: {body}");
}

#[tokio::test]
async fn a_file_is_created_only_if_new_or_replaced() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let create = format!("{path}?resource=file");
    let only_new = [("If-None-Match", "*")];
    assert_eq!(lake.send("PUT", &create, &only_new, "").await.status, 201);
    assert_eq!(
        lake.send("PUT", &create, &only_new, "").await.outcome(),
        (409, "PathAlreadyExists")
    );
    lake.write(&path, "abc").await;
    lake.append(&path, 3, "staged").await;
    assert_eq!(lake.send("PUT", &create, &[], "").await.status, 201);
    assert_eq!(lake.head(&path).await.header("content-length"), "0");
    assert_eq!(
        lake.flush(&path, 9).await.outcome(),
        (400, "InvalidFlushPosition"),
        "what was staged is gone"
    );
}

#[tokio::test]
async fn properties_are_replaced_as_a_whole_and_keep_the_staged_data() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "abc").await;
    lake.append(&path, 3, "def").await;
    let set = |value: &'static str| {
        let lake = &lake;
        let url = format!("{path}?action=setProperties");
        async move { lake.send("PATCH", &url, &[("x-ms-properties", value)], "").await }
    };
    let before = lake.head(&path).await.header("etag").to_owned();
    assert_eq!(set("colour=cmVk,size=MTA=").await.status, 200);
    let head = lake.head(&path).await;
    assert_eq!(head.header("x-ms-properties"), "colour=cmVk,size=MTA=");
    assert_eq!(head.header("x-ms-meta-size"), "10", "Blob clients see the same");
    assert_ne!(head.header("etag"), before);
    assert_eq!(set("only=QQ==").await.status, 200);
    assert_eq!(lake.head(&path).await.header("x-ms-properties"), "only=QQ==");
    assert_eq!(set("no-name=QQ==").await.outcome(), (400, "InvalidPropertyName"));
    assert_eq!(lake.flush(&path, 6).await.status, 200);
    let read = lake.get(&path).await;
    assert_eq!((read.text(), read.header("x-ms-properties")), ("abcdef", "only=QQ=="));
}

#[tokio::test]
async fn a_folder_is_created_listed_and_removed() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a/b");
    let create = format!("{path}?resource=directory");
    assert_eq!(
        lake.send("PUT", &create, &[("x-ms-properties", "colour=cmVk")], "")
            .await
            .status,
        201
    );
    assert_eq!(
        lake.send("PUT", &create, &[("If-None-Match", "*")], "").await.outcome(),
        (409, "PathAlreadyExists")
    );
    let head = lake.head(&path).await;
    assert_eq!(
        (head.header("x-ms-resource-type"), head.header("x-ms-meta-hdi_isfolder")),
        ("directory", "true")
    );
    assert_eq!(head.header("x-ms-properties"), "colour=cmVk");
    lake.write(&format!("{path}/file"), "x").await;
    assert_eq!(
        lake.send("PUT", &format!("{path}/file/c?resource=file"), &[], "")
            .await
            .outcome(),
        (409, "PathConflict")
    );
    assert_eq!(
        lake.send("PUT", &format!("{path}?resource=file"), &[], "")
            .await
            .outcome(),
        (409, "PathConflict")
    );
    let delete = |recursive: &str| {
        let lake = &lake;
        let url = format!("{path}?recursive={recursive}");
        async move { lake.send("DELETE", &url, &[], "").await }
    };
    assert_eq!(delete("false").await.outcome(), (409, "DirectoryNotEmpty"));
    assert_eq!(delete("true").await.status, 200);
    assert_eq!(delete("true").await.outcome(), (404, "PathNotFound"));
    assert!(lake.on_disk(&format!("{FILES}/a")).exists());
}

#[tokio::test]
async fn headers_that_onelake_ignores_are_listed_in_the_answer() {
    let lake = Lake::start().await;
    let answer = lake
        .send(
            "PUT",
            &format!("{FILES}/a?resource=file"),
            &[("x-ms-permissions", "rwxrwxrwx"), ("x-ms-owner", "me")],
            "",
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("x-ms-rejected-headers")),
        (201, "x-ms-owner,x-ms-permissions")
    );
    let head = lake.head(&format!("{FILES}/a")).await;
    assert_eq!(
        (head.header("x-ms-owner"), head.header("x-ms-permissions")),
        ("$superuser", "---------")
    );
}
