//! Lists over the Blob protocol.

use crate::support::{FILES, Lake};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

/// Returns the names in elements of a list, in order.
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
    assert_eq!(refused.outcome(), (400, "OutOfRangeQueryParameterValue"));
    let refused = lake.get("/nobody?restype=container&comp=list").await;
    assert_eq!(refused.outcome(), (404, "ContainerNotFound"));
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
