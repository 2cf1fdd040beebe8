//! An independent Kafka client: kcat.

use std::process::{Command, Output};

use crate::binary::on_path;
use crate::process::run;
use crate::{Error, Result, failed};

/// A record as read by kcat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key; empty without one.
    pub key: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Timestamp in milliseconds.
    pub timestamp: i64,
    /// Its value.
    pub value: Vec<u8>,
}

/// Runs kcat with `input` as standard input.
pub fn kcat(args: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let program = on_path("kcat").ok_or(Error::Missing {
        program: "kcat",
        remedy: "apt-get install kcat",
    })?;
    let Output { status, stdout, stderr } = run(Command::new(program).args(args), input)?;
    let stderr = String::from_utf8_lossy(&stderr);
    // A consumer exits with 0 although it reports an error.
    let error = args.first() != Some(&"-P") && stderr.contains("ERROR");
    // A producer exits with 0 although it reports records that it could not deliver.
    if !status.success() || stderr.contains("Delivery failed") || error {
        return Err(failed(format!("kcat {} ({status})", args.join(" ")), stderr));
    }
    Ok(stdout)
}

/// Sends `input`, or the files that `args` name, with a producer that reconnects: without `-E` kcat exits as soon as its
/// connections are closed, as a broker on a busy machine does. A record that was sent before is not sent twice, since the producer
/// is idempotent. Fails if the broker does not acknowledge a record within 30 s; others may have been written.
pub fn produce_with(broker: &str, topic: &str, args: &[&str], input: &[u8]) -> Result<()> {
    let producer = ["-P", "-E", "-b", broker, "-t", topic];
    let reliable = ["-X", "enable.idempotence=true", "-X", "message.timeout.ms=30000"];
    kcat(&[&producer[..], &reliable, args].concat(), input).map(drop)
}

/// Sends one record whose value is exactly these bytes.
pub fn produce(broker: &str, topic: &str, key: &str, value: &[u8]) -> Result<()> {
    // The whole input is one message, since the delimiter does not occur in it.
    let delimiter = "\u{1}xact-e2e-no-such-delimiter\u{1}";
    produce_with(broker, topic, &["-k", key, "-D", delimiter], value)
}

/// Sends records in this order to `partition`, or to the partitions of their keys. Values must not contain line breaks. Fails
/// after 30 s; some records may have been sent.
pub fn produce_to<K: AsRef<str>, V: AsRef<[u8]>>(
    broker: &str,
    topic: &str,
    partition: Option<u32>,
    records: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    let lines = records
        .into_iter()
        .map(|(key, value)| [key.as_ref().as_bytes(), b"\x01", value.as_ref(), b"\n"].concat());
    let input = lines.collect::<Vec<_>>().concat();
    let mut args = vec!["-K", "\u{1}"];
    let partition = partition.map(|partition| partition.to_string());
    if let Some(partition) = &partition {
        args.extend(["-p", partition]);
    }
    produce_with(broker, topic, &args, &input)
}

/// Sends a record without a value.
pub fn produce_tombstone(broker: &str, topic: &str, key: &str) -> Result<()> {
    // `-Z`: an empty value is sent as null.
    let input = format!("{key}|\n");
    produce_with(broker, topic, &["-Z", "-K", "|"], input.as_bytes())
}

/// Returns all records of a topic from its beginning to its current end.
pub fn consume(broker: &str, topic: &str) -> Result<Vec<Record>> {
    // Values may contain any bytes, so their length is printed first; -1 stands for null.
    let out = print(broker, topic, "%p %o %T %K %S %k%s")?;
    let mut records = Vec::new();
    let mut rest = out.as_slice();
    while !rest.is_empty() {
        let (record, behind) =
            record(rest).ok_or_else(|| failed("the output of kcat is not a record", String::from_utf8_lossy(rest)))?;
        records.push(record);
        rest = behind;
    }
    Ok(records)
}

/// Returns keys and headers of all records of a topic, one record per line.
pub fn keys_and_headers(broker: &str, topic: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&print(broker, topic, "%k %h\n")?).into_owned())
}

/// Returns every record from the beginning of the topic to its current end in a format of kcat.
fn print(broker: &str, topic: &str, format: &str) -> Result<Vec<u8>> {
    let from_beginning = ["-C", "-b", broker, "-t", topic, "-o", "beginning", "-e", "-q"];
    let args = [&from_beginning[..], &["-f", format]].concat();
    match kcat(&args, &[]) {
        // Its connections were closed, and a consumer with `-E` would not end where there is no topic. Nothing depends on how
        // often a topic is read.
        Err(error) if error.to_string().contains("broker connections are down") => kcat(&args, &[]),
        answer => answer,
    }
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
