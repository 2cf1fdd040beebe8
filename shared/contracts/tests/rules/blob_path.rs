//! Blob paths stay inside their folder, are stable, and differ for each attachment, whatever the event contains.

mod properties;

use std::collections::HashSet;

use url::Url;
use uuid::Uuid;

use crate::cases::rows;
use xact_contracts::blob_path::{MAX_COMPONENT_BYTES, PathParts, blob_paths, is_own, safe_component};
use xact_contracts::ids::media_id;

const PARTS: PathParts<'static> = PathParts {
    status_subtype: "documentsReceived",
    assignment_id: "A123",
    trace_id: "test-001",
    estimate_version: None,
};

fn paths(parts: &PathParts<'_>, urls: &[&str]) -> Vec<String> {
    let urls: Vec<Url> = urls.iter().map(|url| Url::parse(url).unwrap()).collect();
    let attachments: Vec<_> = urls
        .iter()
        .map(|url| (media_id(parts.trace_id, url.as_str()), url))
        .collect();
    blob_paths(parts, &attachments)
}

/// The folder of an event with that trace id, without those around it.
fn folder(trace_id: &str) -> String {
    let path = paths(&PathParts { trace_id, ..PARTS }, &["https://claimxperience.com/a.pdf"]).remove(0);
    path.split('/').nth(2).unwrap().to_owned()
}

/// The file name that one URL gets, without the assignment's prefix.
fn name(url_path: &str) -> String {
    let url = format!("https://claimxperience.com/{url_path}");
    let path = paths(&PARTS, &[&url]).remove(0);
    path.strip_prefix("documentsReceived/A123/test-001/A123_")
        .unwrap()
        .to_owned()
}

#[test]
fn paths_by_status_subtype() {
    for (status_subtype, estimate_version, name) in [
        ("documentsReceived", None, "A123_test.pdf"),
        ("firstNoticeOfLossReceived", None, "A123_FNOL_test.pdf"),
        ("estimatePackageReceived", None, "A123_unknown_test.pdf"),
        ("estimatePackageReceived", Some(" "), "A123_unknown_test.pdf"),
        ("estimatePackageReceived", Some("3"), "A123_3_test.pdf"),
    ] {
        let parts = PathParts {
            status_subtype,
            estimate_version,
            ..PARTS
        };
        let found = paths(&parts, &["https://claimxperience.com/x/test.PDF?sig=1"]);
        assert_eq!(found, [format!("{status_subtype}/A123/test-001/{name}")]);
    }
}

#[test]
fn the_name_is_the_last_segment_decoded_and_made_safe() {
    let table = "
        a%20b.pdf → a b.pdf
        x/y/a.tar.GZ → a.tar.gz
        Photo.JPEG → Photo.jpeg
        a%2Fb%5Cc.pdf → a_b_c.pdf
        ..%2F..%2Fetc%2Fpasswd → ._._etc_passwd
        %2E%2E%5Cwin.ini → ._win.ini
        100%25%23%3F.pdf → 100___.pdf
        a%00b%0A.pdf → a_b_.pdf
        a.pdf%20.%20 → a.pdf
        gr%C3%B6%C3%9Fe.PDF → größe.pdf
        gro%CC%88%C3%9Fe.pdf → größe.pdf
        %E2%80%AEfdp.exe → fdp.exe
        %FF%FE.pdf → __.pdf
        a%E2%80%A8b.pdf → a_b.pdf
        .pdf → .pdf
         → attachment
        x/ → attachment
        ?filename=a.pdf → attachment
        download?filename=a.pdf → download
        %20 → attachment
        ... → attachment
    ";
    for [path, expected] in rows(table) {
        assert_eq!(name(path), expected, "{path}");
    }
}

#[test]
fn a_name_in_the_query_counts_where_the_path_names_no_accepted_kind() {
    let by_query = "
        download.ashx?id=7&filename=Roof.PDF → Roof.pdf
        v2.0?filename=roof.pdf → roof.pdf
        setup.exe?filename=roof.pdf → roof.pdf
        9f3a?response-content-disposition=attachment%3B%20filename%3D%22roof%20a.pdf%22 → roof a.pdf
        9f3a?rscd=attachment%3B%20filename%2A%3DUTF-8%27%27gr%25C3%25B6%25C3%259Fe.heic → größe.heic
        9f3a?rscd=attachment%3B%20filename%3D..%2F..%2Fetc%2Fa.pdf → a.pdf
        9f3a?rscd=attachment%3B%20filename%3D..%5C..%5Ca%00.pdf → a_.pdf
        ?rscd=attachment%3B%20filename%3Droof.pdf → roof.pdf
    ";
    // The path of every file that was ever accepted stays.
    let by_path = "
        a.pdf?filename=b.png → a.pdf
        download?filename=a.pdf → download
        download?name=a.pdf&rscd=attachment%3B%20filename%3Db.pdf → download
    ";
    let by_nothing = "
        123e4567-e89b → 123e4567-e89b
        9f3a?rscd=attachment → 9f3a
        9f3a?rscd=attachment%3B%20filename%3Dsetup.exe → 9f3a
        v2.0 → v2.0
    ";
    // A web server would run these.
    let without_extension = "
        download.ashx?id=7 → download
        x/photo.PHP → photo
        .php → attachment
        a.b.jsp → a.b
    ";
    for [path, expected] in [by_query, by_path, by_nothing, without_extension]
        .into_iter()
        .flat_map(rows)
    {
        assert_eq!(name(path), expected, "{path}");
    }
}

#[test]
fn hostile_ids_stay_inside_their_folder() {
    let table = [
        ("../../etc", "._._etc~"),
        ("..", "_~"),
        (".", "_~"),
        ("", "_~"),
        ("a/b", "a_b~"),
        ("a_b", "a_b"),
        ("/abs", "_abs~"),
        ("C:\\x", "C__x~"),
        ("a\0b", "a_b~"),
        ("NUL", "_NUL~"),
        ("trace ", "trace~"),
    ];
    for (trace_id, expected) in table {
        let folder = folder(trace_id);
        match expected.strip_suffix('~') {
            Some(start) => {
                let hash = folder.strip_prefix(start).unwrap().strip_prefix('~').unwrap();
                assert_eq!(hash.len(), 8, "{trace_id:?}: {folder}");
            }
            None => assert_eq!(folder, expected, "{trace_id:?}"),
        }
    }
}

#[test]
fn trace_ids_that_look_alike_once_safe_do_not_share_a_folder() {
    let long = "t".repeat(300);
    let imitated = folder("a/b");
    let ids = ["a/b", "a_b", "a:b", "a\\b", &imitated, &long, &long[1..], &long[..200]];
    assert_eq!(ids.iter().map(|id| folder(id)).collect::<HashSet<_>>().len(), ids.len());
}

#[test]
fn components_are_made_safe() {
    let table = [
        ("A123", "A123"),
        ("a..b...c", "a.b.c"),
        ("  a  ", "a"),
        ("a. . .", "a"),
        ("con", "_con"),
        ("Com1.txt", "_Com1.txt"),
        ("LPT9", "_LPT9"),
        ("COM0", "COM0"),
        ("console", "console"),
        ("a\"\\/:|<>*?#%b", "a___________b"),
        ("\u{202e}\u{200b}a\u{feff}", "a"),
        ("\u{e000}\u{fffe}\u{10ffff}\u{fffd}", "____"),
        ("\u{a0}x\u{3000}", "_x_"),
        ("e\u{301}", "é"),
        ("<\u{338}", "≮"),
        ("日本.pdf", "日本.pdf"),
    ];
    for (text, expected) in table {
        assert_eq!(safe_component(text), expected, "{text:?}");
    }
}

#[test]
fn long_names_are_cut_at_a_character_and_keep_their_extension() {
    let long = safe_component(&format!("{}.docx", "ü".repeat(300))).into_owned();
    assert_eq!(long, format!("{}.docx", "ü".repeat(97)));
    assert_eq!(safe_component(&"x".repeat(300)).len(), MAX_COMPONENT_BYTES);
    let url = format!("https://claimxperience.com/{}.PDF", "x".repeat(400));
    let path = paths(&PARTS, &[&url]).remove(0);
    let name = path.rsplit('/').next().unwrap();
    assert_eq!(name.len(), MAX_COMPONENT_BYTES);
    assert!(name.ends_with("x.pdf"));
    // A cut next to a dot leaves no `..`.
    let dotted = safe_component(&format!("{}.{}.pdf", "x".repeat(195), "y".repeat(100))).into_owned();
    assert_eq!(dotted, format!("{}.pdf", "x".repeat(195)));
}

#[test]
fn the_later_of_two_equal_names_gets_its_media_id() {
    let urls = [
        "https://claimxperience.com/1/photo.jpg",
        "https://claimxperience.com/2/photo.jpg",
        "https://claimxperience.com/3/PHOTO.JPG",
        "https://claimxperience.com/4/other.jpg",
    ];
    let found = paths(&PARTS, &urls);
    let ids = urls.map(|url| media_id("test-001", url).simple().to_string()[..8].to_owned());
    let expected = [
        "A123_photo.jpg".to_owned(),
        format!("A123_photo-{}.jpg", ids[1]),
        format!("A123_PHOTO-{}.jpg", ids[2]),
        "A123_other.jpg".to_owned(),
    ];
    assert_eq!(
        found,
        expected.map(|name| format!("documentsReceived/A123/test-001/{name}"))
    );
}

#[test]
fn names_that_are_equal_on_some_file_system_stay_distinct() {
    let table = "
        a.pdf → A.PDF
        gr%C3%B6%C3%9Fe.pdf → gro%CC%88%C3%9Fe.pdf
        gr%C3%B6%C3%9Fe.pdf → GR%C3%96SSE.pdf
        a.pdf → %EF%BD%81.pdf
        fi.pdf → %EF%AC%81.pdf
        %CE%A3.pdf → %CF%82.pdf
        %CF%83.pdf → %CF%82.pdf
        s.pdf → %C5%BF.pdf
        k.pdf → %E2%84%AA.pdf
        i.pdf → %C4%B1.pdf
        a%2Fb.pdf → a%5Cb.pdf
        a%E2%80%AEb.pdf → ab.pdf
        a.pdf → a.pdf%20.
    ";
    for [one, other] in rows(table) {
        let urls = [one, other].map(|file| format!("https://claimxperience.com/{file}"));
        let found = paths(&PARTS, &[&urls[0], &urls[1]]);
        let short = media_id("test-001", &urls[1]).simple().to_string()[..8].to_owned();
        // The trace id has a hyphen.
        assert_eq!(found[0].matches('-').count(), 1, "{}", found[0]);
        assert!(found[1].contains(&short), "{one} and {other}: {found:?}");
    }
}

#[test]
fn a_path_in_a_message_is_checked_against_the_events_own_folder() {
    for name in ["A123_test.pdf", "anything else.pdf"] {
        assert!(
            is_own(&PARTS, &format!("documentsReceived/A123/test-001/{name}")),
            "{name}"
        );
    }
    for path in [
        "",
        "A123_test.pdf",
        "documentsReceived/A123/test-001",
        "documentsReceived/A123/test-0012/a.pdf",
        "documentsReceived/A123/test-002/a.pdf",
        "documentsReceived/A124/test-001/a.pdf",
        "documentsreceived/A123/test-001/a.pdf",
        "/documentsReceived/A123/test-001/a.pdf",
        "documentsReceived//A123/test-001/a.pdf",
    ] {
        assert!(!is_own(&PARTS, path), "{path}");
    }
    for name in [
        "",
        "../test-002/a.pdf",
        "..",
        "a\\b.pdf",
        "a/b.pdf",
        "a.pdf\0",
        "a%2Fb.pdf",
        "CON.pdf",
        "a.pdf ",
    ] {
        let path = format!("documentsReceived/A123/test-001/{name}");
        assert!(!is_own(&PARTS, &path), "{name:?}");
    }
}

/// The names of files on one host, without the assignment's prefix.
fn names(files: &[(u128, &str)]) -> Vec<String> {
    let url = |file: &str| Url::parse(&format!("https://claimxperience.com/{file}")).unwrap();
    let urls: Vec<_> = files
        .iter()
        .map(|(id, file)| (Uuid::from_u128(*id), url(file)))
        .collect();
    let attachments: Vec<_> = urls.iter().map(|(id, url)| (*id, url)).collect();
    let name = |path: &String| path.split_once("A123_").unwrap().1.to_owned();
    blob_paths(&PARTS, &attachments).iter().map(name).collect()
}

#[test]
fn a_name_with_the_form_of_a_suffix_does_not_collide() {
    let first = 0xAAAA_AAAA_0000_0000_0000_0000_0000_0001;
    let found = names(&[
        (1, "a.pdf"),
        (first, "a.pdf"),
        (first + 1, "a.pdf"),
        (3, "a-aaaaaaaa.pdf"),
        (4, "a-aaaaaaaa000000000000000000000002.pdf"),
    ]);
    assert_eq!(
        found,
        [
            "a.pdf",
            "a-aaaaaaaa.pdf",
            "a-aaaaaaaa00000000.pdf",
            "a-aaaaaaaa-00000000.pdf",
            "a-aaaaaaaa000000000000000000000002.pdf",
        ]
    );
}

#[test]
fn a_name_is_found_even_if_every_suffix_is_taken() {
    let found = names(&[
        (0, "a.pdf"),
        (1, "a-abcdef01.pdf"),
        (2, "a-abcdef0123456789.pdf"),
        (3, "a-abcdef0123456789abcdef0123456789.pdf"),
        (4, "a-abcdef0123456789abcdef0123456789-2.pdf"),
        (0xABCD_EF01_2345_6789_ABCD_EF01_2345_6789, "a.pdf"),
    ]);
    assert_eq!(found[5], "a-abcdef0123456789abcdef0123456789-3.pdf");
}

#[test]
fn one_attachment_named_twice_has_one_path() {
    let url = "https://claimxperience.com/a.pdf";
    let found = paths(&PARTS, &[url, url]);
    assert_eq!(found[0], found[1]);
}
