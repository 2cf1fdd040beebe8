//! Faults on demand, as clients get them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{FILES, Lake};
use onelake_emulator::{Fault, Protocol, Rule, Verb};

/// An emulator with an empty file and a rule.
async fn lake_with(rule: Rule) -> (Lake, String) {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    assert_eq!(
        lake.send("PUT", &format!("{path}?resource=file"), &[], "").await.status,
        201
    );
    lake.emulator.add_fault(rule);
    (lake, path)
}

#[tokio::test]
async fn throttling_sets_retry_after_and_does_nothing() {
    let mut rule = Rule::on(Fault::Throttled, Verb::Append).times(2);
    rule.retry_after_seconds = 7;
    let (lake, path) = lake_with(rule).await;
    for _ in 0..2 {
        let answer = lake.append(&path, 0, "abc").await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    }
    assert_eq!(
        lake.flush(&path, 0).await.status,
        200,
        "nothing was staged, and other verbs are not concerned"
    );
    assert_eq!(lake.append(&path, 0, "abc").await.status, 202);
    let unavailable = Rule::on(Fault::Unavailable, Verb::Flush);
    lake.emulator.add_fault(unavailable);
    let busy = lake.flush(&path, 3).await;
    assert_eq!((busy.outcome(), busy.header("retry-after")), ((503, "ServerBusy"), "1"));
    assert_eq!(lake.flush(&path, 3).await.status, 200);
}

#[tokio::test]
async fn an_error_comes_before_or_after_the_operation() {
    let (lake, path) = lake_with(Rule::on(Fault::ErrorBefore, Verb::PutBlob)).await;
    assert_eq!(lake.put(&path, "one").await.outcome(), (500, "InternalError"));
    assert_eq!(lake.get(&path).await.text(), "");
    lake.emulator.add_fault(Rule::on(Fault::ErrorAfter, Verb::PutBlob));
    assert_eq!(lake.put(&path, "two").await.outcome(), (500, "InternalError"));
    assert_eq!(
        lake.get(&path).await.text(),
        "two",
        "the acknowledgement alone was lost"
    );
}

#[tokio::test]
async fn an_upload_with_retries_survives_lost_acknowledgements() {
    let (lake, path) = lake_with(Rule::on(Fault::ErrorAfter, Verb::Append)).await;
    assert_eq!(lake.append(&path, 0, "abc").await.status, 500);
    assert_eq!(lake.append(&path, 0, "abc").await.status, 202);
    lake.emulator.add_fault(Rule::on(Fault::ErrorAfter, Verb::Flush));
    assert_eq!(lake.flush(&path, 3).await.status, 500);
    assert_eq!(lake.flush(&path, 3).await.status, 200);
    lake.emulator.add_fault(Rule::on(Fault::ErrorAfter, Verb::Rename));
    let to = format!("{FILES}/b");
    assert_eq!(lake.rename(&path, &to, &[]).await.status, 500);
    assert_eq!(
        lake.rename(&path, &to, &[]).await.outcome(),
        (404, "SourcePathNotFound"),
        "it has happened"
    );
    assert_eq!(lake.get(&to).await.text(), "abc");
}

#[tokio::test]
async fn expired_tokens_and_missing_roles_on_demand() {
    let (lake, path) = lake_with(Rule::new(Fault::Expired)).await;
    let expired = lake.get(&path).await;
    assert_eq!(expired.outcome(), (401, "InvalidAuthenticationInfo"));
    assert!(expired.header("www-authenticate").starts_with("Bearer "), "{expired:?}");
    lake.emulator.add_fault(Rule::new(Fault::Forbidden));
    assert_eq!(
        lake.get(&path).await.outcome(),
        (403, "AuthorizationPermissionMismatch")
    );
    assert_eq!(lake.get(&path).await.status, 200);
}

#[tokio::test]
async fn slow_requests_are_delayed_and_done() {
    let mut rule = Rule::new(Fault::Slow);
    rule.delay_ms = 300;
    let (lake, path) = lake_with(rule).await;
    let start = Instant::now();
    assert_eq!(lake.get(&path).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}

#[tokio::test]
async fn connections_are_cut_before_after_and_within_the_answer() {
    let (lake, path) = lake_with(Rule::on(Fault::CutBefore, Verb::PutBlob)).await;
    let put = async |body: &'static str| {
        let headers = [("x-ms-blob-type", "BlockBlob")];
        lake.try_send("PUT", &path, &headers, body).await
    };
    assert!(put("one").await.is_err());
    assert_eq!(lake.get(&path).await.text(), "", "nothing was done");
    lake.emulator.add_fault(Rule::on(Fault::CutAfter, Verb::PutBlob));
    assert!(put("two").await.is_err());
    assert_eq!(lake.get(&path).await.text(), "two", "it was done");
    lake.emulator.add_fault(Rule::on(Fault::CutWithin, Verb::PutBlob));
    assert!(put("three").await.is_err(), "also an answer without a body is cut");
    assert_eq!(lake.get(&path).await.text(), "three");

    let long = "0123456789".repeat(100_000);
    assert_eq!(lake.put(&path, long.clone()).await.status, 201);
    lake.emulator.add_fault(Rule::on(Fault::CutWithin, Verb::Read));
    let mut response = lake
        .client
        .get(format!("{}{path}", lake.emulator.url()))
        .bearer_auth(crate::support::TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.status().as_u16(), response.content_length()),
        (200, Some(1_000_000))
    );
    let mut read = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) => panic!("the answer ended in good order after {read} bytes"),
            Err(error) => break error,
        }
    };
    assert_eq!(read, 500_000, "{error}");
    lake.emulator.add_fault(Rule::on(Fault::CutWithin, Verb::Properties));
    assert!(lake.try_send("HEAD", &path, &[], "").await.is_err());
}

#[tokio::test]
async fn rules_are_added_listed_and_removed_over_http() {
    let lake = Lake::start().await;
    let post = async |rule: Value| {
        let answer = lake
            .send(
                "POST",
                "/__admin/faults",
                &[("Content-Type", "application/json")],
                rule.to_string(),
            )
            .await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()["id"]
            .as_u64()
            .unwrap()
    };
    let read = async |path: String| lake.get(&path).await.status;
    lake.put(&format!("{FILES}/a"), "x").await;
    lake.put("/claims/Lake.Lakehouse/Tables/a", "x").await;
    let id = post(json!({"fault": "error-before", "method": "GET", "path": FILES, "every": 2})).await;
    let files = format!("{FILES}/a");
    assert_eq!(read(files.clone()).await, 200);
    assert_eq!(read(files.clone()).await, 500);
    assert_eq!(read("/claims/Lake.Lakehouse/Tables/a".into()).await, 200);
    assert_eq!((read(files.clone()).await, read(files.clone()).await), (200, 500));
    let standing: Value = serde_json::from_slice(&lake.get("/__admin/faults").await.body).unwrap();
    assert_eq!(
        (&standing[0]["id"], &standing[0]["hit"], &standing[0]["matched"]),
        (&id.into(), &2.into(), &4.into())
    );
    post(json!({"fault": "throttled", "times": 100})).await;
    assert_eq!(
        lake.send("DELETE", &format!("/__admin/faults?id={id}"), &[], "")
            .await
            .status,
        204
    );
    assert_eq!(read(files.clone()).await, 429);
    assert_eq!(lake.send("DELETE", "/__admin/faults", &[], "").await.status, 204);
    assert_eq!(read(files).await, 200);
}

#[tokio::test]
async fn a_rule_by_name_applies_to_requests_by_guid() {
    let lake = Lake::start().await;
    lake.put(&format!("{FILES}/a"), "x").await;
    let item = onelake_emulator::Item::new("claims", "Lake.Lakehouse");
    let by_guid = format!("/{}/{}/Files/a", item.workspace_guid(), item.guid());
    lake.emulator.add_fault(Rule::new(Fault::ErrorBefore).below(FILES));
    assert_eq!(lake.get(&by_guid).await.status, 500);
    assert_eq!(lake.get(&by_guid).await.text(), "x");
}

#[tokio::test]
async fn every_fault_happens() {
    let lake = Lake::start().await;
    lake.put(&format!("{FILES}/a"), "x").await;
    for fault in Fault::all() {
        lake.emulator.add_fault(Rule::new(fault));
        // A Put Blob that is about every fault: `a` is there already.
        let headers = [
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-meta-colour", "red"),
            ("If-None-Match", "*"),
        ];
        let met = lake.try_send("PUT", &format!("{FILES}/a"), &headers, "y").await;
        let is_cut = matches!(fault, Fault::CutBefore | Fault::CutAfter | Fault::CutWithin);
        assert_eq!(met.is_err(), is_cut, "{fault}");
        let met = met.map_or(0, |met| met.status);
        let expected = match fault {
            Fault::CutBefore | Fault::CutAfter | Fault::CutWithin => 0,
            Fault::Throttled => 429,
            Fault::Unavailable => 503,
            Fault::ErrorBefore | Fault::ErrorAfter => 500,
            Fault::Expired => 401,
            Fault::Forbidden => 403,
            Fault::IfNoneMatchIgnored => 201,
            Fault::IfNoneMatchRefused => 400,
            Fault::Slow | Fault::Conflict | Fault::MetadataDropped => 409,
        };
        assert_eq!(met, expected, "{fault}");
    }
}

#[tokio::test]
async fn a_service_without_if_none_match_ignores_or_refuses_it() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let put = async |body: &'static str| {
        let headers = [("x-ms-blob-type", "BlockBlob"), ("If-None-Match", "*")];
        lake.send("PUT", &path, &headers, body).await
    };
    lake.emulator.add_fault(Rule::new(Fault::IfNoneMatchIgnored).every(1));
    assert_eq!(put("one").await.status, 201);
    assert_eq!(put("two").await.status, 201, "over what is there");
    assert_eq!(lake.get(&path).await.text(), "two");
    lake.emulator.clear_faults();
    lake.emulator.add_fault(Rule::new(Fault::IfNoneMatchRefused).every(1));
    assert_eq!(put("three").await.outcome(), (400, "UnsupportedHeader"));
    assert_eq!(
        lake.put(&path, "four").await.status,
        201,
        "without it nothing is refused"
    );
    lake.emulator.clear_faults();
    assert_eq!(put("five").await.outcome(), (409, "BlobAlreadyExists"));
    lake.emulator.add_fault(Rule::on(Fault::Conflict, Verb::PutBlob));
    assert_eq!(put("six").await.outcome(), (409, "BlobImmutableDueToPolicy"));
    assert_eq!(lake.get(&path).await.text(), "four");
}

#[tokio::test]
async fn a_service_may_lose_metadata() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let headers = [
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-meta-sha256", "abc"),
        ("x-ms-blob-content-type", "image/png"),
    ];
    lake.emulator.add_fault(Rule::new(Fault::MetadataDropped).every(1));
    assert_eq!(lake.send("PUT", &path, &headers, "x").await.status, 201);
    let head = lake.head(&path).await;
    assert_eq!(
        (head.header("x-ms-meta-sha256"), head.header("content-type")),
        ("", "image/png")
    );
    let block_list = format!("{path}?comp=blocklist");
    assert_eq!(
        lake.send("PUT", &block_list, &headers[1..], "<BlockList/>")
            .await
            .status,
        201
    );
    assert_eq!(lake.head(&path).await.header("x-ms-meta-sha256"), "");
    lake.emulator.clear_faults();
    assert_eq!(lake.send("PUT", &path, &headers, "x").await.status, 201);
    assert_eq!(lake.head(&path).await.header("x-ms-meta-sha256"), "abc");
}

#[tokio::test]
async fn one_protocol_may_be_unreachable() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "by dfs").await;
    let dfs = [("User-Agent", "azsdk-rust-storage/0.21.0 (1.95; linux; x86_64)")];
    let blob = [("User-Agent", "azsdk-rust-storage_blob/1.1.0 (1.95; linux; x86_64)")];
    lake.emulator
        .add_fault(Rule::new(Fault::CutBefore).over(Protocol::Blob).every(1));
    assert!(lake.try_send("HEAD", &path, &blob, "").await.is_err());
    assert!(lake.try_send("GET", &path, &blob, "").await.is_err());
    let put = [blob[0], ("x-ms-blob-type", "BlockBlob")];
    assert!(lake.try_send("PUT", &path, &put, "x").await.is_err());
    assert_eq!(lake.send("HEAD", &path, &dfs, "").await.status, 200);
    assert_eq!(lake.send("GET", &path, &dfs, "").await.text(), "by dfs");
    lake.emulator.clear_faults();
    assert_eq!(lake.send("HEAD", &path, &blob, "").await.status, 200);
}
