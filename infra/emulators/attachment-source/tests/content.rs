//! The files are of their type, of the requested size, and different for each path.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{HashMap, HashSet};
use std::io::Read;

use flate2::bufread::DeflateDecoder;
use sha2::{Digest, Sha256};
use zune_png::PngDecoder;
use zune_png::zune_core::bytestream::ZCursor;
use zune_png::zune_core::options::DecoderOptions;

use attachment_source::content_for;

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Extension, content type, type by `infer` from the magic bytes (`None`: text without any), limit on the least size.
const FORMATS: [(&str, &str, Option<&str>, u64); 16] = [
    ("pdf", "application/pdf", Some("application/pdf"), 1024),
    ("jpg", "image/jpeg", Some("image/jpeg"), 512),
    ("jpeg", "image/jpeg", Some("image/jpeg"), 512),
    ("png", "image/png", Some("image/png"), 256),
    ("gif", "image/gif", Some("image/gif"), 256),
    ("txt", "text/plain", None, 128),
    ("csv", "text/csv", None, 128),
    ("json", "application/json", None, 128),
    ("xml", "application/xml", Some("text/xml"), 256),
    ("html", "text/html", Some("text/html"), 256),
    ("htm", "text/html", Some("text/html"), 256),
    ("docx", DOCX, Some(DOCX), 2048),
    ("xlsx", XLSX, Some(XLSX), 3072),
    ("mov", "video/quicktime", Some("video/quicktime"), 1024),
    ("mp4", "video/mp4", Some("video/mp4"), 1024),
    ("esx", "application/octet-stream", None, 128),
];

fn bytes(path: &str) -> Vec<u8> {
    content_for(path).to_bytes().to_vec()
}

/// Whether the bytes have this text.
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn every_format_has_its_content_type_magic_bytes_and_path() {
    for (extension, content_type, magic, _) in FORMATS {
        for size in [0, 20_000, 200_000] {
            let content = content_for(&format!("/ok/{size}/u/file.{extension}"));
            assert_eq!(content.content_type, content_type);
            let found = infer::get(&content.to_bytes()).map(|kind| kind.mime_type());
            assert_eq!(found, magic, "{extension} {size}");
        }
        let file = bytes(&format!("/ok/9000/Müller & Söhne/(roof) \"1\".{extension}"));
        let text = format!("/ok/9000/M%C3%BCller%20%26%20S%C3%B6hne/%28roof%29%20%221%22.{extension}");
        assert!(holds(&file, &text), "{extension}");
    }
}

#[test]
fn every_size_from_the_least_size_on_is_exact() {
    for (extension, _, _, most) in FORMATS {
        let least = content_for(&format!("/ok/0/u/file.{extension}")).size();
        assert!(least <= most, "{extension} takes {least} bytes at least");
        let blocks = [65_535, 65_536, 65_537, 131_072 + 3, 1_048_576 + 5, 5_000_001];
        // The digits of a size are part of the path, and so of the file and its least size.
        for size in (least + 40..least + 400)
            .chain(4_000..4_600)
            .chain(blocks.into_iter().flat_map(|size| size..size + 14))
        {
            let content = content_for(&format!("/ok/{size}/u/file.{extension}"));
            assert_eq!(content.size(), size, "{extension}");
        }
        for size in [4_000, 65_536, 300_001] {
            let file = bytes(&format!("/ok/{size}/u/file.{extension}"));
            assert_eq!(file.len() as u64, size, "{extension}");
        }
    }
}

#[test]
fn the_largest_file_takes_little_memory() {
    for (extension, ..) in FORMATS {
        let content = content_for(&format!("/ok/99999999999/u/file.{extension}"));
        assert_eq!(content.size(), attachment_source::sample_path::MAX_BYTES, "{extension}");
        assert!(content.into_chunks().take(50).all(|chunk| chunk.len() <= 65_536));
    }
}

#[test]
fn the_same_path_has_the_same_bytes_and_another_path_has_others() {
    for (extension, ..) in FORMATS {
        let path = |unique: u32| format!("/ok/200000/{unique}/file.{extension}");
        assert_eq!(bytes(&path(1)), bytes(&path(1)));
        let hashes: HashSet<String> = (0..50).map(|unique| content_for(&path(unique)).sha256()).collect();
        assert_eq!(hashes.len(), 50, "{extension}");
    }
    // The part of a path that is too long to embed counts.
    let long = "x".repeat(60_000);
    let least = |name: &str| content_for(&format!("/ok/0/{long}/{name}.jpg"));
    assert_ne!(least("a").sha256(), least("b").sha256());
    assert!(least("a").size() < 2_000);
}

#[test]
fn the_hash_of_the_chunks_is_that_of_the_whole() {
    for (extension, ..) in FORMATS {
        let content = content_for(&format!("/ok/700123/u/file.{extension}"));
        let whole = hex::encode(Sha256::digest(content.to_bytes()));
        assert_eq!(content.sha256(), whole, "{extension}");
    }
}

#[test]
fn json_csv_xml_and_html_stay_well_formed() {
    for size in [0, 500, 501, 563, 100_000] {
        let json: serde_json::Value = serde_json::from_slice(&bytes(&format!("/ok/{size}/u/a.json"))).unwrap();
        let path = json["path"].as_str().unwrap();
        assert!(path.starts_with(&format!("/ok/{size}/u/a.json ")));
        let csv = String::from_utf8(bytes(&format!("/ok/{size}/u/a.csv"))).unwrap();
        assert!(csv.ends_with('\n') && csv.lines().all(|row| row.split(',').count() == 2));
        for (extension, end, tags) in [("xml", "</attachment>\n", 3), ("html", "</p></body></html>\n", 11)] {
            let text = String::from_utf8(bytes(&format!("/ok/{size}/u/a.{extension}"))).unwrap();
            assert!(text.ends_with(end), "{extension}");
            assert_eq!(text.matches('<').count(), tags, "{extension}: no tag in the filler");
            assert!(!text.contains('&'), "{extension}: no reference in the filler");
        }
    }
}

#[test]
fn office_files_are_archives_whose_every_entry_has_the_right_crc() {
    for (extension, part) in [("docx", "word/document.xml"), ("xlsx", "xl/sheet1.xml")] {
        for size in [0, 20_000, 3_000_000] {
            let file = bytes(&format!("/ok/{size}/u/a.{extension}"));
            let archive = rawzip::ZipArchive::from_slice(&file).unwrap();
            let mut entries = archive.entries();
            let mut texts = HashMap::new();
            while let Some(header) = entries.next_entry().unwrap() {
                let entry = archive.get_entry(header.wayfinder()).unwrap();
                let content: Box<dyn Read> = match header.compression_method() {
                    rawzip::CompressionMethod::STORE => Box::new(entry.data()),
                    _ => Box::new(DeflateDecoder::new(entry.data())),
                };
                let mut text = Vec::new();
                // Reading to the end checks length and CRC.
                entry.verifying_reader(content).read_to_end(&mut text).unwrap();
                let name = header.file_path().try_normalize().unwrap();
                texts.insert(name.as_ref().to_owned(), text);
            }
            assert!(holds(&texts[part], &format!("/ok/{size}/u/a.{extension}")));
        }
    }
}

#[test]
fn png_files_decode_with_every_crc_checked() {
    for size in [0, 2_000, 70_000] {
        let options = DecoderOptions::default().png_set_confirm_crc(true);
        let file = ZCursor::new(bytes(&format!("/ok/{size}/u/a.png")));
        let pixels = PngDecoder::new_with_options(file, options).decode_raw().unwrap();
        assert_eq!(pixels, [0x33, 0x66, 0x99]);
    }
}

/// The boxes of a film, as type and content.
fn boxes(mut file: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut boxes = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk() {
        let (content, next) = rest.split_at(u32::from_be_bytes(*length) as usize - 4);
        boxes.push(content.split_at(4));
        file = next;
    }
    boxes
}

#[test]
fn films_are_boxes_to_the_end_and_their_frame_is_where_they_say() {
    let jpeg = bytes("/ok/0/u/a.jpg");
    let end = jpeg.windows(2).position(|window| window == [0xFF, 0xD9]).unwrap() + 2;
    for (path, brand) in [("/ok/0/u/a.mov", b"qt  "), ("/ok/300000/u/a.mp4", b"isom")] {
        let file = bytes(path);
        let boxes = boxes(&file);
        let types: Vec<&[u8]> = boxes.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(types, [b"ftyp", b"moov", b"mdat", b"free"], "{path}");
        assert!(boxes[0].1.starts_with(brand), "{path}");
        assert_eq!(boxes[2].1, &jpeg[..end], "{path}");
        let (_, moov) = boxes[1];
        let offset_at = moov.windows(4).position(|window| window == b"stco").unwrap() + 12;
        let offset = u32::from_be_bytes(moov[offset_at..offset_at + 4].try_into().unwrap()) as usize;
        assert!(file[offset..].starts_with(&jpeg[..end]), "{path}");
    }
}

#[test]
fn pdf_offsets_point_at_their_objects() {
    for size in [0, 20_000, 300_000] {
        let file = bytes(&format!("/ok/{size}/u/a.pdf"));
        let text = String::from_utf8_lossy(&file[file.len() - 400..]).into_owned();
        let number = |text: &str| text.trim().parse::<usize>().unwrap();
        let table = number(text.split("startxref\n").nth(1).unwrap().lines().next().unwrap());
        assert!(file[table..].starts_with(b"xref\n0 7\n"));
        for object in 1..7 {
            let entry = table + "xref\n0 7\n".len() + object * 20;
            let offset = number(std::str::from_utf8(&file[entry..entry + 10]).unwrap());
            let begin = format!("{object} 0 obj\n");
            assert!(file[offset..].starts_with(begin.as_bytes()), "object {object}");
        }
    }
}
