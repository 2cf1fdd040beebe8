use serde_json::{Value, json};

use super::*;
use xact_config::Environment;
use xact_contracts::messages::{DeadLetter, Message};

fn ingester() -> EventIngester {
    EventIngester::new(&Settings::from_environment(&Environment::default()).unwrap())
}

fn context() -> Context {
    Context {
        now: "2025-01-01T00:00:00Z".parse().unwrap(),
        record_timestamp: "2024-06-01T00:00:00Z".parse().ok(),
    }
}

fn event(assignment: &Value, attachments: &[&str]) -> Event {
    Event::from_value(
        &json!({"trace_id": "test-001", "event_type": "documentsReceived", "timestamp": "2024-12-31T12:00:00Z",
        "payload": {"assignmentId": assignment}, "attachments": attachments}),
    )
    .unwrap()
}

/// Topics and messages that the runtime produces for the emitted ones.
async fn produced(ingester: &EventIngester, event: Event) -> Vec<(String, Value)> {
    let Outcome::Emit(emit) = ingester.handle(&event, &context()).await.unwrap() else {
        panic!("an event is never held");
    };
    xact_runtime::testing::produced(emit, context().now).await
}

#[tokio::test]
async fn each_attachment_becomes_a_task_with_fixed_ids_and_paths() {
    let out = produced(
        &ingester(),
        event(&json!("A123"), &["https://claimxperience.com/test.pdf"]),
    )
    .await;
    assert_eq!(out.len(), 1);
    let (topic, task) = &out[0];
    assert_eq!(topic, "xact.downloads.pending");
    assert_eq!(task["media_id"], "13bb61f0-41d1-548c-97c8-ebdee367da68");
    assert_eq!(task["blob_path"], "documentsReceived/A123/test-001/A123_test.pdf");
    assert_eq!(task["file_type"], "PDF");
    assert_eq!(task["original_timestamp"], "2024-12-31T12:00:00.000000Z");
    assert_eq!((&task["retry_count"], &task["event_type"]), (&json!(0), &json!("xact")));
}

#[tokio::test]
async fn a_refused_url_fails_alone_with_a_result_and_a_dead_letter() {
    let good = "https://claimxperience.com/a.pdf";
    for (bad, reason) in [
        ("https://example.com/test.pdf", "example.com"),
        ("http://claimxperience.com/a.pdf", "http"),
        ("https://claimxperience.com/setup.exe", "exe"),
        ("not a url", ""),
        ("5", ""),
    ] {
        let out = produced(&ingester(), event(&json!("A"), &[bad, good])).await;
        let topics: Vec<_> = out.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(
            topics,
            ["xact.downloads.results", "xact.downloads.dlq", "xact.downloads.pending"],
            "{bad}"
        );
        assert_eq!(out[0].1["status"], "failed_permanent");
        assert_eq!(out[1].1["error_category"], "permanent");
        let text = out[1].1["final_error"].as_str().unwrap();
        assert!(text.contains(reason), "{text}");
        assert_eq!(out[1].1["original_task"]["attachment_url"], bad);
    }
}

#[tokio::test]
async fn a_file_without_a_named_type_is_left_to_the_download_stage() {
    let urls = [
        "https://claimxperience.com/files/123e4567-e89b-12d3-a456-426614174000",
        "https://claimxperience.com/download.ashx?id=7",
        "https://claimxperience.com/download.ashx?id=7&filename=roof.jpeg",
    ];
    let out = produced(&ingester(), event(&json!("A"), &urls)).await;
    let tasks: Vec<_> = out
        .iter()
        .map(|(topic, task)| {
            (
                topic.as_str(),
                task["file_type"].as_str().unwrap(),
                task["blob_path"].as_str().unwrap(),
            )
        })
        .collect();
    let pending = "xact.downloads.pending";
    let path = |name: &str| format!("documentsReceived/A/test-001/A_{name}");
    let paths = ["123e4567-e89b-12d3-a456-426614174000", "download", "roof.jpeg"].map(path);
    assert_eq!(
        tasks,
        [
            (pending, "UNKNOWN", paths[0].as_str()),
            (pending, "UNKNOWN", paths[1].as_str()),
            (pending, "JPEG", paths[2].as_str())
        ]
    );
}

#[tokio::test]
async fn an_event_with_too_many_attachments_fails_as_a_whole() {
    let mut event = event(&json!("A"), &[]);
    event.attachments = (0..=MAX_ATTACHMENTS).map(|number| number.to_string()).collect();
    let Err(Failure::Message { problem, .. }) = ingester().handle(&event, &context()).await else {
        panic!("it must be refused");
    };
    assert!(problem.message().contains("1001 attachments"));
}

#[tokio::test]
async fn a_missing_assignment_fails_every_attachment() {
    let out = produced(&ingester(), event(&Value::Null, &["https://claimxperience.com/a.pdf"])).await;
    assert_eq!(out.len(), 2);
    assert!(
        out[1].1["final_error"]
            .as_str()
            .unwrap()
            .contains("names no assignment")
    );
    // The dead letter must be readable, so that it can be replayed.
    assert!(DeadLetter::decode(out[1].1.to_string().as_bytes()).is_ok());
}

#[tokio::test]
async fn the_expiry_is_in_the_metadata_and_the_download_stage_checks_it() {
    let url = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
    let out = produced(&ingester(), event(&json!("A"), &[url])).await;
    let notes = &out[0].1["metadata"];
    assert_eq!(notes["expires_at"], "2024-01-01T00:00:01.000000Z");
    assert_eq!(notes["expired_at_ingest"], true);
}

#[tokio::test]
async fn an_event_is_expanded_again_until_its_tasks_are_acknowledged() {
    let ingester = ingester();
    let event = event(&json!("A"), &["https://claimxperience.com/a.pdf"]);
    // Nothing was acknowledged: a redelivery must expand it again.
    let Outcome::Emit(first) = ingester.handle(&event, &context()).await.unwrap() else {
        panic!();
    };
    drop(first);
    assert_eq!(produced(&ingester, event.clone()).await.len(), 1);
    assert_eq!(produced(&ingester, event.clone()).await.len(), 0);
    let mut other = event;
    other.attachments.push("https://claimxperience.com/b.pdf".to_owned());
    assert_eq!(produced(&ingester, other).await.len(), 2);
}
