//! Lists over the Blob protocol.

use crate::support::{Answer, Lake};

/// Returns the texts between `begin` and `end`, in order.
pub(crate) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let parts = text.split(begin).skip(1);
    parts.map(|part| part.split(end).next().unwrap_or_default()).collect()
}

/// Returns the names in elements of a list, in order.
fn names<'a>(list: &'a Answer, element: &str) -> Vec<&'a str> {
    between(list.text(), &format!("<{element}><Name>"), "</Name>")
}

#[tokio::test]
async fn lists_have_prefixes_levels_and_pages() {
    let lake = Lake::start().await;
    for name in ["log/1.json", "log/2.json", "log/3.json", "part=a%2526b/x", "z"] {
        assert_eq!(lake.put(name, "x").await, "201");
    }
    let list = async |query: String| {
        let list = lake.get(&format!("/claims?restype=container&comp=list&{query}")).await;
        assert_eq!(list, "200");
        list
    };
    let files = "Lake.Lakehouse/Files/";
    let below = |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("{files}{name}")).collect() };
    let logs = ["log/1.json", "log/2.json", "log/3.json"];
    let flat = list(format!("prefix={files}")).await;
    let others = ["part=a%26b", "part=a%26b/x", "z"];
    assert_eq!(names(&flat, "Blob"), below(&[&["log"][..], &logs, &others].concat()));
    // Folders are listed as well.
    assert!(flat.text().contains("<ResourceType>directory</ResourceType>"));
    let level = list(format!("prefix={files}&delimiter=/")).await;
    assert_eq!(names(&level, "BlobPrefix"), below(&["log/", "part=a%26b/"]));
    assert_eq!(names(&level, "Blob"), below(&["z"]));
    // As Delta looks for new commits.
    let from = list(format!("prefix={files}log/&delimiter=/&startFrom={files}log/2.json")).await;
    assert_eq!(names(&from, "Blob"), below(&logs[1..]), "the start is among them");
    for size in 1..4 {
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let page = list(format!("prefix={files}log/&maxresults={size}&marker={marker}")).await;
            found.extend(names(&page, "Blob").into_iter().map(str::to_owned));
            marker = between(page.text(), "<NextMarker>", "</NextMarker>")[0].to_owned();
            if marker.is_empty() {
                break;
            }
        }
        assert_eq!(found, below(&logs), "{size} a page");
    }
    assert!(names(&list("prefix=nothing".into()).await, "Blob").is_empty());
    let refused = lake.get("/claims?restype=container&comp=list&maxresults=0").await;
    assert_eq!(refused, "400 OutOfRangeQueryParameterValue");
    let refused = lake.get("/nobody?restype=container&comp=list").await;
    assert_eq!(refused, "404 ContainerNotFound");
}

#[tokio::test]
async fn metadata_is_listed_on_request() {
    let lake = Lake::start().await;
    lake.put_with(&[("x-ms-meta-colour", "red & blue")], "a", "x").await;
    let url = "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/a";
    assert!(!lake.get(url).await.text().contains("colour"));
    let full = lake.get(&format!("{url}&include=metadata")).await;
    let metadata = "<Metadata><colour>red &amp; blue</colour></Metadata>";
    assert!(full.text().contains(metadata), "{full:?}");
}
