//! Requests and responses of `POST /invoke`: the same handler without Kafka, with records in the form of a Lambda Kafka event.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html>

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use xact_kafka::{Record, trace_of_headers, trace_of_record};

/// The request: records by `topic-partition`.
#[derive(Debug, Deserialize)]
struct Request {
    records: BTreeMap<String, Vec<InvokeRecord>>,
}

#[derive(Debug, Deserialize)]
struct InvokeRecord {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<String>,
    value: Option<String>,
    /// Each header is an object with the header's name and bytes.
    #[serde(default)]
    headers: Vec<BTreeMap<String, Vec<u8>>>,
}

/// The response: the records that the caller must send again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: ItemIdentifier,
}

#[derive(Serialize)]
pub(crate) struct ItemIdentifier {
    topic: String,
    partition: i32,
    offset: i64,
}

/// The request body is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvokeError {
    #[error("the request body is not a Lambda Kafka event: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("{field} of {topic}[{partition}] at offset {offset} is not valid base64: {error}")]
    Base64 {
        field: &'static str,
        topic: String,
        partition: i32,
        offset: i64,
        error: base64::DecodeError,
    },
}

/// Parses the records of a request.
pub(crate) fn records(body: &[u8]) -> Result<Vec<Record>, InvokeError> {
    let request: Request = serde_json::from_slice(body)?;
    request.records.into_values().flatten().map(record).collect()
}

fn record(from: InvokeRecord) -> Result<Record, InvokeError> {
    let bytes = |field: &'static str, text: &Option<String>| {
        text.as_deref()
            .map(|text| STANDARD.decode(text))
            .transpose()
            .map_err(|error| InvokeError::Base64 {
                field,
                topic: from.topic.clone(),
                partition: from.partition,
                offset: from.offset,
                error,
            })
    };
    let key = bytes("key", &from.key)?.and_then(|key| String::from_utf8(key).ok());
    let payload = bytes("value", &from.value)?.unwrap_or_default();
    let header = |name: &str| {
        let bytes = from.headers.iter().find_map(|header| header.get(name))?;
        std::str::from_utf8(bytes).ok()
    };
    Ok(Record {
        trace: trace_of_headers(header).unwrap_or_else(|| trace_of_record(&from.topic, from.partition, from.offset)),
        timestamp: from
            .timestamp
            .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        payload,
        key,
        partition: from.partition,
        offset: from.offset,
        topic: Arc::from(from.topic),
    })
}

/// Returns the identifier of each record.
pub(crate) fn identifiers(records: &[Record]) -> Vec<ItemIdentifier> {
    let identifier = |record: &Record| ItemIdentifier {
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: record.offset,
    };
    records.iter().map(identifier).collect()
}

/// Returns the response. `finished` says for each record whether it is done.
pub(crate) fn response(identifiers: Vec<ItemIdentifier>, finished: &[bool]) -> Response {
    let unfinished = identifiers
        .into_iter()
        .zip(finished)
        .filter(|(_, finished)| !**finished);
    let failure = |(item_identifier, _)| ItemFailure { item_identifier };
    Response {
        batch_item_failures: unfinished.map(failure).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_form_is_parsed() {
        let body = br#"{"eventSource":"SelfManagedKafka","records":{"mytopic-0":[{"topic":"mytopic","partition":0,"offset":15,"timestamp":1545084650987,
            "timestampType":"CREATE_TIME","key":"cmVjb3JkS2V5","value":"SGVsbG8=","headers":[{"headerKey":[104,101]}]}]}}"#;
        let records = records(body).unwrap();
        let [record] = &records[..] else {
            panic!("{records:?}");
        };
        assert_eq!(
            (&record.payload[..], record.key.as_deref()),
            (&b"Hello"[..], Some("recordKey"))
        );
        let response = serde_json::to_string(&response(identifiers(&records), &[false])).unwrap();
        let expected = r#"{"batchItemFailures":[{"itemIdentifier":{"topic":"mytopic","partition":0,"offset":15}}]}"#;
        assert_eq!(response, expected);
    }

    #[test]
    fn an_invalid_value_is_named_with_its_offset() {
        let body = br#"{"records":{"t-0":[{"topic":"t","partition":0,"offset":3,"value":"%%"}]}}"#;
        let error = records(body).unwrap_err().to_string();
        assert!(error.contains("value of t[0] at offset 3"), "{error}");
        assert!(records(b"[]").is_err());
    }
}
