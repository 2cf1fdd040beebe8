//! Tests of the life that records and rows tell.

mod story;

use super::*;
use crate::trace::tables::Rows;
use story::*;
use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, MAX_ATTACHMENTS, Problem};
use xact_contracts::topology::TopicRole;

#[test]
fn an_attachment_is_where_its_records_and_rows_say() {
    use AttachmentState::{Completed, DeadLetter, Failed, InProgress, Lost, Unknown};
    let no_topics = |evidence: &mut Evidence, _: &mut Rules| {
        evidence.records.clear();
        evidence.positions = None;
        evidence.has_all_records = false;
    };
    let no_tables = |evidence: &mut Evidence, _: &mut Rules| evidence.rows = Rows::default();
    let no_delta = |evidence: &mut Evidence, rules: &mut Rules| {
        evidence.rows = Rows::default();
        rules.delta_writes = false;
    };
    let uploaded = || Story::new().task(2, task(0), Done).cached(3, Done).uploaded(5, Done);
    let failed = || {
        Story::new()
            .task(2, task(0), Done)
            .failed(20, &task(0), Done)
            .failed_row()
    };
    let cases = [
        (
            "not expanded",
            Story::empty().event(Behind(2)),
            InProgress,
            "event-ingester is 2 records behind",
        ),
        (
            "pending",
            Story::new().task(2, task(0), Behind(0)),
            InProgress,
            "xact-download-worker is at it",
        ),
        (
            "cached",
            Story::new().task(2, task(0), Done).cached(3, Behind(12)),
            InProgress,
            "upload-worker is 12 records",
        ),
        (
            "result",
            Story::new()
                .task(2, task(0), Done)
                .cached(3, Done)
                .uploaded(5, Behind(1)),
            InProgress,
            "its row waits in xact.downloads.results[3] at offset 50 for the result-processor stage: group xact-result-processor is 1 record behind",
        ),
        (
            "retry",
            Story::new().task(2, task(1), Done).retry(3, at(600), Behind(1)),
            InProgress,
            "retry 2 of 4 is due at 2024-12-31T12:10:00.000000Z",
        ),
        (
            "overdue retry",
            Story::new().retry(3, at(50), Behind(1)),
            InProgress,
            "has been due since 2024-12-31T12:00:50",
        ),
        ("completed", uploaded().completed_row(), Completed, "completed"),
        (
            "completed, by its row alone",
            Story::new().completed_row().without(no_topics),
            Completed,
            "completed",
        ),
        (
            "completed, tables away",
            uploaded().without(no_tables),
            Completed,
            "tables could not be read",
        ),
        (
            "completed, without tables",
            uploaded().without(no_delta),
            Completed,
            "ENABLE_DELTA_WRITES=false",
        ),
        (
            "completed after its failed row",
            failed().completed_row(),
            Completed,
            "completed",
        ),
        (
            "dead letter",
            failed().task_letter(None),
            DeadLetter,
            "a replay sends it to xact.downloads.pending",
        ),
        (
            "dead letter without its row",
            Story::new().task_letter(None),
            DeadLetter,
            "dead letter 1:7 waits",
        ),
        (
            "resolved",
            failed().task_letter(Some("resolved")),
            Failed,
            "resolved at 2024-12-31T12:00:30",
        ),
        (
            "resolved, tables away",
            Story::new().task_letter(Some("resolved")).without(no_tables),
            Failed,
            "resolved",
        ),
        (
            "expired dead letter",
            failed(),
            Failed,
            "the source must send the event again",
        ),
        (
            "failed, topics away",
            failed().without(no_topics),
            Failed,
            "not all topics could be read",
        ),
        (
            "replayed",
            replay().task(31, replayed(1), Behind(0)),
            InProgress,
            "xact-download-worker is at it",
        ),
        ("replayed, completed", replay().completed_row(), Completed, "completed"),
        (
            "replayed, nothing came of it",
            replay(),
            Failed,
            "its dead letter was replayed, and",
        ),
        ("lost", Story::new().task(2, task(0), Done), Lost, "no record, no row"),
        (
            "lost row",
            uploaded(),
            Lost,
            "its result is finished, and it has no row",
        ),
        (
            "lost, or not",
            Story::new().without(|evidence, _| evidence.has_all_records = false),
            Unknown,
            "--since",
        ),
        (
            "lost, or in a table",
            Story::new().without(no_tables),
            Unknown,
            "not everything could be read",
        ),
    ];
    for (case, story, state, text) in cases {
        let life = story.life();
        let attachment = &life.attachments[0];
        assert_eq!(attachment.state, state, "{case}: {attachment:#?}");
        assert!(attachment.next.text.contains(text), "{case}: {:?}", attachment.next);
        assert!(attachment.asked_for || attachment.media_id.is_none(), "{case}");
        let command = match state {
            DeadLetter => Some("xact-pipeline dlq replay 1:7"),
            Lost => Some("xact-pipeline reconcile --from 2024-12-31 --to 2025-01-01"),
            _ => None,
        };
        assert_eq!(attachment.next.command.as_deref(), command, "{case}");
    }
}

#[test]
fn steps_are_told_in_their_order_with_what_they_know() {
    let story = replay().task(30, replayed(1), Done).completed_row();
    let life = story.life();
    let attachment = &life.attachments[0];
    let kinds: Vec<StepKind> = attachment.steps.iter().map(|step| step.step).collect();
    use StepKind::{DeadLetter, Failed, Replayed, Row, Task};
    assert_eq!(kinds, [Task, Failed, DeadLetter, Row, Replayed, Task, Row]);
    let failed = &attachment.steps[1];
    assert_eq!(
        (failed.http_status, failed.finished, failed.attempt),
        (Some(404), Some(true), Some(1))
    );
    assert_eq!(failed.reason.as_deref(), Some("404"));
    assert_eq!(attachment.steps[5].replay, Some(1));
    let file = "file:///data/files/s/A1/t/A1_test.pdf";
    assert_eq!((attachment.file.as_deref(), attachment.bytes), (Some(file), Some(5)));
    assert_eq!(attachment.sha256.as_deref(), Some("00ff"));
    let links: Vec<_> = life.traces.iter().map(|link| link.url.as_deref()).collect();
    assert_eq!(
        links,
        [Some("https://jaeger.example/trace/0af7651916cd43dd8448eb211c80319c")]
    );

    let retry = Story::new().retry(3, at(600), Behind(0)).life();
    let retry = &retry.attachments[0].steps[0];
    assert_eq!(
        (retry.due_at, retry.error_category),
        (Some(at(600)), Some(Category::Transient))
    );
    assert_eq!(
        retry.reason.as_deref(),
        Some("503 from https://claimxperience.com/test.pdf")
    );
}

#[test]
fn the_row_of_the_event_is_written_or_waits_or_is_lost() {
    let cases = [
        (Story::new(), RowState::Written, "written"),
        (Story::new().event_row(), RowState::Written, "2 times"),
        (
            Story::empty().event(Behind(3)),
            RowState::Waiting,
            "xact-event-writer is 3 records behind",
        ),
        (Story::empty().event(Done), RowState::Lost, "lost"),
        (Story::empty().task(2, task(0), Done), RowState::Lost, "lost"),
        (
            Story::empty()
                .event(Done)
                .without(|evidence, _| evidence.has_all_records = false),
            RowState::Unknown,
            "not all topics",
        ),
        (
            Story::empty()
                .event(Done)
                .without(|evidence, _| evidence.rows.events = None),
            RowState::Unknown,
            "could not be read",
        ),
        (
            Story::empty()
                .event(Done)
                .without(|_, rules| rules.delta_writes = false),
            RowState::Disabled,
            "ENABLE_DELTA_WRITES=false",
        ),
    ];
    for (story, state, text) in cases {
        let row = story.life().row;
        assert_eq!(row.state, state, "{row:?}");
        assert!(row.next.text.contains(text), "{row:?}");
    }
}

#[test]
fn an_event_that_only_its_row_tells_names_its_attachments_without_ids() {
    let life = Story::empty().event_row().completed_row().life();
    assert_eq!((life.received.len(), life.claim_number.as_deref()), (0, Some("C1")));
    let attachments = life.attachments.iter();
    let attachments: Vec<_> = attachments
        .map(|it| (it.media_id, it.attachment_url.as_deref(), it.state))
        .collect();
    let expected = [
        (
            Some(media_id()),
            Some("https://claimxperience.com/test.pdf"),
            AttachmentState::Completed,
        ),
        (
            None,
            Some("https://claimxperience.com/other.pdf"),
            AttachmentState::Lost,
        ),
    ];
    assert_eq!(attachments, expected);
    assert!(!life.is_in_order());
}

#[test]
fn a_dead_letter_of_the_whole_event_holds_all_of_its_attachments() {
    let problem = Problem::new(Category::Permanent, "a bug");
    let letter = |bytes: &[u8]| {
        DeadLetter::of_payload(
            bytes,
            Some("t".to_owned()),
            &problem,
            "event-ingester",
            source(),
            at(20),
        )
    };
    let life = Story::new().letter(&letter(br#"{"trace_id":"t"}"#), None).life();
    assert_eq!(life.attachments[0].state, AttachmentState::DeadLetter);
    let command = life.dead_letters[0].next.command.as_deref();
    assert_eq!(
        command,
        Some("xact-pipeline dlq resolve 1:7"),
        "it would be rejected again"
    );
    assert!(!life.is_in_order());
    // Once it is resolved, nothing holds the attachment.
    let life = Story::new().letter(&letter(b"x"), Some("resolved")).life();
    assert_eq!(life.attachments[0].state, AttachmentState::Lost);

    let many: Vec<String> = (0..=MAX_ATTACHMENTS)
        .map(|number| format!("https://h/{number}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let life = Story::empty().event_of(&many, Done).life();
    assert_eq!((life.attachments.len(), life.notes.len()), (0, 1));
}

#[test]
fn everything_that_is_done_or_on_its_way_is_in_order() {
    for (story, expected) in [
        (Story::new().completed_row(), true),
        (Story::empty().event(Behind(1)), true),
        (Story::new().task_letter(None), false),
        (Story::new(), false),
        (Story::empty().event(Done).completed_row(), false),
    ] {
        let life = story.life();
        assert_eq!(life.is_in_order(), expected, "{life:#?}");
    }
    assert!(Story::empty().evidence.is_empty());
    let role = TopicRole::Dlq;
    assert!(Content::decode(role, b"{}").is_none(), "dead letters need their marks");
}
