//! Makes record batches in the log of a stopped broker unreadable for consumers.
//!
//! A broker sends batches as they are on disk: after a clean stop it does not verify them again.

use std::{fs, path::Path};

use crate::{Error, Result, failed, workdir::write};

/// A kind of damage to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Corrupts the compressed bytes. Only for a compressed batch.
    Bytes,
    /// Sets an unknown compression type.
    Codec,
    /// Sets a wrong length in the first record. Only for a batch without compression; clients do not report it.
    RecordLength,
    /// Sets an unknown message format. Clients skip the batch.
    Format,
}

/// Offsets of fields in the header of a batch: `RecordBatch` in Kafka's documentation of its message format.
mod head {
    pub(super) const LENGTH: usize = 8;
    pub(super) const MAGIC: usize = 16;
    pub(super) const CRC: usize = 17;
    pub(super) const ATTRIBUTES: usize = 21;
    pub(super) const LAST_OFFSET_DELTA: usize = 23;
    pub(super) const RECORDS: usize = 61;
}

/// Damages the batch that contains `offset` in a partition's first segment.
pub(super) fn damage(partition: &Path, offset: i64, damage: Damage) -> Result<()> {
    let segment = partition.join("00000000000000000000.log");
    let mut log = fs::read(&segment).map_err(Error::io(format!("read {}", segment.display())))?;
    let found = batch(&log, offset);
    let (start, end) = found.ok_or_else(|| {
        failed(
            format!("no batch contains offset {offset}"),
            segment.display().to_string(),
        )
    })?;
    change(&mut log[start..end], damage);
    write(&segment, log)
}

/// Returns begin and end of the batch that contains an offset.
fn batch(log: &[u8], offset: i64) -> Option<(usize, usize)> {
    let mut start = 0;
    while start + head::RECORDS <= log.len() {
        let base = i64::from_be_bytes(log[start..start + 8].try_into().ok()?);
        let length = number(&log[start..], head::LENGTH)?;
        let end = start + head::LENGTH + 4 + usize::try_from(length).ok()?;
        let last = base + i64::from(number(&log[start..], head::LAST_OFFSET_DELTA)?);
        if (base..=last).contains(&offset) && end <= log.len() {
            return Some((start, end));
        }
        start = end;
    }
    None
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn change(batch: &mut [u8], damage: Damage) {
    match damage {
        Damage::Bytes => batch[head::RECORDS..].fill(0x5a),
        Damage::Codec => batch[head::ATTRIBUTES + 1] = batch[head::ATTRIBUTES + 1] & !7 | 6,
        // A zigzag varint: 8,191 bytes.
        Damage::RecordLength => batch[head::RECORDS..head::RECORDS + 2].copy_from_slice(&[0xfe, 0x7f]),
        Damage::Format => batch[head::MAGIC] = 9,
    }
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&batch[head::ATTRIBUTES..]);
    batch[head::CRC..head::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}
