//! Files and folders over the Data Lake protocol.

use crate::support::{Lake, NEW, TOKEN};

#[tokio::test]
async fn a_file_is_created_appended_to_flushed_and_read() {
    let lake = Lake::start().await;
    let path = "2025/roof.jpg";
    let version = [("x-ms-version", "2022-11-02")];
    let created = lake.send("PUT", "2025/roof.jpg?resource=file", &version, "").await;
    assert_eq!(created, "201");
    assert_eq!(created.header("x-ms-version"), "2022-11-02");
    for name in ["etag", "last-modified", "x-ms-request-id", "date", "server"] {
        assert!(!created.header(name).is_empty(), "{name} is missing: {created:?}");
    }

    let appended = lake.append(path, 0, "hello ").await;
    assert_eq!(appended, "202");
    // Nothing is written yet.
    assert_eq!(appended.header("etag"), created.header("etag"));
    assert_eq!(lake.append(path, 6, "world").await, "202");
    let length = lake.head(path).await.header("content-length").to_owned();
    assert_eq!(length, "0", "nothing shows before the flush");
    assert_eq!(std::fs::read(lake.on_disk(path)).unwrap(), b"");

    let flushed = lake.flush(path, 11).await;
    assert_eq!(flushed, "200");
    assert_ne!(flushed.header("etag"), created.header("etag"));
    let read = lake.get(path).await;
    assert_eq!((read.status, read.text()), (200, "hello world"));
    assert_eq!(read.header("etag"), flushed.header("etag"));
    let on_disk = std::fs::read_to_string(lake.on_disk(path)).unwrap();
    assert_eq!(on_disk, "hello world", "a plain file");

    let head = lake.head("2025/roof.jpg?action=getStatus").await;
    assert_eq!(head, "200");
    assert_eq!(head.headers(["content-length", "x-ms-resource-type"]), ["11", "file"]);
}

#[tokio::test]
async fn requests_without_required_parameters_are_refused() {
    let lake = Lake::start().await;
    // As from a client that sends no Content-Length without a body.
    let silent = lake.client.put(lake.url("a?resource=file")).bearer_auth(TOKEN);
    let silent = silent.send().await.unwrap();
    assert_eq!(silent.headers()["x-ms-error-code"], "ContentLengthMustBeZero");
    lake.assert_outcomes(&[
        ("PUT a?resource=file", "body", "400 ContentLengthMustBeZero"),
        ("PUT a?resource=directory", "body", "400 ContentLengthMustBeZero"),
        ("PUT a?resource=thing", "", "400 UnsupportedQueryParameter"),
        ("PATCH a?action=append", "x", "400 MissingRequiredQueryParameter"),
        (
            "PATCH a?action=append&position=x",
            "x",
            "400 InvalidQueryParameterValue",
        ),
        ("PATCH a?action=append&position=0", "", "400 InvalidHeaderValue"),
        ("PATCH a?action=append&position=0", "x", "404 PathNotFound"),
        ("PATCH a?action=flush", "", "400 MissingRequiredQueryParameter"),
        ("PATCH a?action=flush&position=0", "x", "400 ContentLengthMustBeZero"),
        (
            "PATCH a?action=flush&position=0&close=?",
            "",
            "400 InvalidQueryParameterValue",
        ),
        ("PATCH a?action=flush&position=0", "", "404 PathNotFound"),
        ("PATCH a?action=setProperties", "", "404 PathNotFound"),
        ("PATCH a?action=setAccessControl", "", "400 UnsupportedQueryParameter"),
        ("DELETE a?recursive=true", "", "404 PathNotFound"),
        ("HEAD a?action=getStatus", "", "404 PathNotFound"),
    ])
    .await;
    let body = lake.append("a", 0, "x").await.json();
    assert_eq!(body["error"]["code"], "PathNotFound", "errors are JSON: {body}");
}

#[tokio::test]
async fn a_file_is_created_only_if_new_or_replaced() {
    let lake = Lake::start().await;
    for outcome in ["201", "409 PathAlreadyExists"] {
        assert_eq!(lake.send("PUT", "a?resource=file", &[NEW], "").await, outcome);
    }
    lake.write("a", "abc").await;
    lake.append("a", 3, "staged").await;
    assert_eq!(lake.create("a").await, "201");
    assert_eq!(lake.head("a").await.header("content-length"), "0");
    let flushed = lake.flush("a", 9).await;
    assert_eq!(flushed, "400 InvalidFlushPosition", "what was staged is gone");
}

#[tokio::test]
async fn properties_are_replaced_as_a_whole_and_keep_the_staged_data() {
    let lake = Lake::start().await;
    lake.write("a", "abc").await;
    lake.append("a", 3, "def").await;
    let set = async |value: &str| {
        let headers = [("x-ms-properties", value)];
        lake.send("PATCH", "a?action=setProperties", &headers, "").await
    };
    let before = lake.head("a").await.header("etag").to_owned();
    assert_eq!(set("colour=cmVk,size=MTA=").await, "200");
    let head = lake.head("a").await;
    // Blob clients get the same metadata.
    let shown = head.headers(["x-ms-properties", "x-ms-meta-size"]);
    assert_eq!(shown, ["colour=cmVk,size=MTA=", "10"]);
    assert_ne!(head.header("etag"), before);
    assert_eq!(set("only=QQ==").await, "200");
    assert_eq!(lake.head("a").await.header("x-ms-properties"), "only=QQ==");
    assert_eq!(set("no-name=QQ==").await, "400 InvalidPropertyName");
    assert_eq!(lake.flush("a", 6).await, "200");
    let read = lake.get("a").await;
    assert_eq!((read.text(), read.header("x-ms-properties")), ("abcdef", "only=QQ=="));
}

#[tokio::test]
async fn a_folder_is_created_listed_and_removed() {
    let lake = Lake::start().await;
    for (header, outcome) in [
        (("x-ms-properties", "colour=cmVk"), "201"),
        (NEW, "409 PathAlreadyExists"),
    ] {
        let answer = lake.send("PUT", "a/b?resource=directory", &[header], "").await;
        assert_eq!(answer, outcome);
    }
    let head = lake.head("a/b").await;
    let names = ["x-ms-resource-type", "x-ms-meta-hdi_isfolder", "x-ms-properties"];
    assert_eq!(head.headers(names), ["directory", "true", "colour=cmVk"]);
    lake.write("a/b/file", "x").await;
    lake.assert_outcomes(&[
        ("PUT a/b/file/c?resource=file", "", "409 PathConflict"),
        ("PUT a/b?resource=file", "", "409 PathConflict"),
        ("DELETE a/b?recursive=false", "", "409 DirectoryNotEmpty"),
        ("DELETE a/b?recursive=true", "", "200"),
        ("DELETE a/b?recursive=true", "", "404 PathNotFound"),
    ])
    .await;
    assert!(lake.on_disk("a").exists());
}

#[tokio::test]
async fn headers_that_onelake_ignores_are_listed_in_the_answer() {
    let lake = Lake::start().await;
    let headers = [("x-ms-permissions", "rwxrwxrwx"), ("x-ms-owner", "me")];
    let answer = lake.send("PUT", "a?resource=file", &headers, "").await;
    assert_eq!(answer, "201");
    assert_eq!(answer.header("x-ms-rejected-headers"), "x-ms-owner,x-ms-permissions");
    let head = lake.head("a").await;
    let names = ["x-ms-owner", "x-ms-permissions"];
    assert_eq!(head.headers(names), ["$superuser", "---------"]);
}
