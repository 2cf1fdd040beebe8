//! What requests cost, in millionths of CU seconds, and the latency of answers.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::support::{BLOCK, FILES, Lake, NEW};
use onelake_emulator::{Area, BillingClass, Charge, Fault, Rule, Verb};

const MIB: usize = 1024 * 1024;

/// Returns requests and millionths of CU seconds of each class, and resets them.
fn classes(lake: &Lake) -> Vec<(&'static str, u64, u64)> {
    let bill = lake.emulator.bill();
    lake.emulator.clear_requests();
    let classes = bill.by_class();
    let classes = classes.map(|(class, charge)| (class.name(), charge.requests, charge.micro_cu_seconds));
    classes.collect()
}

#[tokio::test]
async fn one_put_blob_is_one_write_and_a_renamed_file_costs_eighty_times_as_much() {
    let lake = Lake::start().await;
    let put = lake.put_with(&[NEW], "FNOL/roof.jpg", vec![7; 100_000]).await;
    assert_eq!(put, "201");
    assert_eq!(classes(&lake), [("write", 1, 162_600)]);
    assert_eq!(lake.emulator.bill(), onelake_emulator::Bill::default());
    lake.write("x.tmp", "hello").await;
    assert_eq!(lake.rename("x.tmp", "x").await, "201");
    let total = Charge {
        requests: 4,
        units: 4,
        micro_cu_seconds: 13_487_800,
    };
    assert_eq!(lake.emulator.bill().total(), total);
    assert_eq!(
        classes(&lake),
        [("write", 3, 487_800), ("iterative_write", 1, 13_000_000)]
    );
}

#[tokio::test]
async fn each_started_unit_of_a_body_is_billed() {
    let lake = Lake::start().await;
    let units = |class| lake.emulator.bill().of(class).units;
    for (bytes, expected) in [(4 * MIB, 1), (4 * MIB + 1, 2)] {
        lake.emulator.clear_requests();
        assert_eq!(lake.put("a", vec![7; bytes]).await, "201");
        assert_eq!(units(BillingClass::Write), expected, "{bytes} bytes");
        assert_eq!(lake.get("a").await.body.len(), bytes);
        assert_eq!(units(BillingClass::Read), expected, "{bytes} bytes");
    }
    lake.emulator.clear_requests();
    let part = lake.send("GET", "a", &[("Range", "bytes=0-9")], "").await;
    // What is read counts.
    assert_eq!((part.body.len(), units(BillingClass::Read)), (10, 1));
    lake.emulator.clear_requests();
    let agent = [("User-Agent", "azsdk-rust-storage/0.21.0")];
    let head = lake.send("HEAD", "a", &agent, "").await;
    assert_eq!(head.header("content-length"), (4 * MIB + 1).to_string());
    // The answer to a HEAD has no body.
    assert_eq!(classes(&lake), [("read", 1, 10_400)]);
    let block = lake.send("PUT", "a?comp=block&blockid=QQ%3D%3D", &[], vec![7; 9 * MIB]);
    assert_eq!(block.await, "201");
    assert_eq!(units(BillingClass::Write), 3);
}

#[tokio::test]
async fn heads_lists_and_deletes_have_their_classes() {
    let lake = Lake::start().await;
    lake.put("a", "x").await;
    lake.emulator.clear_requests();
    for (agent, class) in [
        ("azsdk-rust-storage_blob/1.1.0", "other"),
        ("azsdk-rust-storage/0.21.0", "read"),
    ] {
        let head = lake.send("HEAD", "a", &[("User-Agent", agent)], "").await;
        assert_eq!(head, "200");
        assert_eq!(classes(&lake), [(class, 1, 10_400)]);
    }
    for list in [
        "/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/Tables",
        "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Tables/t/_delta_log/",
    ] {
        assert_eq!(lake.get(list).await, "200");
    }
    assert_eq!(lake.delete("a").await, "202");
    let requests = |area| lake.emulator.bill_of(area).total().requests;
    // A list counts for the folder that it lists.
    assert_eq!((requests(Area::Tables), requests(Area::Files)), (2, 1));
    assert_eq!(classes(&lake), [("iterative_read", 2, 325_200), ("delete", 1, 0)]);
}

#[tokio::test]
async fn refused_requests_are_billed_unless_authentication_failed() {
    let lake = Lake::start().await;
    let put = async |headers: &[(&str, &str)]| {
        let headers = [&[BLOCK, NEW], headers].concat();
        let sent = lake.try_send("PUT", "a", &headers, "hello").await;
        (
            sent.map_or(0, |answer| answer.status),
            lake.emulator.bill().of(BillingClass::Write).requests,
        )
    };
    assert_eq!(put(&[]).await, (201, 1));
    assert_eq!(put(&[]).await, (409, 2));
    for (name, value, expected) in [
        ("Content-MD5", "AAAA", (400, 3)),
        ("Authorization", "Bearer nobody", (401, 3)),
        ("Authorization", "SharedKey devstoreaccount1:eA==", (403, 3)),
    ] {
        assert_eq!(put(&[(name, value)]).await, expected, "{name}: {value}");
    }
    for (fault, expected) in [
        (Fault::Throttled, (429, 4)),
        (Fault::Forbidden, (403, 5)),
        (Fault::ErrorAfter, (500, 6)),
        (Fault::Expired, (401, 6)),
        (Fault::CutBefore, (0, 6)),
        (Fault::CutAfter, (0, 7)),
        (Fault::CutWithin, (0, 8)),
    ] {
        lake.emulator.add_fault(Rule::new(fault));
        assert_eq!(put(&[]).await, expected, "{fault}");
    }
    assert_eq!(lake.emulator.requests(Verb::PutBlob).requests, 12, "all that came in");
}

#[tokio::test]
async fn the_bill_is_at_the_admin_endpoint() {
    let lake = Lake::start().await;
    lake.put("a", vec![7; 5 * MIB]).await;
    lake.put("/claims/Lake.Lakehouse/Tables/dbo/t/part.parquet", "x").await;
    lake.get("/claims/Lake.Lakehouse/Tables/dbo/t/none").await;
    lake.head("/claims?restype=container").await;
    let shown = lake.get("/__admin/requests").await.json();
    let charge = |requests: u64, units: u64, micros: u64, cu: f64| json!({"requests": requests, "units": units, "micro_cu_seconds": micros, "cu_seconds": cu});
    let files = charge(1, 2, 325_200, 0.3252);
    let tables = charge(2, 2, 173_000, 0.173);
    let other = charge(1, 1, 10_400, 0.0104);
    let bill = json!({
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
    });
    assert_eq!((&shown["total"], &shown["bill"]), (&json!(4), &bill));
    assert_eq!(lake.delete("/__admin/requests").await, "204");
    assert_eq!(lake.emulator.bill().total(), Charge::default());
}

#[tokio::test]
async fn latency_is_added_to_each_request_before_its_answer() {
    const LATENCY: Duration = Duration::from_millis(60);
    let lake = Lake::start_with(|options| options.latency = LATENCY).await;
    for path in [&*format!("{FILES}/none"), "/none/none"] {
        let start = Instant::now();
        assert_eq!(lake.get(path).await.status, 404);
        let taken = start.elapsed();
        assert!(taken >= LATENCY, "a refusal takes as long: {taken:?}");
    }

    let shown = async || lake.get("/__admin/latency").await.json();
    assert_eq!(shown().await, json!({"latency_ms": 60}));
    // A day: the test would time out if anything waited for it. The admin endpoint answers without a delay.
    for (body, outcome) in [
        (json!({"latency": 1}), "422"),
        (json!({"latency_ms": 86_400_000}), "204"),
    ] {
        assert_eq!(lake.admin("PUT", "latency", body).await, outcome);
    }
    assert_eq!(shown().await, json!({"latency_ms": 86_400_000}));

    // Requests wait concurrently: all are carried out while none is answered.
    lake.emulator.clear_requests();
    let puts = ["0", "1", "2"].map(|path| lake.put(path, "x"));
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
    assert_eq!(lake.admin("PUT", "latency", json!({"latency_ms": 0})).await, "204");
    assert_eq!(lake.get("2").await.text(), "x");
}
