use serde_json::{Value, json};

use super::*;
use xact_config::Environment;
use xact_contracts::messages::{DeadLetter, Message};

const GOOD: &str = "https://claimxperience.com/a.pdf";

fn ingester() -> EventIngester {
    EventIngester::new(&Settings::from_environment(&Environment::default()).unwrap())
}

fn context() -> Context {
    Context {
        now: "2025-01-01T00:00:00Z".parse().unwrap(),
        record_timestamp: "2024-06-01T00:00:00Z".parse().ok(),
    }
}

fn event(attachments: &[&str]) -> Event {
    Event::from_value(
        &json!({"trace_id": "test-001", "event_type": "documentsReceived", "timestamp": "2024-12-31T12:00:00Z",
        "payload": {"assignmentId": "A123"}, "attachments": attachments}),
    )
    .unwrap()
}

/// Topics and messages that the runtime produces for the emitted ones.
async fn produced(ingester: &EventIngester, event: &Event) -> Vec<(String, Value)> {
    let Outcome::Emit(emit) = ingester.handle(event, &context()).await.unwrap() else {
        panic!("an event is never held");
    };
    xact_runtime::testing::produced(emit, context().now).await
}

#[tokio::test]
async fn each_attachment_becomes_a_task_with_fixed_ids_and_paths() {
    let id = "123e4567-e89b-12d3-a456-426614174000";
    let unnamed = format!("https://claimxperience.com/files/{id}");
    let urls = [
        "https://claimxperience.com/test.pdf",
        // A file without a named type is left to the download stage.
        &unnamed,
        "https://claimxperience.com/download.ashx?id=7",
        "https://claimxperience.com/download.ashx?id=7&filename=roof.jpeg",
    ];
    let out = produced(&ingester(), &event(&urls)).await;
    let files = [
        ("test.pdf", "PDF"),
        (id, "UNKNOWN"),
        ("download", "UNKNOWN"),
        ("roof.jpeg", "JPEG"),
    ];
    assert_eq!(out.len(), files.len());
    for ((topic, task), (name, file_type)) in out.iter().zip(files) {
        assert_eq!(topic, "xact.downloads.pending");
        assert_eq!(
            task["blob_path"],
            format!("documentsReceived/A123/test-001/A123_{name}")
        );
        assert_eq!(task["file_type"], file_type);
        assert_eq!(task["original_timestamp"], "2024-12-31T12:00:00.000000Z");
        assert_eq!((&task["retry_count"], &task["event_type"]), (&json!(0), &json!("xact")));
    }
    assert_eq!(out[0].1["media_id"], "13bb61f0-41d1-548c-97c8-ebdee367da68");
}

#[tokio::test]
async fn a_refused_url_fails_alone_with_a_result_and_a_dead_letter() {
    for (bad, reason) in [
        ("https://example.com/test.pdf", "example.com"),
        ("http://claimxperience.com/a.pdf", "http"),
        ("https://claimxperience.com/setup.exe", "exe"),
        ("not a url", ""),
        ("5", ""),
    ] {
        let out = produced(&ingester(), &event(&[bad, GOOD])).await;
        let topics = ["results", "dlq", "pending"].map(|name| format!("xact.downloads.{name}"));
        assert!(out.iter().map(|(topic, _)| topic).eq(&topics), "{bad}: {out:?}");
        assert_eq!(out[0].1["status"], "failed_permanent");
        assert_eq!(out[1].1["error_category"], "permanent");
        let text = out[1].1["final_error"].as_str().unwrap();
        assert!(text.contains(reason), "{text}");
        assert_eq!(out[1].1["original_task"]["attachment_url"], bad);
    }
}

#[tokio::test]
async fn an_event_with_too_many_attachments_fails_as_a_whole() {
    let mut event = event(&[]);
    event.attachments = (0..=MAX_ATTACHMENTS).map(|number| number.to_string()).collect();
    let Err(Failure::Message { problem, .. }) = ingester().handle(&event, &context()).await else {
        panic!("it must be refused");
    };
    assert!(problem.message().contains("1001 attachments"));
}

#[tokio::test]
async fn a_missing_assignment_fails_every_attachment() {
    let unassigned = json!({"trace_id": "t", "type": "x", "payload": {"assignmentId": null}, "attachments": [GOOD]});
    let out = produced(&ingester(), &Event::from_value(&unassigned).unwrap()).await;
    assert_eq!(out.len(), 2);
    // The dead letter must be readable, so that it can be replayed.
    let letter = DeadLetter::decode(out[1].1.to_string().as_bytes()).unwrap();
    assert!(
        letter.final_error.contains("names no assignment"),
        "{}",
        letter.final_error
    );
}

#[tokio::test]
async fn the_expiry_is_in_the_metadata_and_the_download_stage_checks_it() {
    let url = "https://claimxperience.com/a.pdf?systemDate=1704067200000&expires=1000";
    let out = produced(&ingester(), &event(&[url])).await;
    let notes = &out[0].1["metadata"];
    assert_eq!(notes["expires_at"], "2024-01-01T00:00:01.000000Z");
    assert_eq!(notes["expired_at_ingest"], true);
}

#[tokio::test]
async fn an_event_is_expanded_again_until_its_tasks_are_acknowledged() {
    let (ingester, mut event) = (ingester(), event(&[GOOD]));
    // Nothing was acknowledged: a redelivery must expand it again.
    drop(ingester.handle(&event, &context()).await.unwrap());
    assert_eq!(produced(&ingester, &event).await.len(), 1);
    assert_eq!(produced(&ingester, &event).await.len(), 0);
    event.attachments.push("https://claimxperience.com/b.pdf".to_owned());
    assert_eq!(produced(&ingester, &event).await.len(), 2);
}
