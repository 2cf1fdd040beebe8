//! What requests cost, in millionths of CU seconds, and the latency of answers.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{FILES, Lake};
use onelake_emulator::{Area, BillingClass, Charge, Fault, Rule, Verb};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const MIB: usize = 1024 * 1024;

/// Requests and millionths of CU seconds of each class.
fn classes(lake: &Lake) -> Vec<(&'static str, u64, u64)> {
    let bill = lake.emulator.bill();
    bill.by_class()
        .map(|(class, charge)| (class.name(), charge.requests, charge.micro_cu_seconds))
        .collect()
}

#[tokio::test]
async fn one_put_blob_is_one_write_and_a_renamed_file_costs_eighty_times_as_much() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/FNOL/roof.jpg");
    let put = lake
        .send("PUT", &path, &[BLOCK, ("If-None-Match", "*")], vec![7; 100_000])
        .await;
    assert_eq!(put.status, 201);
    assert_eq!(classes(&lake), [("write", 1, 162_600)]);

    lake.emulator.clear_requests();
    assert_eq!(lake.emulator.bill(), onelake_emulator::Bill::default());
    lake.write(&format!("{FILES}/x.tmp"), "hello").await;
    let renamed = lake.rename(&format!("{FILES}/x.tmp"), &format!("{FILES}/x"), &[]).await;
    assert_eq!(renamed.status, 201);
    assert_eq!(
        classes(&lake),
        [("write", 3, 487_800), ("iterative_write", 1, 13_000_000)]
    );
    assert_eq!(
        lake.emulator.bill().total(),
        Charge {
            requests: 4,
            units: 4,
            micro_cu_seconds: 13_487_800
        }
    );
}

#[tokio::test]
async fn each_started_unit_of_a_body_is_billed() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let units = |class| lake.emulator.bill().of(class).units;
    for (bytes, expected) in [(4 * MIB, 1), (4 * MIB + 1, 2)] {
        lake.emulator.clear_requests();
        assert_eq!(lake.put(&path, vec![7; bytes]).await.status, 201);
        assert_eq!(units(BillingClass::Write), expected, "{bytes} bytes");
        assert_eq!(lake.get(&path).await.body.len(), bytes);
        assert_eq!(units(BillingClass::Read), expected, "{bytes} bytes");
    }
    lake.emulator.clear_requests();
    let part = lake.send("GET", &path, &[("Range", "bytes=0-9")], "").await;
    assert_eq!(
        (part.body.len(), units(BillingClass::Read)),
        (10, 1),
        "what is read counts"
    );
    lake.emulator.clear_requests();
    let agent = [("User-Agent", "azsdk-rust-storage/0.21.0")];
    let head = lake.send("HEAD", &path, &agent, "").await;
    assert_eq!(head.header("content-length"), (4 * MIB + 1).to_string());
    assert_eq!(
        classes(&lake),
        [("read", 1, 10_400)],
        "the answer to a HEAD has no body"
    );
    lake.emulator.clear_requests();
    let url = format!("{path}?comp=block&blockid=QQ%3D%3D");
    assert_eq!(lake.send("PUT", &url, &[], vec![7; 9 * MIB]).await.status, 201);
    assert_eq!(units(BillingClass::Write), 3);
}

#[tokio::test]
async fn heads_lists_and_deletes_have_their_classes() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.put(&path, "x").await;
    lake.emulator.clear_requests();
    let blob = [("User-Agent", "azsdk-rust-storage_blob/1.1.0 (1.95; linux; x86_64)")];
    let dfs = [("User-Agent", "azsdk-rust-storage/0.21.0 (1.95; linux; x86_64)")];
    assert_eq!(lake.send("HEAD", &path, &blob, "").await.status, 200);
    assert_eq!(classes(&lake), [("other", 1, 10_400)]);
    assert_eq!(lake.send("HEAD", &path, &dfs, "").await.status, 200);
    assert_eq!(classes(&lake), [("read", 1, 10_400), ("other", 1, 10_400)]);
    lake.emulator.clear_requests();
    let list = "/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/Tables";
    assert_eq!(lake.get(list).await.status, 200);
    let list = "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Tables/t/_delta_log/";
    assert_eq!(lake.get(list).await.status, 200);
    assert_eq!(lake.send("DELETE", &path, &[], "").await.status, 202);
    assert_eq!(classes(&lake), [("iterative_read", 2, 325_200), ("delete", 1, 0)]);
    assert_eq!(
        lake.emulator.bill_of(Area::Tables).total().requests,
        2,
        "lists count for what they list"
    );
    assert_eq!(lake.emulator.bill_of(Area::Files).total().requests, 1);
}

#[tokio::test]
async fn refused_requests_are_billed_unless_authentication_failed() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let put = async |headers: &[(&str, &str)]| {
        let headers = [&[BLOCK, ("If-None-Match", "*")], headers].concat();
        let sent = lake.try_send("PUT", &path, &headers, "hello").await;
        sent.map_or(0, |answer| answer.status)
    };
    let billed = || lake.emulator.bill().of(BillingClass::Write).requests;
    assert_eq!((put(&[]).await, billed()), (201, 1));
    assert_eq!((put(&[]).await, billed()), (409, 2));
    assert_eq!((put(&[("Content-MD5", "AAAA")]).await, billed()), (400, 3));
    assert_eq!((put(&[("Authorization", "Bearer nobody")]).await, billed()), (401, 3));
    assert_eq!(
        (
            put(&[("Authorization", "SharedKey devstoreaccount1:eA==")]).await,
            billed()
        ),
        (403, 3)
    );
    for (fault, status, expected) in [
        (Fault::Throttled, 429, 4),
        (Fault::Forbidden, 403, 5),
        (Fault::ErrorAfter, 500, 6),
        (Fault::Expired, 401, 6),
        (Fault::CutBefore, 0, 6),
        (Fault::CutAfter, 0, 7),
        (Fault::CutWithin, 0, 8),
    ] {
        lake.emulator.add_fault(Rule::new(fault));
        assert_eq!((put(&[]).await, billed()), (status, expected), "{fault}");
    }
    assert_eq!(lake.emulator.requests(Verb::PutBlob).requests, 12, "all that came in");
}

#[tokio::test]
async fn the_bill_is_at_the_admin_endpoint() {
    let lake = Lake::start().await;
    lake.put(&format!("{FILES}/a"), vec![7; 5 * MIB]).await;
    lake.put("/claims/Lake.Lakehouse/Tables/dbo/t/part.parquet", "x").await;
    lake.get("/claims/Lake.Lakehouse/Tables/dbo/t/none").await;
    lake.send("HEAD", "/claims?restype=container", &[], "").await;
    let seen: Value = serde_json::from_slice(&lake.get("/__admin/requests").await.body).unwrap();
    let charge = |requests: u64, units: u64, micros: u64, cu: f64| json!({"requests": requests, "units": units, "micro_cu_seconds": micros, "cu_seconds": cu});
    let files = charge(1, 2, 325_200, 0.3252);
    let tables = charge(2, 2, 173_000, 0.173);
    let other = charge(1, 1, 10_400, 0.0104);
    assert_eq!(
        seen["bill"],
        json!({
            "total": charge(4, 5, 508_600, 0.5086),
            "classes": {
                "write": charge(2, 3, 487_800, 0.4878),
                "read": charge(1, 1, 10_400, 0.0104),
                "other": other,
            },
            "areas": {
                "Files": {"total": files, "classes": {"write": files}},
                "Tables": {
                    "total": tables,
                    "classes": {"write": charge(1, 1, 162_600, 0.1626), "read": charge(1, 1, 10_400, 0.0104)},
                },
                "other": {"total": other, "classes": {"other": other}},
            },
        })
    );
    assert_eq!(seen["total"], 4);
    assert_eq!(lake.send("DELETE", "/__admin/requests", &[], "").await.status, 204);
    assert_eq!(lake.emulator.bill().total(), Charge::default());
}

#[tokio::test]
async fn latency_is_added_to_each_request_before_its_answer() {
    const LATENCY: Duration = Duration::from_millis(60);
    /// So long that the test would time out if anything waited for it.
    const FOR_EVER: u64 = 86_400_000;
    let lake = Lake::start_with(|options| options.latency = LATENCY).await;
    for (path, status) in [(format!("{FILES}/none"), 404), ("/none/none".to_owned(), 404)] {
        let start = Instant::now();
        assert_eq!(lake.get(&path).await.status, status);
        assert!(
            start.elapsed() >= LATENCY,
            "a refusal takes as long: {:?}",
            start.elapsed()
        );
    }

    let set = async |body: Value| {
        let headers = [("Content-Type", "application/json")];
        let answer = lake.send("PUT", "/__admin/latency", &headers, body.to_string()).await;
        answer.status
    };
    let seen = async || lake.get("/__admin/latency").await.text().to_owned();
    assert_eq!(seen().await, r#"{"latency_ms":60}"#);
    assert_eq!(set(json!({"latency": 1})).await, 422);
    assert_eq!(set(json!({"latency_ms": FOR_EVER})).await, 204);
    assert_eq!(seen().await, r#"{"latency_ms":86400000}"#, "nothing is added here");

    // Requests wait beside each other: all are carried out while none is answered.
    lake.emulator.clear_requests();
    let puts = (0..3).map(|n| {
        let (lake, path) = (&lake, format!("{FILES}/{n}"));
        async move { lake.put(&path, "x").await }
    });
    let carried_out = async {
        while lake.emulator.bill().total().requests < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        answers = join_all(puts) => panic!("answered: {answers:?}"),
        () = carried_out => {}
    }
    assert_eq!(lake.emulator.requests(Verb::PutBlob).statuses.len(), 0);
    lake.emulator.set_latency(Duration::ZERO);
    assert_eq!(lake.get(&format!("{FILES}/2")).await.text(), "x");
}
