//! Faults on demand, as clients get them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::folder::by_guid;
use crate::support::{BLOCK, FILES, Lake, NEW, TOKEN};
use onelake_emulator::{Fault, Protocol, Rule, Verb};

/// An emulator with an empty file `a` and a rule.
async fn lake_with(rule: Rule) -> Lake {
    let lake = Lake::start().await;
    assert_eq!(lake.create("a").await, "201");
    lake.emulator.add_fault(rule);
    lake
}

#[tokio::test]
async fn throttling_sets_retry_after_and_does_nothing() {
    let mut rule = Rule::on(Fault::Throttled, Verb::Append).times(2);
    rule.retry_after_seconds = 7;
    let lake = lake_with(rule).await;
    for _ in 0..2 {
        let answer = lake.append("a", 0, "abc").await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    }
    let flushed = lake.flush("a", 0).await;
    assert_eq!(flushed, "200", "nothing was staged, and other verbs are not concerned");
    assert_eq!(lake.append("a", 0, "abc").await, "202");
    lake.emulator.add_fault(Rule::on(Fault::Unavailable, Verb::Flush));
    let busy = lake.flush("a", 3).await;
    assert_eq!(busy, "503 ServerBusy");
    assert_eq!(busy.header("retry-after"), "1");
    assert_eq!(lake.flush("a", 3).await, "200");
}

#[tokio::test]
async fn an_error_comes_before_or_after_the_operation() {
    let lake = lake_with(Rule::on(Fault::ErrorBefore, Verb::PutBlob)).await;
    assert_eq!(lake.put("a", "one").await, "500 InternalError");
    assert_eq!(lake.get("a").await.text(), "");
    lake.emulator.add_fault(Rule::on(Fault::ErrorAfter, Verb::PutBlob));
    assert_eq!(lake.put("a", "two").await, "500 InternalError");
    assert_eq!(lake.get("a").await.text(), "two", "the acknowledgement alone was lost");
}

#[tokio::test]
async fn an_upload_with_retries_survives_lost_acknowledgements() {
    let lake = lake_with(Rule::on(Fault::ErrorAfter, Verb::Append)).await;
    lake.emulator.add_fault(Rule::on(Fault::ErrorAfter, Verb::Flush));
    lake.emulator.add_fault(Rule::on(Fault::ErrorAfter, Verb::Rename));
    for status in [500, 202] {
        assert_eq!(lake.append("a", 0, "abc").await.status, status);
    }
    for status in [500, 200] {
        assert_eq!(lake.flush("a", 3).await.status, status);
    }
    assert_eq!(lake.rename("a", "b").await.status, 500);
    let again = lake.rename("a", "b").await;
    assert_eq!(again, "404 SourcePathNotFound", "it has happened");
    assert_eq!(lake.get("b").await.text(), "abc");
}

#[tokio::test]
async fn expired_tokens_and_missing_roles_on_demand() {
    let lake = lake_with(Rule::new(Fault::Expired)).await;
    let expired = lake.get("a").await;
    assert_eq!(expired, "401 InvalidAuthenticationInfo");
    assert!(expired.header("www-authenticate").starts_with("Bearer "), "{expired:?}");
    lake.emulator.add_fault(Rule::new(Fault::Forbidden));
    assert_eq!(lake.get("a").await, "403 AuthorizationPermissionMismatch");
    assert_eq!(lake.get("a").await, "200");
}

#[tokio::test]
async fn slow_requests_are_delayed_and_done() {
    let mut rule = Rule::new(Fault::Slow);
    rule.delay_ms = 300;
    let lake = lake_with(rule).await;
    let start = Instant::now();
    assert_eq!(lake.get("a").await, "200");
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}

#[tokio::test]
async fn connections_are_cut_before_after_and_within_the_answer() {
    let lake = Lake::start().await;
    lake.put("a", "old").await;
    for (fault, body, kept) in [
        (Fault::CutBefore, "one", "old"),
        (Fault::CutAfter, "two", "two"),
        // Also an answer without a body is cut.
        (Fault::CutWithin, "three", "three"),
    ] {
        lake.emulator.add_fault(Rule::on(fault, Verb::PutBlob));
        assert!(lake.try_send("PUT", "a", &[BLOCK], body).await.is_err(), "{fault}");
        assert_eq!(lake.get("a").await.text(), kept, "{fault}");
    }

    assert_eq!(lake.put("a", "0123456789".repeat(100_000)).await, "201");
    lake.emulator.add_fault(Rule::on(Fault::CutWithin, Verb::Read));
    let request = lake.client.get(lake.url("a")).bearer_auth(TOKEN);
    let mut response = request.send().await.unwrap();
    let announced = (response.status().as_u16(), response.content_length());
    assert_eq!(announced, (200, Some(1_000_000)));
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
    assert!(lake.try_send("HEAD", "a", &[], "").await.is_err());
}

#[tokio::test]
async fn rules_are_added_listed_and_removed_over_http() {
    const TABLE: &str = "/claims/Lake.Lakehouse/Tables/a";
    let lake = Lake::start().await;
    let post = async |rule: Value| {
        let answer = lake.admin("POST", "faults", rule).await;
        assert_eq!(answer, "201");
        answer.json()["id"].as_u64().unwrap()
    };
    lake.put("a", "x").await;
    lake.put(TABLE, "x").await;
    let id = post(json!({"fault": "error-before", "method": "GET", "path": FILES, "every": 2})).await;
    for (path, status) in [("a", 200), ("a", 500), (TABLE, 200), ("a", 200), ("a", 500)] {
        assert_eq!(lake.get(path).await.status, status, "{path}");
    }
    let active = lake.get("/__admin/faults").await.json();
    let (hit, matched) = (&active[0]["hit"], &active[0]["matched"]);
    assert_eq!(json!([active[0]["id"], hit, matched]), json!([id, 2, 4]));
    post(json!({"fault": "throttled", "times": 100})).await;
    assert_eq!(lake.delete(&format!("/__admin/faults?id={id}")).await, "204");
    assert_eq!(lake.get("a").await.status, 429);
    assert_eq!(lake.delete("/__admin/faults").await, "204");
    assert_eq!(lake.get("a").await, "200");
}

#[tokio::test]
async fn a_rule_by_name_applies_to_requests_by_guid() {
    let lake = Lake::start().await;
    lake.put("a", "x").await;
    lake.emulator.add_fault(Rule::new(Fault::ErrorBefore).below(FILES));
    assert_eq!(lake.get(&by_guid("a")).await.status, 500);
    assert_eq!(lake.get(&by_guid("a")).await.text(), "x");
}

#[tokio::test]
async fn every_fault_happens() {
    let lake = Lake::start().await;
    lake.put("a", "x").await;
    for fault in Fault::all() {
        lake.emulator.add_fault(Rule::new(fault));
        // A Put Blob that every fault affects: `a` exists already.
        let headers = [BLOCK, ("x-ms-meta-colour", "red"), NEW];
        let answer = lake.try_send("PUT", "a", &headers, "y").await;
        let expected = match fault {
            Fault::CutBefore | Fault::CutAfter | Fault::CutWithin => None,
            Fault::Throttled => Some(429),
            Fault::Unavailable => Some(503),
            Fault::ErrorBefore | Fault::ErrorAfter => Some(500),
            Fault::Expired => Some(401),
            Fault::Forbidden => Some(403),
            Fault::IfNoneMatchIgnored => Some(201),
            Fault::IfNoneMatchRefused => Some(400),
            Fault::Slow | Fault::Conflict | Fault::MetadataDropped => Some(409),
        };
        assert_eq!(answer.ok().map(|answer| answer.status), expected, "{fault}");
    }
}

#[tokio::test]
async fn a_service_without_if_none_match_ignores_or_refuses_it() {
    let lake = Lake::start().await;
    let put = async |body: &'static str| lake.put_with(&[NEW], "a", body).await;
    lake.emulator.add_fault(Rule::new(Fault::IfNoneMatchIgnored).every(1));
    assert_eq!(put("one").await, "201");
    assert_eq!(put("two").await, "201", "over the existing blob");
    assert_eq!(lake.get("a").await.text(), "two");
    lake.emulator.clear_faults();
    lake.emulator.add_fault(Rule::new(Fault::IfNoneMatchRefused).every(1));
    assert_eq!(put("three").await, "400 UnsupportedHeader");
    assert_eq!(lake.put("a", "four").await, "201", "without it");
    lake.emulator.clear_faults();
    assert_eq!(put("five").await, "409 BlobAlreadyExists");
    lake.emulator.add_fault(Rule::on(Fault::Conflict, Verb::PutBlob));
    assert_eq!(put("six").await, "409 BlobImmutableDueToPolicy");
    assert_eq!(lake.get("a").await.text(), "four");
}

#[tokio::test]
async fn a_service_may_lose_metadata() {
    let lake = Lake::start().await;
    let headers = [("x-ms-meta-sha256", "abc"), ("x-ms-blob-content-type", "image/png")];
    lake.emulator.add_fault(Rule::new(Fault::MetadataDropped).every(1));
    assert_eq!(lake.put_with(&headers, "a", "x").await, "201");
    let head = lake.head("a").await;
    assert_eq!(head.headers(["x-ms-meta-sha256", "content-type"]), ["", "image/png"]);
    let committed = lake.send("PUT", "a?comp=blocklist", &headers, "<BlockList/>").await;
    assert_eq!(committed, "201");
    assert_eq!(lake.head("a").await.header("x-ms-meta-sha256"), "");
    lake.emulator.clear_faults();
    assert_eq!(lake.put_with(&headers, "a", "x").await, "201");
    assert_eq!(lake.head("a").await.header("x-ms-meta-sha256"), "abc");
}

#[tokio::test]
async fn one_protocol_may_be_unreachable() {
    let lake = Lake::start().await;
    lake.write("a", "by dfs").await;
    let dfs = [("User-Agent", "azsdk-rust-storage/0.21.0 (1.95; linux; x86_64)")];
    let blob = [
        ("User-Agent", "azsdk-rust-storage_blob/1.1.0 (1.95; linux; x86_64)"),
        BLOCK,
    ];
    let unreachable = Rule::new(Fault::CutBefore).over(Protocol::Blob).every(1);
    lake.emulator.add_fault(unreachable);
    for method in ["HEAD", "GET", "PUT"] {
        assert!(lake.try_send(method, "a", &blob, "").await.is_err(), "{method}");
    }
    assert_eq!(lake.send("HEAD", "a", &dfs, "").await, "200");
    assert_eq!(lake.send("GET", "a", &dfs, "").await.text(), "by dfs");
    lake.emulator.clear_faults();
    assert_eq!(lake.send("HEAD", "a", &blob, "").await, "200");
}
