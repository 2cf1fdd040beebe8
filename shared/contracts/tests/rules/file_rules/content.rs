//! The content of each accepted kind, and content of no kind.

use proptest::prelude::*;

use super::samples::{SPECIFIED, assert_content, content, file_type, sample};
use xact_contracts::file_rules::{CONTENT_HEAD_BYTES, FileType, judge};

/// An atom with its size.
fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(8 + body.len()).unwrap();
    [&size.to_be_bytes()[..], kind, body].concat()
}

/// An atom with a size of 64 bits.
fn long_atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = 16 + body.len() as u64;
    [&1_u32.to_be_bytes()[..], kind, &size.to_be_bytes(), body].concat()
}

#[test]
fn each_kind_accepts_its_own_content() {
    for extension in SPECIFIED {
        let kind = file_type(extension);
        assert_eq!(FileType::from_extension(kind.label()), Some(kind), "{extension}");
        let judged = judge(Some(kind), None, &sample(extension)).unwrap();
        assert_eq!((judged.file_type, judged.differs()), (kind, false), "{extension}");
    }
    let table: [(&str, &[u8]); 28] = [
        ("gif", b"GIF87a\x01"),
        ("tif", b"MM\0*\0\0\0\x08"),
        ("tif", b"II+\0\x08\0\0\0"),
        ("jpg", b"\xFF\xD8\xFF\xEE\0\x0EAdobe"),
        ("jpg", b"\xFF\xD8\xFF\xE1\0\x10Exif\0\0"),
        ("esx", b"<?xml version=\"1.0\"?><XACTDOC/>"),
        ("esx", b"<?xml version=\"1.0\"?><table/>"),
        ("esx", b"any text"),
        ("csv", b"BMI,weight\r\n22,70\r\n"),
        ("csv", b"MZ,weight\r\n22,70\r\n"),
        ("csv", b"BMI and nothing that a bitmap's header has\r\n"),
        ("csv", b"\xFF\xFEa\0,\0b\0"),
        ("txt", b"caf\xE9 \x93quoted\x94 in Windows-1252"),
        ("txt", b"\xFF\xFEr\0o\0o\0f\0"),
        ("txt", b"end of a DOS text\x1A"),
        ("txt", b"r\0o\0o\0f\0 \x000\x041\x04"),
        ("txt", b"the header %PDF-1.4 is missing"),
        ("txt", b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n"),
        ("xml", b"\xFE\xFF\0<\0a\0/\0>"),
        ("xml", b"<?xml version=\"1.0\"?><!DOCTYPE html><html/>"),
        ("xml", b" \n<claim/>"),
        ("xml", b"<table><a>1</a></table>"),
        ("xml", b"<?mso-application progid=\"Excel.Sheet\"?><Workbook/>"),
        ("json", b"\xEF\xBB\xBF [1]"),
        ("json", b"null"),
        ("json", b"\xFF\xFE{\0}\0"),
        ("html", b"no tag at all"),
        (
            "html",
            b"<html>damaged\x07\0 in one place, as files are that a mail gateway has handled</html>",
        ),
    ];
    for (extension, head) in table {
        assert_content(&[extension], head, file_type(extension).label());
    }
}

#[test]
fn a_pdf_is_found_behind_anything_within_its_first_kilobyte() {
    let notice = b"<br />\n<b>Notice</b>:  Undefined variable: a in <b>/var/www/x.php</b> on line <b>7</b><br />\n";
    let wrapper =
        b"--boundary\r\nContent-Disposition: form-data; name=\"file\"\r\nContent-Type: application/pdf\r\n\r\n";
    let mac_binary = [&[0_u8, 8][..], b"roof.pdf", &[0; 118]].concat();
    let before: [&[u8]; 12] = [
        b"",
        b"\xEF\xBB\xBF",
        b"\r\n\r\n",
        b"\0\0\0",
        b"junk of a mail gateway\r\n\r\n",
        notice,
        wrapper,
        &mac_binary,
        b"<!-- proxied -->",
        b"<?xml version=\"1.0\"?>",
        b"{\"status\":\"ok\"}",
        b"[warning] ",
    ];
    for before in before {
        let file = [before, b"%PDF-1.4\n%\xE2\xE3\n1 0 obj\n<<>>\nendobj"].concat();
        assert_content(&["pdf", ""], &file, "PDF");
    }
    let at = |position: usize| [&vec![b' '; position][..], b"x%PDF-1.4"].concat();
    assert_content(&["pdf"], &at(1018), "PDF");
    assert_content(&["pdf"], &at(1019), "content");
    // A page or a message that mentions PDF files is not one.
    for head in [
        &b"<html>%PDF-1.4"[..],
        b"<!-- %PDF-1.7 --><!DOCTYPE html>",
        b"<p>The file begins with %PDF-1.4, which we cannot convert</p>",
    ] {
        assert_content(&["pdf"], head, "html page");
    }
    for head in [
        &b"{\"error\":\"%PDF-1.4 expected\"}"[..],
        b"no %PDF- in it",
        b"<Error>%PDF-1.4</Error>",
    ] {
        assert_content(&["pdf"], head, "content");
    }
    // Under the name of another picture or document, an object must follow. A text may contain one.
    let (behind, others) = (b"junk\r\n%PDF-1.4\n1 0 obj", ["jpg", "doc", "xlsx", "mov"]);
    assert_content(&others, behind, "PDF");
    assert_content(&others, b"no %PDF-1.4 here", "content");
    for extension in ["txt", "csv", "esx"] {
        assert_content(&[extension], behind, file_type(extension).label());
    }
}

#[test]
fn a_film_begins_with_any_atom() {
    let moov = atom(b"moov", &atom(b"mvhd", &[0; 100]));
    let mdat = atom(b"mdat", &[7; 64]);
    let first: [&[u8; 4]; 25] = [
        b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"udta", b"meta", b"moof", b"styp", b"sidx",
        b"ssix", b"emsg", b"prft", b"junk", b"PICT", b"pict", b"pdin", b"mfra", b"meco", b"prfl", b"bloc", b"thum",
        b"imda",
    ];
    let assert_film = |extension: &str, head: &[u8]| {
        let found = content(extension, head);
        assert!(
            ["MOV", "MP4"].contains(&found),
            "{} as {extension}: {found}",
            head.escape_ascii()
        );
    };
    for kind in first {
        for begin in [
            atom(kind, &[]),
            atom(kind, &[0; 20]),
            long_atom(kind, &[0; 20]),
            long_atom(kind, &[]),
        ] {
            for extension in ["mov", "mp4", "jpg", ""] {
                assert_film(extension, &[&begin[..], &mdat, &moov].concat());
            }
        }
        // To the end of the file, or longer than the head.
        for size in [0_u32, 0x1234_5678] {
            assert_film("mov", &[&size.to_be_bytes()[..], kind, &[0; 40]].concat());
        }
        let huge = (1_u64 << 40).to_be_bytes();
        assert_film("mov", &[&1_u32.to_be_bytes()[..], kind, &huge, &[0; 40]].concat());
    }
}

#[test]
fn brands_distinguish_quicktime_mp4_and_pictures() {
    let ftyp = |major: &[u8; 4], others: &[&[u8; 4]]| {
        let others: Vec<u8> = others.iter().flat_map(|brand| brand.iter().copied()).collect();
        [
            &atom(b"ftyp", &[&major[..], &[0; 4], &others].concat())[..],
            &atom(b"mdat", &[7; 64]),
        ]
        .concat()
    };
    for (major, others, expected) in [
        (b"qt  ", &[b"qt  "][..], "MOV"),
        (b"mp42", &[b"isom"], "MP4"),
        (b"isom", &[], "MP4"),
        (b"M4V ", &[], "MP4"),
        (b"3gp5", &[b"isom"], "MP4"),
        (b"dash", &[], "MP4"),
        (b"heic", &[b"mif1", b"heic"], "HEIC"),
        (b"heix", &[], "HEIC"),
        (b"heim", &[], "HEIC"),
        (b"heis", &[], "HEIC"),
        (b"hevc", &[], "HEIC"),
        (b"hevx", &[], "HEIC"),
        (b"mif1", &[b"heic"], "HEIC"),
        (b"mif1", &[], "HEIC"),
        (b"msf1", &[b"hevc"], "HEIC"),
        (b"mif1", &[b"avif", b"heic"], "HEIC"),
        (b"mif1", &[b"avif", b"miaf"], "content"),
        (b"avif", &[b"mif1"], "content"),
        (b"avis", &[], "content"),
        (b"crx ", &[b"isom"], "content"),
    ] {
        assert_content(&["mov", "mp4", "heic", "heif", "jpg"], &ftyp(major, others), expected);
        // The brands may come behind other atoms, and with a size of 64 bits.
        let later = [&atom(b"free", &[0; 8])[..], &ftyp(major, others)].concat();
        assert_content(&["mov"], &later, expected);
        let long = [&long_atom(b"ftyp", &[&major[..], &[0; 4]].concat())[..], &[0; 8]].concat();
        let of_major_alone = if major == b"mif1" { "HEIC" } else { expected };
        assert_content(&["mov"], &long, of_major_alone);
    }
    let media_type = |head: &[u8]| judge(None, None, head).unwrap().content_type.unwrap();
    assert_eq!(media_type(&ftyp(b"heic", &[])), "image/heic");
    assert_eq!(media_type(&ftyp(b"mif1", &[])), "image/heif");
    assert_eq!(media_type(&ftyp(b"hevc", &[])), "image/heic-sequence");
}

#[test]
fn a_header_like_an_atom_is_not_a_film() {
    for head in [
        &b"\0\0\0\x08junk\0\0\0\x08abcd\0\0\0\0"[..],
        b"\0\0\0\x04moov\0\0\0\0",
        b"\0\0\0\x01moov\0\0\0\0\0\0\0\x0F",
        b"\0\0\0\x01mo",
        b"\0\0\0\x10abcd\0\0\0\0\0\0\0\0",
    ] {
        assert_content(&["mov"], head, "content");
    }
    assert_content(&["txt"], b"very free text", "TXT");
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(
        start in prop::sample::select(vec![
            &b""[..], b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", b"PK\x03\x04", b"\xFF\xFE", b"\xFE\xFF", b"<!--", b"<?xml", b"<!doctype",
            b"RIFF", b"%PDF-", b"\0\0\0\x18ftyp", b"\0\0\0\x01ftyp", b"<\0", b"\0<", b"MZ", b"\x09\x08", b"<table", b"MIME-Version:", b"{\\rtf",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let head = [start, &rest[..]].concat();
        for extension in SPECIFIED.into_iter().chain([""]) {
            let _ = content(extension, &head);
        }
    }

    #[test]
    fn any_compound_file_is_judged_without_panic(
        header in prop::collection::vec(any::<u8>(), 72),
        rest in prop::collection::vec(any::<u8>(), 0..4000),
        shift in prop::sample::select(vec![9_u8, 12]),
        directory in 0_u8..4,
    ) {
        let mut head = [b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", &header[..], &rest[..]].concat();
        head[30..32].copy_from_slice(&[shift, 0]);
        head[48..52].copy_from_slice(&[directory, 0, 0, 0]);
        let _ = content("doc", &head);
    }

    #[test]
    fn bytes_behind_the_head_change_nothing(rest in prop::collection::vec(any::<u8>(), 0..20)) {
        let mut head = b"some text ".repeat(CONTENT_HEAD_BYTES / 10 + 1);
        head.truncate(CONTENT_HEAD_BYTES);
        head.extend(rest);
        prop_assert_eq!(content("txt", &head), "TXT");
    }
}
