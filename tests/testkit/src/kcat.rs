//! Kafka seen by somebody else's client: kcat.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::error::Result;
use crate::error::failed;

/// A record, as kcat reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key; empty without one.
    pub key: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When it was written, in milliseconds.
    pub timestamp: i64,
    /// Its value.
    pub value: Vec<u8>,
}

/// Runs kcat with `input` as standard input.
///
/// # Errors
/// When kcat fails.
///
/// # Panics
/// When kcat is not installed: then nothing here can be tested, and the reader is told how to get it.
pub fn kcat(args: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let child = Command::new("kcat")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => panic!("kcat is missing ({error}): apt-get install kcat"),
    };
    let mut stdin = child.stdin.take();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // Broken pipe: kcat ended, and its own error tells why.
        stdin.as_mut().map(|stdin| stdin.write_all(&input))
    });
    let Output { status, stdout, stderr } = child
        .wait_with_output()
        .map_err(|error| failed("kcat", error.to_string()))?;
    let _ = writer.join();
    let stderr = String::from_utf8_lossy(&stderr);
    // It reports what it could not deliver, and exits with 0 all the same.
    if !status.success() || stderr.contains("Delivery failed") || stderr.contains("ERROR") {
        return Err(failed(format!("kcat {} ({status})", args.join(" ")), stderr));
    }
    Ok(stdout)
}

/// Sends one record whose value are exactly these bytes.
///
/// # Errors
/// When kcat fails.
pub fn produce(broker: &str, topic: &str, key: &str, value: &[u8]) -> Result<()> {
    // The whole input is one message: its delimiter is nowhere in it.
    let args = [
        "-P",
        "-b",
        broker,
        "-t",
        topic,
        "-k",
        key,
        "-D",
        "\u{1}xact-e2e-no-such-delimiter\u{1}",
    ];
    kcat(&args, value).map(drop)
}

/// Sends many records, whose values hold no line breaks, in this order.
///
/// # Errors
/// When kcat fails: some of them may be sent all the same.
pub fn produce_all(broker: &str, topic: &str, records: &[(String, Vec<u8>)]) -> Result<()> {
    let records = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
    produce_to(broker, topic, None, records)
}

/// The same, to `partition`, or where each key belongs; gives up after 30 s.
///
/// # Errors
/// When kcat fails: some of them may be sent all the same.
pub fn produce_to<'a>(
    broker: &str,
    topic: &str,
    partition: Option<u32>,
    records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<()> {
    let lines = records
        .into_iter()
        .map(|(key, value)| [key.as_bytes(), b"\x01", value, b"\n"].concat());
    let input = lines.collect::<Vec<_>>().concat();
    let mut args = vec!["-P", "-b", broker, "-t", topic, "-K", "\u{1}"];
    args.extend(["-X", "message.timeout.ms=30000"]);
    let partition = partition.map(|partition| partition.to_string());
    if let Some(partition) = &partition {
        args.extend(["-p", partition]);
    }
    kcat(&args, &input).map(drop)
}

/// Sends a record without a value.
///
/// # Errors
/// When kcat fails.
pub fn produce_tombstone(broker: &str, topic: &str, key: &str) -> Result<()> {
    // `-Z`: an empty value is none.
    let input = format!("{key}|\n");
    kcat(&["-P", "-b", broker, "-t", topic, "-Z", "-K", "|"], input.as_bytes()).map(drop)
}

/// All records of a topic from its beginning to its present end.
///
/// # Errors
/// When kcat fails or prints what cannot be read.
pub fn consume(broker: &str, topic: &str) -> Result<Vec<Record>> {
    // Values may hold anything: their length says where they end. -1 is a value that is none.
    let out = print(broker, topic, "%p %o %T %K %S %k%s")?;
    let mut records = Vec::new();
    let mut rest = out.as_slice();
    while !rest.is_empty() {
        let (record, behind) =
            record(rest).ok_or_else(|| failed("kcat printed no record", String::from_utf8_lossy(rest)))?;
        records.push(record);
        rest = behind;
    }
    Ok(records)
}

/// Keys and headers of all records of a topic, one record a line.
///
/// # Errors
/// When kcat fails.
pub fn keys_and_headers(broker: &str, topic: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&print(broker, topic, "%k %h\n")?).into_owned())
}

/// Every record from the topic's beginning to its present end, in kcat's format.
fn print(broker: &str, topic: &str, format: &str) -> Result<Vec<u8>> {
    let from_beginning = ["-C", "-b", broker, "-t", topic, "-o", "beginning", "-e", "-q"];
    kcat(&[&from_beginning[..], &["-f", format]].concat(), &[])
}

fn record(mut rest: &[u8]) -> Option<(Record, &[u8])> {
    let mut numbers = [0_i64; 5];
    for number in &mut numbers {
        let end = rest.iter().position(|&byte| byte == b' ')?;
        *number = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        rest = &rest[end + 1..];
    }
    let [partition, offset, timestamp, key_bytes, value_bytes] = numbers;
    let (key, rest) = rest.split_at_checked(usize::try_from(key_bytes).unwrap_or(0))?;
    let (value, rest) = rest.split_at_checked(usize::try_from(value_bytes).unwrap_or(0))?;
    let record = Record {
        key: String::from_utf8_lossy(key).into_owned(),
        partition: i32::try_from(partition).ok()?,
        offset,
        timestamp,
        value: value.to_vec(),
    };
    Some((record, rest))
}
