//! QuickTime and MP4 (ISO/IEC 14496-12): a video of one frame, a JPEG, and a `free` box with the path and the filler.
//!
//! Everything before the `free` box is the same for all files of a kind and is made once.

use std::sync::OnceLock;

use bytes::Bytes;

use super::fill::{Fill, Style};
use super::identity::Identity;
use super::{Piece, jpeg, lacking, picture};

/// Which of the two relatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `.mov`
    QuickTime,
    /// `.mp4`
    Mp4,
}

/// Units of time in a second, and the frame's duration in them.
const TIMESCALE: u32 = 1000;
const DURATION: u32 = 1000;

/// The unity transformation: fixed-point numbers, 16.16 and 2.30.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// A movie of exactly `bytes`, or of its least size.
pub(super) fn pieces(kind: Kind, identity: &Identity, bytes: u64) -> Vec<Piece> {
    static QUICKTIME: OnceLock<Bytes> = OnceLock::new();
    static MP4: OnceLock<Bytes> = OnceLock::new();
    let frame = match kind {
        Kind::QuickTime => &QUICKTIME,
        Kind::Mp4 => &MP4,
    }
    .get_or_init(|| one_frame(kind).into());

    let text = format!("{}\n", identity.text);
    let filler = lacking(bytes, frame.len() + 8 + text.len());
    let mut free = ((8 + text.len() as u64 + filler) as u32).to_be_bytes().to_vec();
    free.extend_from_slice(b"free");
    free.extend_from_slice(text.as_bytes());
    vec![
        Piece::Bytes(frame.clone()),
        free.into(),
        Piece::Fill(Fill::new(Style::Lines, identity.hash, filler)),
    ]
}

/// File type, description and frame.
fn one_frame(kind: Kind) -> Vec<u8> {
    let file_type = match kind {
        Kind::QuickTime => boxed(b"ftyp", &[b"qt  ", &[0x20, 0x05, 0x03, 0x00], b"qt  "]),
        Kind::Mp4 => boxed(b"ftyp", &[b"isom", &[0, 0, 2, 0], b"isom", b"iso2", b"mp41"]),
    };
    let picture = jpeg::picture();
    // The description holds the frame's offset, and its length does not depend on it.
    let offset = file_type.len() + description(kind, 0).len() + 8;
    [file_type, description(kind, offset as u32), boxed(b"mdat", &[picture])].concat()
}

/// `moov`: one video track of one sample, which lies at `offset`.
fn description(kind: Kind, offset: u32) -> Vec<u8> {
    let side = u32::from(picture::SIDE) << 16;
    // Times, timescale, duration, rate 1, volume 0, reserved, matrix, predefined, next track.
    let movie_header = full_box(
        b"mvhd",
        0,
        &[
            &numbers(&[0, 0, TIMESCALE, DURATION, 0x1_0000, 0, 0, 0]),
            &numbers(&MATRIX),
            &numbers(&[0, 0, 0, 0, 0, 0, 2]),
        ],
    );
    // Enabled, in the movie, in the preview; times, track 1, reserved, duration, reserved, layer, volume, matrix, size.
    let track_header = full_box(
        b"tkhd",
        7,
        &[
            &numbers(&[0, 0, 1, 0, DURATION, 0, 0, 0, 0]),
            &numbers(&MATRIX),
            &numbers(&[side, side]),
        ],
    );
    // Times, timescale, duration, language `und`.
    let media_header = full_box(b"mdhd", 0, &[&numbers(&[0, 0, TIMESCALE, DURATION, 0x55C4_0000])]);
    let media_handler = match kind {
        Kind::QuickTime => full_box(b"hdlr", 0, &[b"mhlrvide", &[0; 12], b"\x05Video"]),
        Kind::Mp4 => full_box(b"hdlr", 0, &[&[0; 4], b"vide", &[0; 12], b"Video\0"]),
    };
    let video_header = full_box(b"vmhd", 1, &[&[0; 8]]);
    let data_handler = match kind {
        Kind::QuickTime => full_box(b"hdlr", 0, &[b"dhlralis", &[0; 12], b"\x04Data"]),
        Kind::Mp4 => Vec::new(),
    };
    // The data lies in this file.
    let data_reference = match kind {
        Kind::QuickTime => full_box(b"alis", 1, &[]),
        Kind::Mp4 => full_box(b"url ", 1, &[]),
    };
    let data_information = boxed(b"dinf", &[&full_box(b"dref", 0, &[&numbers(&[1]), &data_reference])]);
    let samples = boxed(
        b"stbl",
        &[
            &full_box(b"stsd", 0, &[&numbers(&[1]), &sample_entry(kind)]),
            &full_box(b"stts", 0, &[&numbers(&[1, 1, DURATION])]),
            &full_box(b"stsc", 0, &[&numbers(&[1, 1, 1, 1])]),
            &full_box(b"stsz", 0, &[&numbers(&[0, 1, jpeg::picture().len() as u32])]),
            &full_box(b"stco", 0, &[&numbers(&[1, offset])]),
        ],
    );
    let information = boxed(b"minf", &[&video_header, &data_handler, &data_information, &samples]);
    let media = boxed(b"mdia", &[&media_header, &media_handler, &information]);
    boxed(b"moov", &[&movie_header, &boxed(b"trak", &[&track_header, &media])])
}

/// How the sample is coded: JPEG, which QuickTime names outright and MP4 by an MPEG-4 object type.
fn sample_entry(kind: Kind) -> Vec<u8> {
    let side = picture::SIDE.to_be_bytes();
    // Reserved, data reference 1, predefined and reserved, size, 72 dpi twice, reserved, 1 frame, name, depth 24, -1.
    let common: &[&[u8]] = &[
        &[0, 0, 0, 0, 0, 0, 0, 1],
        &[0; 16],
        &side,
        &side,
        &numbers(&[0x48_0000, 0x48_0000, 0]),
        &[0, 1],
        &[0; 32],
        &[0, 24, 0xFF, 0xFF],
    ];
    match kind {
        Kind::QuickTime => boxed(b"jpeg", common),
        Kind::Mp4 => {
            // ISO/IEC 14496-1: elementary stream 1; decoder configuration with object type 0x6C (JPEG), visual stream,
            // no buffer size or bit rates; synchronization layer as in MP4 files.
            let descriptor: &[u8] = &[
                3, 21, 0, 1, 0, 4, 13, 0x6C, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 1, 2,
            ];
            let stream = full_box(b"esds", 0, &[descriptor]);
            boxed(b"mp4v", &[&common.concat(), &stream])
        }
    }
}

/// A box: its length with this header, its type, its contents.
fn boxed(name: &[u8; 4], contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    [&(8 + contents.len() as u32).to_be_bytes(), name.as_slice(), &contents].concat()
}

/// A box of version 0 with flags.
fn full_box(name: &[u8; 4], flags: u32, contents: &[&[u8]]) -> Vec<u8> {
    boxed(name, &[&flags.to_be_bytes(), &contents.concat()])
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}
