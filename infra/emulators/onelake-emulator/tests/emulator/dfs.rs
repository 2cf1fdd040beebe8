//! The Data Lake protocol over HTTP.

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
async fn appends_come_in_any_order_and_may_be_sent_again() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.send("PUT", &format!("{path}?resource=file"), &[], "").await;
    assert_eq!(lake.append(&path, 6, "ghi").await.status, 202);
    assert_eq!(lake.append(&path, 0, "xyz").await.status, 202);
    assert_eq!(lake.append(&path, 3, "def").await.status, 202);
    // As after an acknowledgement that was lost.
    assert_eq!(lake.append(&path, 0, "abc").await.status, 202);
    assert_eq!(lake.flush(&path, 9).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abcdefghi");
}

#[tokio::test]
async fn a_flush_is_refused_unless_its_position_is_the_end_and_what_is_staged_stays() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.send("PUT", &format!("{path}?resource=file"), &[], "").await;
    lake.append(&path, 0, "abc").await;
    lake.append(&path, 4, "e").await;
    let wrong = (400, "InvalidFlushPosition");
    for position in [0, 2, 3, 5, 6] {
        assert_eq!(
            lake.flush(&path, position).await.told(),
            wrong,
            "position {position}, with a gap at 3"
        );
    }
    lake.append(&path, 3, "d").await;
    assert_eq!(lake.flush(&path, 4).await.told(), wrong, "one byte would be left");
    assert_eq!(lake.flush(&path, 5).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abcde");
    assert_eq!(lake.append(&path, 2, "x").await.told(), wrong, "what is flushed stands");
}

#[tokio::test]
async fn a_flush_that_is_sent_again_is_answered_as_the_first() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "abc").await;
    assert_eq!(lake.flush(&path, 3).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abc");
}

#[tokio::test]
async fn a_flushed_file_is_appended_to() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "abc").await;
    let appended = lake
        .send(
            "PATCH",
            &format!("{path}?action=append&position=3&flush=true"),
            &[],
            "def",
        )
        .await;
    assert_eq!(appended.status, 202);
    assert_eq!(lake.get(&path).await.text(), "abcdef");
    assert_eq!(appended.header("etag"), lake.head(&path).await.header("etag"));
}

#[tokio::test]
async fn a_piece_with_a_wrong_md5_is_not_staged() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.send("PUT", &format!("{path}?resource=file"), &[], "").await;
    let append = |md5: &'static str| {
        let lake = &lake;
        let url = format!("{path}?action=append&position=0");
        async move { lake.send("PATCH", &url, &[("Content-MD5", md5)], "abc").await }
    };
    assert_eq!(append("1B2M2Y8AsgTpgAmY7PhCfg==").await.told(), (400, "Md5Mismatch"));
    assert_eq!(append("nonsense").await.told(), (400, "InvalidMd5"));
    assert_eq!(lake.flush(&path, 3).await.told(), (400, "InvalidFlushPosition"));
    assert_eq!(append("kAFQmDzST7DWlj99KOF/cg==").await.status, 202);
    assert_eq!(lake.flush(&path, 3).await.status, 200);
}

#[tokio::test]
async fn requests_without_what_they_need_are_refused() {
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
        assert_eq!(answer.told(), told, "{method} {query} {body}");
    }
    let refused = lake
        .send("PATCH", &format!("{path}?action=append&position=0"), &[], "x")
        .await;
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(body["error"]["code"], "PathNotFound", "errors are JSON: {body}");
}

#[tokio::test]
async fn a_new_file_can_be_asked_for_and_an_old_one_be_replaced() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let create = format!("{path}?resource=file");
    let only_new = [("If-None-Match", "*")];
    assert_eq!(lake.send("PUT", &create, &only_new, "").await.status, 201);
    assert_eq!(
        lake.send("PUT", &create, &only_new, "").await.told(),
        (409, "PathAlreadyExists")
    );
    lake.write(&path, "abc").await;
    lake.append(&path, 3, "staged").await;
    assert_eq!(lake.send("PUT", &create, &[], "").await.status, 201);
    assert_eq!(lake.head(&path).await.header("content-length"), "0");
    assert_eq!(
        lake.flush(&path, 9).await.told(),
        (400, "InvalidFlushPosition"),
        "what was staged is gone"
    );
}

#[tokio::test]
async fn a_rename_moves_bytes_and_properties_and_replaces() {
    let lake = Lake::start().await;
    let (from, to) = (format!("{FILES}/from #1.tmp"), format!("{FILES}/to"));
    let encoded = format!("{FILES}/from%20%231.tmp");
    let create = [("x-ms-properties", "colour=cmVk"), ("x-ms-content-type", "text/plain")];
    assert_eq!(
        lake.send("PUT", &format!("{encoded}?resource=file"), &create, "")
            .await
            .status,
        201
    );
    lake.append(&encoded, 0, "new").await;
    lake.flush(&encoded, 3).await;
    lake.write(&to, "old").await;
    let before = lake.head(&to).await.header("etag").to_owned();

    assert_eq!(
        lake.rename(&encoded, &to, &[("If-None-Match", "*")]).await.told(),
        (409, "PathAlreadyExists")
    );
    assert_eq!(lake.get(&to).await.text(), "old");
    // Slashes may be escaped as well, and an account may stand in front.
    let source = format!("%2Fdevstoreaccount1{}?sv=1", encoded.replace('/', "%2F"));
    assert_eq!(lake.rename(&source, &to, &[]).await.status, 201);
    let moved = lake.get(&to).await;
    assert_eq!(moved.text(), "new");
    assert_eq!(
        (moved.header("x-ms-properties"), moved.header("content-type")),
        ("colour=cmVk", "text/plain")
    );
    assert_ne!(moved.header("etag"), before);
    assert!(!lake.on_disk(&from).exists());
    assert_eq!(
        lake.rename(&encoded, &to, &[]).await.told(),
        (404, "SourcePathNotFound"),
        "it is moved already"
    );
}

#[tokio::test]
async fn renames_that_make_no_sense_are_refused() {
    let lake = Lake::start().await;
    lake.write(&format!("{FILES}/d/e/file"), "x").await;
    lake.write(&format!("{FILES}/full/file"), "x").await;
    lake.write(&format!("{FILES}/file"), "x").await;
    let cases = [
        ("/d", "/d/e/d", (409, "InvalidRenameSourcePath")),
        ("/file", "/no/parent", (404, "RenameDestinationParentPathNotFound")),
        ("/file", "/d", (409, "PathConflict")),
        ("/d", "/file", (409, "PathConflict")),
        ("/d", "/full", (409, "DirectoryNotEmpty")),
        ("/nothing", "/x", (404, "SourcePathNotFound")),
    ];
    for (from, to, told) in cases {
        let answer = lake
            .rename(&format!("{FILES}{from}"), &format!("{FILES}{to}"), &[])
            .await;
        assert_eq!(answer.told(), told, "{from} to {to}");
    }
    assert_eq!(
        lake.rename(&format!("{FILES}/file"), &format!("{FILES}/file"), &[])
            .await
            .status,
        201
    );
    assert_eq!(
        lake.rename("/", &format!("{FILES}/x"), &[]).await.told(),
        (400, "InvalidSourceUri")
    );
}

#[tokio::test]
async fn a_folder_moves_with_all_in_it() {
    let lake = Lake::start().await;
    let inner = format!("{FILES}/d/e/file");
    lake.write(&inner, "x").await;
    let set = [("x-ms-properties", "colour=cmVk")];
    assert_eq!(
        lake.send("PATCH", &format!("{inner}?action=setProperties"), &set, "")
            .await
            .status,
        200
    );
    assert_eq!(
        lake.rename(&format!("{FILES}/d"), &format!("{FILES}/moved"), &[])
            .await
            .status,
        201
    );
    assert_eq!(lake.head(&inner).await.status, 404);
    let moved = lake.get(&format!("{FILES}/moved/e/file")).await;
    assert_eq!((moved.text(), moved.header("x-ms-properties")), ("x", "colour=cmVk"));
}

#[tokio::test]
async fn properties_are_replaced_as_a_whole_and_do_not_touch_what_is_staged() {
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
    assert_eq!(set("no-name=QQ==").await.told(), (400, "InvalidPropertyName"));
    assert_eq!(lake.flush(&path, 6).await.status, 200);
    let read = lake.get(&path).await;
    assert_eq!((read.text(), read.header("x-ms-properties")), ("abcdef", "only=QQ=="));
}

#[tokio::test]
async fn a_folder_is_made_seen_and_removed() {
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
        lake.send("PUT", &create, &[("If-None-Match", "*")], "").await.told(),
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
            .told(),
        (409, "PathConflict")
    );
    assert_eq!(
        lake.send("PUT", &format!("{path}?resource=file"), &[], "").await.told(),
        (409, "PathConflict")
    );
    let delete = |recursive: &str| {
        let lake = &lake;
        let url = format!("{path}?recursive={recursive}");
        async move { lake.send("DELETE", &url, &[], "").await }
    };
    assert_eq!(delete("false").await.told(), (409, "DirectoryNotEmpty"));
    assert_eq!(delete("true").await.status, 200);
    assert_eq!(delete("true").await.told(), (404, "PathNotFound"));
    assert!(lake.on_disk(&format!("{FILES}/a")).exists());
}

/// The names of a list, page by page.
async fn names(lake: &Lake, query: &str) -> Vec<String> {
    let (mut names, mut continuation) = (Vec::new(), String::new());
    loop {
        let page = lake
            .get(&format!(
                "/claims?resource=filesystem&{query}&continuation={continuation}"
            ))
            .await;
        assert_eq!(page.status, 200, "{}", page.text());
        let body: Value = serde_json::from_slice(&page.body).unwrap();
        names.extend(
            body["paths"]
                .as_array()
                .unwrap()
                .iter()
                .map(|path| path["name"].as_str().unwrap().to_owned()),
        );
        continuation = page.header("x-ms-continuation").to_owned();
        if continuation.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn lists_show_what_is_there_page_by_page() {
    let lake = Lake::start().await;
    for name in ["a/x", "a/y/z", "b", "c d/e"] {
        lake.write(&format!("{FILES}/{name}"), "abc").await;
    }
    let whole = names(&lake, "recursive=true&directory=Lake.Lakehouse/Files").await;
    let expected = ["a", "a/x", "a/y", "a/y/z", "b", "c d", "c d/e"];
    assert_eq!(whole, expected.map(|name| format!("Lake.Lakehouse/Files/{name}")));
    for size in [1, 2, 3, 7, 8] {
        let paged = names(
            &lake,
            &format!("recursive=true&directory=Lake.Lakehouse%2FFiles&maxResults={size}"),
        )
        .await;
        assert_eq!(paged, whole, "{size} a page");
    }
    let level = names(&lake, "recursive=false&directory=Lake.Lakehouse/Files&maxResults=2").await;
    assert_eq!(
        level,
        ["a", "b", "c d"].map(|name| format!("Lake.Lakehouse/Files/{name}"))
    );
    assert_eq!(names(&lake, "recursive=false").await, ["Lake.Lakehouse"]);

    let list = lake
        .get("/claims?resource=filesystem&recursive=false&directory=Lake.Lakehouse/Files")
        .await;
    let body: Value = serde_json::from_slice(&list.body).unwrap();
    let (folder, file) = (&body["paths"][0], &body["paths"][1]);
    assert_eq!(
        (&folder["isDirectory"], &folder["contentLength"]),
        (&"true".into(), &"0".into())
    );
    assert_eq!(
        (&file["isDirectory"], &file["contentLength"]),
        (&Value::Null, &"3".into())
    );
    let head = lake.head(&format!("{FILES}/b")).await;
    assert_eq!(head.header("etag"), format!("\"{}\"", file["etag"].as_str().unwrap()));
    assert_eq!(head.header("last-modified"), file["lastModified"].as_str().unwrap());
}

#[tokio::test]
async fn lists_of_what_is_not_there_are_refused() {
    let lake = Lake::start().await;
    let cases = [
        (
            "/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/Files/x",
            (404, "PathNotFound"),
        ),
        (
            "/claims?resource=filesystem&recursive=true&directory=Other.Lakehouse/Files",
            (404, "ArtifactNotFound"),
        ),
        (
            "/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/../..",
            (400, "InvalidResourceName"),
        ),
        (
            "/claims?resource=filesystem&recursive=true&maxResults=0",
            (400, "OutOfRangeQueryParameterValue"),
        ),
        (
            "/claims?resource=filesystem&recursive=true&continuation=%25",
            (400, "InvalidQueryParameterValue"),
        ),
        ("/claims?resource=filesystem", (400, "MissingRequiredQueryParameter")),
        (
            "/nobody?resource=filesystem&recursive=true",
            (404, "FilesystemNotFound"),
        ),
    ];
    for (path, told) in cases {
        assert_eq!(lake.get(path).await.told(), told, "{path}");
    }
}

#[tokio::test]
async fn workspaces_items_and_their_folders_are_fabrics_own() {
    let lake = Lake::start().await;
    lake.write(&format!("{FILES}/a"), "abc").await;
    let managed = (400, "OperationNotAllowedOnThePath");
    let cases = [
        ("PUT", "/other?resource=filesystem", managed),
        ("PUT", "/claims?resource=filesystem", (409, "FilesystemAlreadyExists")),
        ("DELETE", "/claims?resource=filesystem", managed),
        (
            "PUT",
            "/claims/New.Lakehouse?resource=directory",
            (404, "ArtifactNotFound"),
        ),
        (
            "PUT",
            "/claims/New.Lakehouse/Files/a?resource=file",
            (404, "ArtifactNotFound"),
        ),
        ("PUT", "/claims/Lake.Lakehouse?resource=directory", managed),
        (
            "PUT",
            "/claims/Lake.Lakehouse/Files?resource=directory",
            (409, "PathAlreadyExists"),
        ),
        ("PUT", "/claims/Lake.Lakehouse/Other?resource=directory", managed),
        ("PUT", "/claims/Lake.Lakehouse/Other/a?resource=file", managed),
        ("PUT", "/claims/Lake.Lakehouse/a?resource=file", managed),
        ("DELETE", "/claims/Lake.Lakehouse?recursive=true", managed),
        ("DELETE", "/claims/Lake.Lakehouse/Files?recursive=true", managed),
        ("PATCH", "/claims/Lake.Lakehouse/Files?action=setProperties", managed),
        (
            "PUT",
            "/other/Lake.Lakehouse/Files/a?resource=file",
            (404, "FilesystemNotFound"),
        ),
    ];
    for (method, path, told) in cases {
        assert_eq!(lake.send(method, path, &[], "").await.told(), told, "{method} {path}");
    }
    let file = format!("{FILES}/a");
    assert_eq!(
        lake.rename(&file, "/claims/Lake.Lakehouse/a", &[]).await.told(),
        managed
    );
    assert_eq!(
        lake.rename("/claims/Lake.Lakehouse/Files", &format!("{FILES}/b"), &[])
            .await
            .told(),
        managed
    );
    assert_eq!(
        lake.head("/claims?resource=filesystem")
            .await
            .header("x-ms-namespace-enabled"),
        "true"
    );
    assert_eq!(
        lake.head("/claims/Lake.Lakehouse/Tables?action=getStatus").await.status,
        200,
        "they can be looked at"
    );
}

#[tokio::test]
async fn workspaces_can_be_made_where_that_is_asked_for() {
    let lake = Lake::start_with(|options| options.workspaces_by_api = true).await;
    assert_eq!(
        lake.send("PUT", "/other?resource=filesystem", &[], "").await.status,
        201
    );
    assert_eq!(lake.send("PUT", "/third?restype=container", &[], "").await.status, 201);
    assert_eq!(
        lake.send("PUT", "/third?restype=container", &[], "").await.told(),
        (409, "ContainerAlreadyExists")
    );
    assert_eq!(
        lake.send("DELETE", "/other?resource=filesystem", &[], "").await.status,
        202
    );
    assert_eq!(
        lake.head("/other?resource=filesystem").await.told(),
        (404, "FilesystemNotFound")
    );
    assert_eq!(
        lake.send("PUT", "/.onelake?resource=filesystem", &[], "").await.told(),
        (400, "InvalidResourceName")
    );
}

#[tokio::test]
async fn headers_that_onelake_takes_no_notice_of_are_named() {
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
