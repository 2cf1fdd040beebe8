//! A ZIP archive (PKWARE APPNOTE) of stored entries, the last of which is filler that is never made in memory.
//!
//! Written here because ZIP libraries want to read an entry's bytes to know its CRC; filler knows its own.

use crc32fast::Hasher;

use super::Piece;
use super::fill::Fill;

/// "Version needed to extract" 2.0, no flags, stored, 00:00 on 1 January 1980.
const COMMON: &[u8] = &[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];

/// Bytes of an entry besides its name (twice) and its data: local header and central directory header.
const ENTRY: usize = 30 + 46;

/// Bytes of the end of central directory record.
const END: usize = 22;

/// The archive's size when the filler is empty.
pub(super) fn least(parts: &[(&str, String)], filler_name: &str) -> usize {
    let parts: usize = parts
        .iter()
        .map(|(name, data)| ENTRY + 2 * name.len() + data.len())
        .sum();
    parts + ENTRY + 2 * filler_name.len() + END
}

/// The archive: `parts` in their order, then the filler.
pub(super) fn pieces(parts: &[(&str, String)], filler_name: &str, filler: Fill) -> Vec<Piece> {
    let mut head = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in parts {
        entry(
            &mut head,
            &mut directory,
            name,
            crc32fast::hash(data.as_bytes()),
            data.len() as u32,
        );
        head.extend_from_slice(data.as_bytes());
    }
    let mut crc = Hasher::new();
    filler.add_to(&mut crc);
    entry(
        &mut head,
        &mut directory,
        filler_name,
        crc.finalize(),
        filler.len() as u32,
    );

    let entries = (parts.len() as u16 + 1).to_le_bytes();
    let directory_length = (directory.len() as u32).to_le_bytes();
    let directory_offset = (head.len() as u32 + filler.len() as u32).to_le_bytes();
    let mut end = directory;
    end.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    end.extend_from_slice(&[entries, entries].concat());
    end.extend_from_slice(&[directory_length, directory_offset].concat());
    end.extend_from_slice(&[0, 0]);
    vec![head.into(), Piece::Fill(filler), end.into()]
}

/// An entry's local header, and its header in the central directory.
fn entry(head: &mut Vec<u8>, directory: &mut Vec<u8>, name: &str, crc: u32, length: u32) {
    let offset = head.len() as u32;
    let mut described = COMMON.to_vec();
    described.extend_from_slice(&[crc, length, length].map(u32::to_le_bytes).concat());
    described.extend_from_slice(&(name.len() as u16).to_le_bytes());
    described.extend_from_slice(&[0, 0]);

    head.extend_from_slice(b"PK\x03\x04");
    head.extend_from_slice(&described);
    head.extend_from_slice(name.as_bytes());

    // Made by version 2.0; no comment, disk 0, no attributes.
    directory.extend_from_slice(b"PK\x01\x02\x14\0");
    directory.extend_from_slice(&described);
    directory.extend_from_slice(&[0; 10]);
    directory.extend_from_slice(&offset.to_le_bytes());
    directory.extend_from_slice(name.as_bytes());
}
