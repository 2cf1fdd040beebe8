//! The story of an event: the evidence that a test tells, step by step.

use jiff::civil::Date;
use serde_json::json;

use super::super::*;
use crate::dead_letters::FoundEntries;
use crate::trace::life::RowPlace;
use crate::trace::record::Positions;
use crate::trace::row::{AttachmentRowFound, EventRowFound, FailedRowFound};
use crate::trace::tables::Rows;
use xact_config::{Environment, Settings};
use xact_contracts::category::Category;
use xact_contracts::messages::{
    CachedDownload, DeadLetter, DownloadResult, DownloadTask, Event, Message, Problem, SourceRecord, encode, metadata,
};
use xact_kafka::admin::TopicRecord;

pub(super) const URL: &str = "https://claimxperience.com/test.pdf?sig=PLANTED";
pub(super) const RAW: &str = "xact.events.raw";
pub(super) const DLQ: &str = "xact.downloads.dlq";

pub(super) fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2024-12-31T12:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + second).unwrap()
}

pub(super) fn media_id() -> Uuid {
    ids::media_id("t", URL)
}

pub(super) fn task(retry_count: u32) -> DownloadTask {
    let text = json!({"trace_id": "t", "media_id": media_id(), "attachment_url": URL, "blob_path": "s/A1/t/A1_test.pdf",
        "status_subtype": "s", "file_type": "PDF", "assignment_id": "A1", "retry_count": retry_count,
        "original_timestamp": "2024-12-31T12:00:00Z"});
    DownloadTask::decode(text.to_string().as_bytes()).unwrap()
}

pub(super) fn replayed(replay: u32) -> DownloadTask {
    let mut task = task(0);
    task.metadata.insert(metadata::REPLAY_COUNT.to_owned(), replay.into());
    task
}

pub(super) fn retried(due: Timestamp) -> DownloadTask {
    let mut task = task(2);
    for (name, value) in [
        (metadata::RETRY_AT, time::format(due)),
        (metadata::LAST_ERROR, format!("503 from {URL}")),
        (metadata::ERROR_CATEGORY, "transient".to_owned()),
    ] {
        task.metadata.insert(name.to_owned(), value.into());
    }
    task
}

pub(super) fn cached(task: DownloadTask) -> CachedDownload {
    CachedDownload::of_task(task, "13/1".to_owned(), 5, None, "00ff".to_owned(), at(3))
}

pub(super) fn place(table: &'static str) -> RowPlace {
    RowPlace {
        table,
        event_date: Date::constant(2024, 12, 31),
        table_version: 7,
    }
}

/// Whether the stage that reads a record has finished it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reader {
    Done,
    /// It has this number of records before it.
    Behind(i64),
}
pub(super) use Reader::{Behind, Done};

/// The evidence of an event of one attachment, of which everything could be read, and which both readers of the raw topic
/// have finished. Each record has a partition of its own.
pub(super) struct Story {
    pub(super) evidence: Evidence,
    pub(super) rules: Rules,
    pub(super) partitions: i32,
}

impl Story {
    pub(super) fn empty() -> Self {
        let mut evidence = Evidence {
            trace_id: "t".to_owned(),
            has_all_records: true,
            positions: Some(Positions::default()),
            ..Evidence::default()
        };
        evidence.rows = Rows {
            events: Some(Vec::new()),
            attachments: Some(Vec::new()),
            failed: Some(Vec::new()),
        };
        let rules = Rules {
            now: at(100),
            max_retries: 4,
            delta_writes: true,
            files: Location::parse("/data/files").ok(),
            trace_url_template: Some("https://jaeger.example/trace/{trace_id}".to_owned()),
        };
        Self {
            evidence,
            rules,
            partitions: 0,
        }
    }

    /// With the event on the raw topic, and its row.
    pub(super) fn new() -> Self {
        Self::empty().event(Done).event_row()
    }

    pub(super) fn record(
        mut self,
        topic: &str,
        stages: &[Stage],
        second: i64,
        reader: Reader,
        content: Content,
    ) -> Self {
        let record = TopicRecord {
            partition: self.partitions,
            offset: 50,
            timestamp: Some(at(second)),
            key: Some(b"t".to_vec()),
            value: None,
            headers: vec![(
                "traceparent".to_owned(),
                Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec()),
            )],
        };
        let next = match reader {
            Done => 51,
            Behind(records) => 50 - records,
        };
        for stage in stages {
            let positions = self.evidence.positions.as_mut().unwrap();
            positions.add(*stage, topic, self.partitions, next);
        }
        self.partitions += 1;
        self.evidence.records.push(FoundRecord::new(topic, &record, content));
        self
    }

    pub(super) fn event(self, reader: Reader) -> Self {
        self.event_of(&[URL], reader)
    }

    pub(super) fn event_of(self, urls: &[&str], reader: Reader) -> Self {
        let event = json!({"trace_id": "t", "event_type": "x", "timestamp": "2024-12-31T12:00:00Z",
            "payload": {"assignmentId": "A1", "adm": {"coverageLoss": {"claimNumber": "C1"}}}, "attachments": urls});
        let event = Content::Event(Box::new(Event::from_value(&event).unwrap()));
        self.record(RAW, &[Stage::EventIngester, Stage::EventWriter], 0, reader, event)
    }

    pub(super) fn event_row(mut self) -> Self {
        let row = EventRowFound {
            place: place("xact_events"),
            event_type: "x".to_owned(),
            assignment_id: "A1".to_owned(),
            claim_number: "C1".to_owned(),
            event_timestamp: at(0),
            ingested_at: at(1),
            attachments: "https://claimxperience.com/test.pdf,https://claimxperience.com/other.pdf".to_owned(),
            raw_json: String::new(),
        };
        self.evidence.rows.events.as_mut().unwrap().push(row);
        self
    }

    pub(super) fn task(self, second: i64, task: DownloadTask, reader: Reader) -> Self {
        let content = Content::Task(Box::new(task));
        self.record("xact.downloads.pending", &[Stage::Download], second, reader, content)
    }

    pub(super) fn retry(self, second: i64, due: Timestamp, reader: Reader) -> Self {
        let content = Content::Retry(Box::new(retried(due)));
        let topic = "xact.downloads.pending.retry.10m";
        self.record(topic, &[Stage::RetryScheduler], second, reader, content)
    }

    pub(super) fn cached(self, second: i64, reader: Reader) -> Self {
        let content = Content::Cached(Box::new(cached(task(0))));
        self.record("xact.downloads.cached", &[Stage::Upload], second, reader, content)
    }

    pub(super) fn result(self, second: i64, result: DownloadResult, reader: Reader) -> Self {
        let content = Content::Result(Box::new(result));
        self.record(
            "xact.downloads.results",
            &[Stage::ResultProcessor],
            second,
            reader,
            content,
        )
    }

    pub(super) fn uploaded(self, second: i64, reader: Reader) -> Self {
        self.result(second, DownloadResult::completed(&cached(task(0)), at(second)), reader)
    }

    pub(super) fn failed(self, second: i64, task: &DownloadTask, reader: Reader) -> Self {
        let problem = Problem::new(Category::Permanent, "404").with_status(404);
        self.result(
            second,
            DownloadResult::failed_permanently(task, &problem, at(second)),
            reader,
        )
    }

    /// A dead letter, with the name of its settlement.
    pub(super) fn letter(mut self, letter: &DeadLetter, mark: Option<&str>) -> Self {
        let record = |offset: i64, key: &str, value: Option<Vec<u8>>, headers: &[(&str, &str)]| TopicRecord {
            partition: 1,
            offset,
            timestamp: Some(at(20)),
            key: Some(key.as_bytes().to_vec()),
            value,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec())))
                .collect(),
        };
        let mut entries = FoundEntries::default();
        entries.add(record(7, "t", Some(encode(letter)), &[]), |entry| {
            entry.trace_id() == Some("t")
        });
        if let Some(mark) = mark {
            let headers = [("dlq_action", mark), ("dlq_at", "2024-12-31T12:00:30Z")];
            entries.add(record(8, "1:7", None, &headers), |_| false);
        }
        let settings = Settings::from_environment(&Environment::default()).unwrap();
        for entry in entries.finish(&settings, self.rules.now) {
            self.evidence.records.push(FoundRecord::of_entry(DLQ, entry));
        }
        self
    }

    pub(super) fn task_letter(self, mark: Option<&str>) -> Self {
        let problem = Problem::new(Category::Transient, "503");
        self.letter(
            &DeadLetter::of_task(task(4), &problem, "download", source(), at(20)),
            mark,
        )
    }

    pub(super) fn completed_row(mut self) -> Self {
        let row = AttachmentRowFound {
            place: place("xact_attachments"),
            media_id: Some(media_id()),
            trace_id: "t".to_owned(),
            attachment_url: "https://claimxperience.com/test.pdf".to_owned(),
            blob_path: "s/A1/t/A1_test.pdf".to_owned(),
            assignment_id: "A1".to_owned(),
            sha256: "00ff".to_owned(),
            bytes: Some(5),
            created_at: at(5),
        };
        self.evidence.rows.attachments.as_mut().unwrap().push(row);
        self
    }

    pub(super) fn failed_row(mut self) -> Self {
        let row = FailedRowFound {
            place: place("xact_attachments_failed"),
            media_id: Some(media_id()),
            trace_id: "t".to_owned(),
            attachment_url: "https://claimxperience.com/test.pdf".to_owned(),
            assignment_id: "A1".to_owned(),
            error_category: "permanent".to_owned(),
            error_message: format!("404 from {URL}"),
            http_status: Some(404),
            retry_count: 0,
            replay_count: 0,
            created_at: at(20),
        };
        self.evidence.rows.failed.as_mut().unwrap().push(row);
        self
    }

    pub(super) fn without(mut self, change: impl FnOnce(&mut Evidence, &mut Rules)) -> Self {
        change(&mut self.evidence, &mut self.rules);
        self
    }

    pub(super) fn life(&self) -> EventLife {
        let query = Query::parse(URL, None, &[]).unwrap_or_else(|error| panic!("{error}"));
        let life = assemble(&self.evidence, &self.rules, &query).unwrap();
        let json = serde_json::to_string(&life).unwrap();
        assert!(!json.contains("PLANTED"), "{json}");
        life
    }
}

pub(super) fn source() -> SourceRecord {
    SourceRecord {
        topic: "xact.downloads.pending".to_owned(),
        partition: 0,
        offset: 1,
        timestamp: None,
    }
}

/// Attempts that failed, and were replayed: the task again.
pub(super) fn replay() -> Story {
    let failed = Story::new()
        .task(2, task(0), Done)
        .failed(20, &task(0), Done)
        .failed_row();
    failed.task_letter(Some("replayed"))
}
