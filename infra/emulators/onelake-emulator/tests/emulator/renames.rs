//! Renames of files and folders.

use crate::support::{FILES, Lake};

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
        lake.rename(&encoded, &to, &[("If-None-Match", "*")]).await.outcome(),
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
        lake.rename(&encoded, &to, &[]).await.outcome(),
        (404, "SourcePathNotFound"),
        "it is moved already"
    );
}

#[tokio::test]
async fn invalid_renames_are_refused() {
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
        assert_eq!(answer.outcome(), told, "{from} to {to}");
    }
    assert_eq!(
        lake.rename(&format!("{FILES}/file"), &format!("{FILES}/file"), &[])
            .await
            .status,
        201
    );
    assert_eq!(
        lake.rename("/", &format!("{FILES}/x"), &[]).await.outcome(),
        (400, "InvalidSourceUri")
    );
}

#[tokio::test]
async fn a_folder_is_renamed_with_its_content() {
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
