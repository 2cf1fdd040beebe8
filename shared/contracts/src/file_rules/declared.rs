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
const MEANINGLESS: &str = "
    application/octet-stream binary/octet-stream application/octetstream application/x-octet-stream
    application/x-octetstream application/octet application/binary application/x-binary application/unknown
    application/x-unknown application/x-unknown-content-type unknown/unknown content/unknown
    application/force-download application/x-force-download application/force_download application/download
    application/x-download application/x-file-download application/save-as application/x-www-form-urlencoded
    multipart/form-data application/data application/file application/* */* null
";

/// Types that browsers or systems run.
const ACTIVE: &str = "
    text/html application/xhtml+xml application/xhtml text/x-server-parsed-html text/javascript
    application/javascript application/x-javascript text/x-javascript text/ecmascript application/ecmascript
    text/jscript text/vbscript text/vbs text/x-component application/hta application/x-shockwave-flash image/svg+xml
    image/svg application/x-httpd-php application/x-php text/x-php application/x-sh application/x-shellscript
    text/x-shellscript text/x-sh text/x-python application/x-bat application/x-msdownload
    application/x-msdos-program application/x-dosexec application/x-executable
    application/vnd.microsoft.portable-executable application/java-archive application/vnd.android.package-archive
";

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
    if is_listed(MEANINGLESS, declared) {
        Declared::Nothing
    } else if belongs_to(kind, declared) {
        Declared::Fits
    } else if is_listed(ACTIVE, declared) {
        Declared::Active
    } else {
        Declared::Differs(kind_of(declared))
    }
}

fn is_listed(types: &str, declared: &str) -> bool {
    types.split_whitespace().any(|known| known == declared)
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
    let is_active = is_listed(ACTIVE, declared) && kind != FileType::Html;
    let is_named = |name: &&str| match name.strip_suffix('*') {
        // `image/*` is written by clients in `Accept`, and repeated literally by some uploaders.
        Some("image/" | "video/") | None => declared == *name,
        Some(family) => declared.starts_with(family),
    };
    !is_active
        && (kind.declared_types().iter().any(is_named) || suffix.is_some_and(|suffix| declared.ends_with(suffix)))
}

/// Returns the types in a header in lower case, without parameters, quotes and blank elements.
fn elements(content_type: &str) -> Vec<String> {
    let is_blank = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    // A value that is quoted as a whole is read without its quotes; otherwise a comma inside quotes does not separate.
    let value = content_type.trim();
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = inner.filter(|inner| !inner.contains('"')).unwrap_or(value);
    let elements = disposition::split_outside_quotes(value, ',').into_iter();
    let types = elements.filter_map(|element| element.split(';').next());
    let bare = types.map(|declared| declared.trim_matches(is_blank).to_ascii_lowercase());
    bare.filter(|declared| !declared.is_empty()).collect()
}
