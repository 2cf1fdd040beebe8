//! Each coding: complete, in pieces, truncated and damaged.

use std::io::{Read, Write};

use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use reqwest::header::HeaderValue;

use super::*;

fn decoding(values: &[&[u8]]) -> Result<Decoding, String> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(CONTENT_ENCODING, HeaderValue::from_bytes(value).unwrap());
    }
    Decoding::of(&headers)
}

/// Decodes a body that is received in pieces of `piece` bytes.
fn decoded(coding: &str, body: &[u8], piece: usize) -> Result<Vec<u8>, CodingError> {
    let mut decoding = decoding(&[coding.as_bytes()]).unwrap();
    let mut out = Vec::new();
    for received in body.chunks(piece) {
        decoding.push(Bytes::copy_from_slice(received));
        while let Some(piece) = decoding.next()? {
            let (length, most) = (piece.len(), received.len().max(128 * 1024));
            assert!((1..=most).contains(&length), "{length} of {}", received.len());
            out.extend_from_slice(&piece);
        }
    }
    decoding.end();
    while let Some(piece) = decoding.next()? {
        out.extend_from_slice(&piece);
    }
    assert_eq!(decoding.next(), Ok(None), "the end is the end");
    Ok(out)
}

fn encoded(mut encoder: impl Read) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).unwrap();
    encoded
}

pub(in crate::fetch) fn gzip(body: &[u8]) -> Vec<u8> {
    encoded(GzEncoder::new(body, Compression::default()))
}

fn zlib(body: &[u8]) -> Vec<u8> {
    encoded(ZlibEncoder::new(body, Compression::best()))
}

fn raw_deflate(body: &[u8], level: Compression) -> Vec<u8> {
    encoded(DeflateEncoder::new(body, level))
}

/// Frames with signatures, as an S3 client sends them.
pub(in crate::fetch) fn signed_frames(body: &[u8], size: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for piece in body.chunks(size).chain([&[][..]]) {
        write!(framed, "{:x};chunk-signature={}\r\n", piece.len(), "0a".repeat(32)).unwrap();
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed
}

/// Frames without signatures, followed by a checksum.
fn unsigned_frames(body: &[u8], size: usize) -> Vec<u8> {
    let mut framed = Vec::new();
    for piece in body.chunks(size) {
        write!(framed, "{:X}\r\n", piece.len()).unwrap();
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    framed
}

fn text() -> Vec<u8> {
    let lines = (0..40_000).map(|number| format!("{number},roof\r\n"));
    lines.collect::<String>().into_bytes()
}

/// A gzip member whose header has every optional field.
fn gzip_with_name(body: &[u8]) -> Vec<u8> {
    let builder = GzBuilder::new()
        .filename("estimate.csv")
        .comment("x")
        .extra(vec![7; 300]);
    encoded(builder.mtime(1).read(body, Compression::fast()))
}

#[test]
fn every_coding_is_decoded_whatever_the_pieces() {
    let text = text();
    let stored = raw_deflate(&text, Compression::none());
    let two_members = [gzip(&text[..1000]), gzip_with_name(&text[1000..])].concat();
    let empty_between = [gzip(&text[..7]), gzip(b""), gzip(&text[7..])].concat();
    for (coding, body) in [
        ("gzip", gzip(&text)),
        ("x-gzip", gzip(&text)),
        ("GZIP", gzip_with_name(&text)),
        ("gzip", two_members),
        ("gzip", empty_between),
        ("gzip", [gzip(&text), vec![0; 512]].concat()),
        ("gzip", [gzip(&text), b"\x1Ftrailing".to_vec()].concat()),
        ("gzip", [gzip(&text), b"\x1F".to_vec()].concat()),
        ("deflate", zlib(&text)),
        ("deflate", raw_deflate(&text, Compression::best())),
        ("deflate", stored),
        ("deflate", [zlib(&text), b"trailing".to_vec()].concat()),
        ("aws-chunked", signed_frames(&text, 65_536)),
        ("aws-chunked", signed_frames(&text, 1)),
        ("AWS-Chunked", unsigned_frames(&text, 8192)),
        ("aws-chunked,gzip", signed_frames(&gzip(&text), 8192)),
        ("gzip, aws-chunked", signed_frames(&gzip(&text), 8192)),
        ("aws-chunked,gzip", gzip(&text)),
        ("deflate, gzip", gzip(&zlib(&text))),
        ("gzip, identity", gzip(&text)),
        ("gzip, gzip", gzip(&gzip(&text))),
        // Named twice, applied once; named, and not applied.
        ("gzip, gzip", gzip(&text)),
        ("aws-chunked, aws-chunked", signed_frames(&text, 8192)),
        ("gzip", text.clone()),
        ("aws-chunked", text.clone()),
        ("gzip, aws-chunked", text.clone()),
    ] {
        for piece in [1, 7, 4096, usize::MAX] {
            // A frame for each byte, byte for byte, is much to print.
            let is_decoded = decoded(coding, &body, piece) == Ok(text.clone());
            assert!(is_decoded, "{coding} in pieces of {piece}");
        }
    }
}

#[test]
fn a_body_without_bytes_is_an_empty_file() {
    for coding in ["gzip", "deflate", "aws-chunked", "aws-chunked, gzip", "identity"] {
        assert_eq!(decoded(coding, b"", 1), Ok(Vec::new()), "{coding}");
    }
    for body in [gzip(b""), [gzip(b""), gzip(b"")].concat()] {
        assert_eq!(decoded("gzip", &body, 1), Ok(Vec::new()));
    }
    assert_eq!(decoded("aws-chunked", &signed_frames(b"", 1), 1), Ok(Vec::new()));
}

#[test]
fn values_that_do_not_transform_the_body_are_ignored() {
    let single = [
        "", " ", "identity", "Identity", "none", "utf-8", "UTF-8", "utf8", "UTF-16LE", "us-ascii", "latin1", "binary",
        "8bit", "base64", "utf-8;", ",",
    ];
    let others = ["ISO-8859-1", "windows-1252", "\"utf-8\"", "identity, utf-8"];
    for value in single.into_iter().chain(others) {
        assert!(decoding(&[value.as_bytes()]).unwrap().stages.is_empty(), "{value:?}");
    }
    assert!(decoding(&[]).unwrap().stages.is_empty());
    assert!(decoding(&[b"identity", b"", b"utf-8"]).unwrap().stages.is_empty());
    assert!(!decoding(&[b"identity", b"gzip"]).unwrap().stages.is_empty());
}

#[test]
fn unsupported_codings_are_refused_by_name() {
    let refused = |value: &[u8]| decoding(&[value]).err().unwrap();
    for value in [
        "br", "BR", "zstd", "compress", "exi", "lz4", "gzip br", "gzip, br", "br, gzip", "gzip;q=1",
    ] {
        let text = refused(value.as_bytes());
        assert!(text.contains("content-encoding") && text.contains(value), "{text}");
    }
    assert!(decoding(&[b"identity", b"br"]).is_err());
    assert!(refused(b"\xFF").contains("not text"));
    assert!(refused(b"gzip, deflate, gzip, deflate").contains("too many"));
    assert!(refused("x".repeat(10_000).as_bytes()).len() < 400);
}

#[test]
fn a_body_truncated_anywhere_is_detected() {
    let text = &text()[..3000];
    for (coding, body) in [
        ("gzip", gzip_with_name(text)),
        ("deflate", zlib(text)),
        ("deflate", raw_deflate(text, Compression::default())),
        ("aws-chunked,gzip", signed_frames(&gzip(text), 512)),
        ("aws-chunked", signed_frames(text, 512)),
        ("aws-chunked", unsigned_frames(text, 512)),
    ] {
        // Shorter bodies do not show their coding yet; then the content and the announced length decide.
        for length in 2..body.len() {
            match decoded(coding, &body[..length], 4096) {
                Err(CodingError::Truncated(_)) => {}
                // After the last frame only trailers follow, so nothing is missing.
                Ok(whole) if coding.starts_with("aws-chunked") && whole == text => {
                    assert!(length + 100 > body.len(), "{length}");
                }
                Ok(head) if coding.starts_with("aws-chunked") && length < 64 => assert_eq!(head, body[..length]),
                other => panic!("{coding} cut at {length}: {:?}", other.map(|bytes| bytes.len())),
            }
        }
    }
}

#[test]
fn a_damaged_body_never_passes_as_another_one() {
    let text = &text()[..3000];
    for (coding, body) in [("gzip", gzip(text)), ("deflate", zlib(text))] {
        for at in 2..body.len() {
            for bit in [0x01, 0x80] {
                let mut damaged = body.clone();
                damaged[at] ^= bit;
                match decoded(coding, &damaged, 4096) {
                    Err(_) => {}
                    // Time, system and level in the header of gzip.
                    Ok(same) => assert!(same == text, "{coding} damaged at {at} is another file"),
                }
            }
        }
    }
    let frames = signed_frames(text, 512);
    let sized = |size: &[u8]| [size, &frames[3..]].concat();
    let endless = [&b"200;chunk-signature="[..], &[b'x'; 10_000]].concat();
    let second = [&gzip(text)[..], b"\x1F\x8Band no more"].concat();
    for (coding, name, body) in [
        ("aws-chunked", "a size that is too small", &sized(b"1ff")[..]),
        ("aws-chunked", "a size that is too large", &sized(b"201")),
        ("aws-chunked", "a line without an end", &endless),
        ("aws-chunked", "no frame behind the first", b"3\r\nabc\r\nxyz\r\n"),
        ("aws-chunked", "an empty size", b"3\r\nabc\r\n\r\n"),
        ("aws-chunked", "an endless size", b"3\r\nabc\r\nfffffffffffffffff\r\n"),
        ("deflate", "another file", b"%PDF-1.7 and no deflate"),
        ("gzip", "a second member that is not one", &second),
    ] {
        let corrupt = Err(CodingError::Corrupt(coding));
        assert_eq!(decoded(coding, body, 1000), corrupt, "{coding}: {name}");
    }
}

#[test]
fn documents_declared_as_frames_without_having_them_pass() {
    for body in [
        &b"%PDF-1.7\n"[..],
        b"\xFF\xD8\xFF\xE0",
        b"a,b\r\n1,2\r\n",
        b"10;20;30\r\n",
        b"1\n2\n3\n",
        b"abcdef",
        b"5;chunk",
        b"0123456789abcdef0",
    ] {
        for piece in [1, 1000] {
            assert_eq!(decoded("aws-chunked", body, piece).as_deref(), Ok(body));
        }
    }
}

#[test]
fn a_decompression_bomb_is_decoded_in_small_pieces() {
    let mut bomb = vec![0; 8 * 1024 * 1024];
    for _ in 0..2 {
        bomb = gzip(&bomb);
    }
    assert!(bomb.len() < 1000, "{}", bomb.len());
    // `decoded` checks the size of each piece.
    let decoded = decoded("gzip, gzip", &bomb, usize::MAX);
    assert_eq!(decoded.map(|bytes| bytes.len()), Ok(8 * 1024 * 1024));
}
