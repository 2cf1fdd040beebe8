//! Real-world senders and servers whose attachments must become files: names with spaces, objects that are stored compressed,
//! URLs that become valid a little later.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use xact_testkit::events::event;
use xact_testkit::secrets::SIGNED;
use xact_testkit::{Fleet, Kafka, Result, assert_contains, ids};

/// Returns the time that is this number of seconds from now, as Azure and as S3 write it.
fn in_seconds(seconds: i64) -> (String, String) {
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    (
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        at.strftime("%Y%m%dT%H%M%SZ").to_string(),
    )
}

#[test]
fn spaces_codings_and_urls_not_yet_valid_become_files() -> Result<()> {
    let fleet = Fleet::whole(Kafka::shared()?.bootstrap(), "real-servers", &[])?;
    let (soon, _) = in_seconds(8);
    let (later, signed_later) = in_seconds(3600);
    let host = "https://claimxperience.com";
    // URL, and the end of the path in the lake; without one it waits in a retry topic.
    let (n, blob) = (format!("{host}/ok/3000/n"), "se=2100-01-01&sig=PLANTED");
    let amazon = format!("X-Amz-Date={signed_later}&X-Amz-Expires=600");
    let attachments = [
        (format!("{n}/Roof photo 1.jpg?{SIGNED}"), Some("/A1_Roof photo 1.jpg")),
        (format!("{n} n/größe 2.pdf?{SIGNED}"), Some("/A1_größe 2.pdf")),
        (format!("{host}/gzip/9000/n/table.csv?{SIGNED}"), Some("/A1_table.csv")),
        (format!("{n}/soon.pdf?st={soon}&{blob}"), Some("/A1_soon.pdf")),
        (format!("{n}/later.pdf?st={later}&{blob}"), None),
        (format!("{n}/signed.pdf?{amazon}&{SIGNED}"), None),
    ];
    let urls: Vec<&str> = attachments.iter().map(|(url, _)| url.as_str()).collect();
    fleet.send("raw", "real", &event("real", &json!(urls)))?;
    let stored = attachments.iter().filter(|(_, end)| end.is_some()).count();
    let tables = fleet.wait_until("the files are stored", || {
        let tables = fleet.tables().ok()?;
        (tables.attachments.len() == stored).then_some(tables)
    })?;

    assert_eq!(tables.failed, Vec::<Value>::new());
    let id = |row: &Value| row["media_id"].as_str().unwrap().to_owned();
    let rows: BTreeMap<String, &Value> = tables.attachments.iter().map(|row| (id(row), row)).collect();
    for (url, end) in &attachments {
        // The id is that of the URL as the event spells it.
        let row = rows.get(&ids::media_id("real", url));
        assert_eq!(row.is_some(), end.is_some(), "{url}");
        if let (Some(row), Some(end)) = (row, end) {
            let path = row["blob_path"].as_str().unwrap();
            assert!(path.ends_with(end), "{path}");
            let file = std::fs::read(fleet.files().join(path)).unwrap();
            assert_eq!(row["sha256"], hex::encode(Sha256::digest(&file)), "{path}");
            assert_eq!(row["bytes_downloaded"], file.len(), "{path}");
            assert_eq!(row["retry_count"], 0, "{path}");
            assert!(!file.starts_with(b"\x1F\x8B"), "{path} is compressed");
        }
        let explained = fleet.run(&["explain", url])?.success()?;
        let encoded = url.split('?').next().unwrap().replace(' ', "%20");
        let encoded = encoded.replace('ö', "%C3%B6").replace('ß', "%C3%9F");
        assert_contains(&explained, &[&format!("as it is fetched: {encoded}")]);
        assert_eq!(explained.contains("not valid yet"), end.is_none(), "{explained}");
    }
    Ok(())
}
