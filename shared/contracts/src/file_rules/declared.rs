//! Comparison of a server's `Content-Type` with the kind of the file.
//!
//! Declared types are often obsolete names, form types, quoted, or lists. So a declared type proves nothing: a difference is
//! reported, and only an active type, which browsers or systems run, makes a text refused.

use super::disposition;
use super::file_type::FileType;

/// The result of comparing a declared type with a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// No type, or one that fits every file.
    Nothing,
    /// A type of this kind.
    Fits,
    /// A type of another kind; that kind, if it is accepted.
    Differs(Option<FileType>),
    /// An active type, which browsers or systems run.
    Active,
}

/// Types that servers and uploaders use for unknown content or for every download.
const MEANINGLESS: [&str; 27] = [
    "application/octet-stream",
    "binary/octet-stream",
    "application/octetstream",
    "application/x-octet-stream",
    "application/x-octetstream",
    "application/octet",
    "application/binary",
    "application/x-binary",
    "application/unknown",
    "application/x-unknown",
    "application/x-unknown-content-type",
    "unknown/unknown",
    "content/unknown",
    "application/force-download",
    "application/x-force-download",
    "application/force_download",
    "application/download",
    "application/x-download",
    "application/x-file-download",
    "application/save-as",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/data",
    "application/file",
    "application/*",
    "*/*",
    "null",
];

/// Types that browsers or systems run.
const ACTIVE: [&str; 34] = [
    "text/html",
    "application/xhtml+xml",
    "application/xhtml",
    "text/x-server-parsed-html",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "text/x-javascript",
    "text/ecmascript",
    "application/ecmascript",
    "text/jscript",
    "text/vbscript",
    "text/vbs",
    "text/x-component",
    "application/hta",
    "application/x-shockwave-flash",
    "image/svg+xml",
    "image/svg",
    "application/x-httpd-php",
    "application/x-php",
    "text/x-php",
    "application/x-sh",
    "application/x-shellscript",
    "text/x-shellscript",
    "text/x-sh",
    "text/x-python",
    "application/x-bat",
    "application/x-msdownload",
    "application/x-msdos-program",
    "application/x-dosexec",
    "application/x-executable",
    "application/vnd.microsoft.portable-executable",
    "application/java-archive",
    "application/vnd.android.package-archive",
];

/// Returns the types that servers really send for a kind, the registered one first. `*` at the end matches any rest.
#[rustfmt::skip] // One kind a line.
const fn names(kind: FileType) -> &'static [&'static str] {
    match kind {
        FileType::Pdf => &["application/pdf", "application/x-pdf", "application/acrobat", "application/vnd.pdf", "text/pdf", "text/x-pdf"],
        FileType::Xml => &["application/xml", "text/xml", "application/x-xml", "text/plain"],
        FileType::Txt => &["text/plain", "text/*", "application/txt", "application/text"],
        FileType::Csv => &["text/csv", "application/csv", "application/x-csv", "text/x-csv", "text/comma-separated-values", "text/x-comma-separated-values", "text/tab-separated-values", "text/tsv", "text/plain", "text/anytext", "application/vnd.ms-excel*", "application/msexcel", "application/x-msexcel", "application/excel", "application/x-excel"],
        FileType::Json => &["application/json", "text/json", "text/x-json", "application/x-json", "application/x-ndjson", "application/jsonlines", "application/x-jsonlines", "text/plain"],
        FileType::Html => &["text/html", "application/xhtml+xml", "application/xhtml", "text/plain"],
        FileType::Xls => &["application/vnd.ms-excel*", "application/msexcel", "application/x-msexcel", "application/x-ms-excel", "application/excel", "application/x-excel", "application/xls", "application/x-xls", "application/x-dos_ms_excel", "zz-application/zz-winassoc-xls", "application/vnd.ms-office", "application/x-ole-storage", "application/cdfv2*", "application/x-tika-msoffice"],
        FileType::Xlsx => &["application/vnd.openxmlformats-officedocument.spreadsheetml*", "application/vnd.ms-excel*", "application/msexcel", "application/x-msexcel", "application/excel", "application/x-excel", "application/xlsx", "application/x-xlsx", "application/vnd.openxmlformats-officedocument", "application/vnd.openxmlformats", "application/vnd.ms-office", "application/x-tika-ooxml*", "application/zip", "application/x-zip", "application/x-zip-compressed"],
        FileType::Doc => &["application/msword*", "application/vnd.ms-word*", "application/vnd.msword", "application/x-msword", "application/doc", "application/x-doc", "application/word", "application/winword", "application/x-msw6", "application/rtf", "application/x-rtf", "text/rtf", "text/richtext", "zz-application/zz-winassoc-doc", "application/vnd.ms-office", "application/x-ole-storage", "application/cdfv2*", "application/x-tika-msoffice"],
        FileType::Docx => &["application/vnd.openxmlformats-officedocument.wordprocessingml*", "application/msword*", "application/vnd.ms-word*", "application/vnd.msword", "application/x-msword", "application/docx", "application/x-docx", "application/vnd.openxmlformats-officedocument", "application/vnd.openxmlformats", "application/vnd.ms-office", "application/x-tika-ooxml*", "application/zip", "application/x-zip", "application/x-zip-compressed"],
        FileType::Esx => &["application/esx", "application/x-esx", "application/vnd.xactware*", "application/zip", "application/x-zip", "application/x-zip-compressed", "application/xml", "text/xml", "text/plain"],
        FileType::Jpeg => &["image/jpeg", "image/jpg", "image/pjpeg", "image/jpe", "image/jfif", "image/pipeg", "image/x-jpeg", "image/x-jpg", "image/x-citrix-jpeg", "image/x-citrix-pjpeg", "image/vnd.swiftview-jpeg", "image/mpo", "application/jpg", "application/x-jpg", "application/jpeg", "image/*"],
        FileType::Png => &["image/png", "image/x-png", "image/x-citrix-png", "image/apng", "image/vnd.mozilla.apng", "application/png", "application/x-png", "image/*"],
        FileType::Gif => &["image/gif", "image/x-gif", "image/x-citrix-gif", "application/gif", "image/*"],
        FileType::Bmp => &["image/bmp", "image/x-bmp", "image/ms-bmp", "image/x-ms-bmp", "image/x-windows-bmp", "image/x-win-bitmap", "image/x-bitmap", "application/bmp", "application/x-bmp", "image/*"],
        FileType::Tiff => &["image/tiff", "image/tif", "image/x-tiff", "image/x-tif", "image/tiff-fx", "application/tiff", "application/tif", "application/x-tiff", "application/x-tif", "image/*"],
        FileType::Webp => &["image/webp", "image/x-webp", "image/*"],
        FileType::Heic => &["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence", "image/x-heic", "image/x-heif", "image/*"],
        FileType::Mov => &["video/quicktime", "video/x-quicktime", "video/mov", "video/x-mov", "image/mov", "video/mp4", "video/x-m4v", "video/*"],
        FileType::Mp4 => &["video/mp4", "application/mp4", "video/x-mp4", "video/mpeg4", "video/m4v", "video/x-m4v", "video/3gpp", "video/3gpp2", "video/x-f4v", "audio/mp4", "audio/x-m4a", "video/quicktime", "video/*"],
    }
}

/// Compares a server's `Content-Type` with the kind of the file. In a list every element counts.
#[must_use]
pub fn compare(kind: FileType, content_type: Option<&str>) -> Declared {
    let mut said = Declared::Nothing;
    for element in elements(content_type.unwrap_or_default()) {
        let one = compare_one(kind, &element);
        said = match (said, one) {
            (Declared::Active, _) | (_, Declared::Active) => Declared::Active,
            (Declared::Differs(other), _) => Declared::Differs(other),
            (said, Declared::Nothing) => said,
            (_, one) => one,
        };
    }
    said
}

fn compare_one(kind: FileType, declared: &str) -> Declared {
    if MEANINGLESS.contains(&declared) {
        Declared::Nothing
    } else if belongs_to(kind, declared) {
        Declared::Fits
    } else if ACTIVE.contains(&declared) {
        Declared::Active
    } else {
        Declared::Differs(kind_of(declared))
    }
}

/// Returns the kind of a type: the one that it is registered for, else one that it is sent for.
fn kind_of(declared: &str) -> Option<FileType> {
    let kinds = || FileType::extensions().filter_map(FileType::from_extension);
    let registered = kinds().find(|kind| kind.media_type() == Some(declared));
    registered.or_else(|| kinds().find(|kind| belongs_to(*kind, declared)))
}

fn belongs_to(kind: FileType, declared: &str) -> bool {
    let suffix = match kind {
        FileType::Xml => Some("+xml"),
        FileType::Json => Some("+json"),
        _ => None,
    };
    let is_active = ACTIVE.contains(&declared) && kind != FileType::Html;
    let is_named = |name: &&str| match name.strip_suffix('*') {
        // `image/*` is written by clients in `Accept`, and repeated literally by some uploaders.
        Some("image/" | "video/") | None => declared == *name,
        Some(family) => declared.starts_with(family),
    };
    !is_active && (names(kind).iter().any(is_named) || suffix.is_some_and(|suffix| declared.ends_with(suffix)))
}

/// Returns the types in a header in lower case, without parameters, quotes and blank elements.
fn elements(content_type: &str) -> Vec<String> {
    let bare = |text: &str| {
        text.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'')
            .to_owned()
    };
    // A value that is quoted as a whole is read without its quotes; otherwise a comma inside quotes does not separate.
    let value = content_type.trim();
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = inner.filter(|inner| !inner.contains('"')).unwrap_or(value);
    disposition::split_outside_quotes(value, ',')
        .into_iter()
        .map(|element| bare(element.split(';').next().unwrap_or_default()).to_ascii_lowercase())
        .filter(|element| !element.is_empty())
        .collect()
}
