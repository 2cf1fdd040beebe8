//! Lists over the Data Lake protocol.

use serde_json::Value;

use crate::support::{FILES, Lake};

/// Returns the names of a list, read page by page.
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
async fn lists_are_complete_page_by_page() {
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
async fn lists_of_missing_paths_are_refused() {
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
        assert_eq!(lake.get(path).await.outcome(), told, "{path}");
    }
}
