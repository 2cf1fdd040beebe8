//! Lists over the Data Lake protocol.

use serde_json::json;

use crate::support::Lake;

/// Returns the names of a list, read page by page.
async fn names(lake: &Lake, query: &str) -> Vec<String> {
    let (mut names, mut continuation) = (Vec::new(), String::new());
    loop {
        let url = format!("/claims?resource=filesystem&{query}&continuation={continuation}");
        let page = lake.get(&url).await;
        assert_eq!(page, "200");
        let body = page.json();
        let paths = body["paths"].as_array().unwrap().iter();
        names.extend(paths.map(|path| path["name"].as_str().unwrap().to_owned()));
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
        lake.write(name, "abc").await;
    }
    let below = |names: &[&str]| -> Vec<String> {
        let names = names.iter();
        names.map(|name| format!("Lake.Lakehouse/Files/{name}")).collect()
    };
    let whole = names(&lake, "recursive=true&directory=Lake.Lakehouse/Files").await;
    assert_eq!(whole, below(&["a", "a/x", "a/y", "a/y/z", "b", "c d", "c d/e"]));
    for size in [1, 2, 3, 7, 8] {
        let query = format!("recursive=true&directory=Lake.Lakehouse%2FFiles&maxResults={size}");
        assert_eq!(names(&lake, &query).await, whole, "{size} a page");
    }
    let level = names(&lake, "recursive=false&directory=Lake.Lakehouse/Files&maxResults=2").await;
    assert_eq!(level, below(&["a", "b", "c d"]));
    assert_eq!(names(&lake, "recursive=false").await, ["Lake.Lakehouse"]);

    let url = "/claims?resource=filesystem&recursive=false&directory=Lake.Lakehouse/Files";
    let body = lake.get(url).await.json();
    let (folder, file) = (&body["paths"][0], &body["paths"][1]);
    let kind_and_length = |path: &serde_json::Value| json!([path["isDirectory"], path["contentLength"]]);
    assert_eq!(kind_and_length(folder), json!(["true", "0"]));
    assert_eq!(kind_and_length(file), json!([null, "3"]));
    let head = lake.head("b").await;
    assert_eq!(head.header("etag"), file["etag"].to_string());
    assert_eq!(head.header("last-modified"), file["lastModified"].as_str().unwrap());
}

#[tokio::test]
async fn lists_of_missing_paths_are_refused() {
    let lake = Lake::start().await;
    for (query, outcome) in [
        ("&recursive=true&directory=Lake.Lakehouse/Files/x", "404 PathNotFound"),
        (
            "&recursive=true&directory=Other.Lakehouse/Files",
            "404 ArtifactNotFound",
        ),
        (
            "&recursive=true&directory=Lake.Lakehouse/../..",
            "400 InvalidResourceName",
        ),
        ("&recursive=true&maxResults=0", "400 OutOfRangeQueryParameterValue"),
        ("&recursive=true&continuation=%25", "400 InvalidQueryParameterValue"),
        ("", "400 MissingRequiredQueryParameter"),
    ] {
        let answer = lake.get(&format!("/claims?resource=filesystem{query}")).await;
        assert_eq!(answer, outcome, "{query}");
    }
    let missing = lake.get("/nobody?resource=filesystem&recursive=true").await;
    assert_eq!(missing, "404 FilesystemNotFound");
}
