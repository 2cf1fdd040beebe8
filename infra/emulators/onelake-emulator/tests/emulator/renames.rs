//! Renames of files and folders.

use crate::support::{FILES, Lake, NEW};

#[tokio::test]
async fn a_rename_moves_bytes_and_properties_and_replaces() {
    let lake = Lake::start().await;
    let encoded = "from%20%231.tmp";
    let create = [("x-ms-properties", "colour=cmVk"), ("x-ms-content-type", "text/plain")];
    let url = format!("{encoded}?resource=file");
    assert_eq!(lake.send("PUT", &url, &create, "").await, "201");
    lake.append(encoded, 0, "new").await;
    lake.flush(encoded, 3).await;
    lake.write("to", "old").await;
    let before = lake.head("to").await.header("etag").to_owned();

    // Slashes may be escaped as well, and an account may stand in front.
    let path = format!("{FILES}/{encoded}").replace('/', "%2F");
    let source = ("x-ms-rename-source", &*format!("%2Fdevstoreaccount1{path}?sv=1"));
    let refused = lake.send("PUT", "to?mode=legacy", &[source, NEW], "").await;
    assert_eq!(refused, "409 PathAlreadyExists");
    assert_eq!(lake.get("to").await.text(), "old");
    assert_eq!(lake.send("PUT", "to?mode=legacy", &[source], "").await, "201");
    let moved = lake.get("to").await;
    assert_eq!(moved.text(), "new");
    let names = ["x-ms-properties", "content-type"];
    assert_eq!(moved.headers(names), ["colour=cmVk", "text/plain"]);
    assert_ne!(moved.header("etag"), before);
    assert!(!lake.on_disk("from #1.tmp").exists());
    let again = lake.rename(encoded, "to").await;
    assert_eq!(again, "404 SourcePathNotFound", "it is moved already");
}

#[tokio::test]
async fn invalid_renames_are_refused() {
    let lake = Lake::start().await;
    for path in ["d/e/file", "full/file", "file"] {
        lake.write(path, "x").await;
    }
    for (from, to, outcome) in [
        ("d", "d/e/d", "409 InvalidRenameSourcePath"),
        ("file", "no/parent", "404 RenameDestinationParentPathNotFound"),
        ("file", "d", "409 PathConflict"),
        ("d", "file", "409 PathConflict"),
        ("d", "full", "409 DirectoryNotEmpty"),
        ("nothing", "x", "404 SourcePathNotFound"),
        ("file", "file", "201"),
        ("/", "x", "400 InvalidSourceUri"),
    ] {
        assert_eq!(lake.rename(from, to).await, outcome, "{from} to {to}");
    }
}

#[tokio::test]
async fn a_folder_is_renamed_with_its_content() {
    let lake = Lake::start().await;
    lake.write("d/e/file", "x").await;
    let url = "d/e/file?action=setProperties";
    let set = lake.send("PATCH", url, &[("x-ms-properties", "colour=cmVk")], "").await;
    assert_eq!(set, "200");
    assert_eq!(lake.rename("d", "moved").await, "201");
    assert_eq!(lake.head("d/e/file").await, "404 BlobNotFound");
    let moved = lake.get("moved/e/file").await;
    assert_eq!((moved.text(), moved.header("x-ms-properties")), ("x", "colour=cmVk"));
}
