//! Which files are let in: by extension, by the type that the server declares, by their first bytes.
//!
//! All three must agree. The predecessor refused files with their real MIME types and looked at no
//! content at all, so that an error page could be stored as a PDF; both are tests here.

mod content;

use percent_encoding::percent_decode_str;
use url::Url;

pub use content::CONTENT_HEAD_BYTES;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRefusal {
    /// Neither the path nor the query names a file with an extension.
    #[error(
        "the URL names no file extension, neither in its path nor in filename, file or name of its query; accepted are {}",
        accepted_extensions()
    )]
    NoExtension,
    /// An extension that is not accepted.
    #[error(
        "files of type `{extension}` are not accepted; accepted are {}",
        accepted_extensions()
    )]
    UnknownExtension {
        /// The extension, lower-case.
        extension: String,
    },
    /// The server's `Content-Type` belongs to another kind of file.
    #[error(
        "the server declares the file as `{declared}`, which is not what a {expected} file is; the attachment source must send one that fits, or application/octet-stream"
    )]
    DeclaredType {
        /// What was declared, without parameters, cut at 100 characters.
        declared: String,
        /// The type that the URL names.
        expected: FileType,
    },
    /// A file without a byte.
    #[error("the file is empty")]
    Empty,
    /// Something that runs.
    #[error("the file is {found}; executables are never accepted")]
    Executable {
        /// What kind of executable.
        found: &'static str,
    },
    /// A web page where another file was announced: mostly an error page.
    #[error(
        "the file is an HTML page instead of a {expected} file: the attachment source probably answered with an error page"
    )]
    HtmlPage {
        /// The type that the URL names.
        expected: FileType,
    },
    /// Other content than the extension says.
    #[error("the file's first bytes are {found}, not those of a {expected} file")]
    Content {
        /// What they look like.
        found: &'static str,
        /// The type that the URL names.
        expected: FileType,
    },
}

/// A kind of file that is accepted. Extensions that mean the same kind share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileType {
    /// `pdf`
    Pdf,
    /// `xml`
    Xml,
    /// `txt`
    Txt,
    /// `csv`
    Csv,
    /// `json`
    Json,
    /// `html`, `htm`
    Html,
    /// `xls`
    Xls,
    /// `xlsx`
    Xlsx,
    /// `doc`
    Doc,
    /// `docx`
    Docx,
    /// `esx`, an Xactimate estimate: an archive of XML and pictures.
    Esx,
    /// `jpg`, `jpeg`
    Jpeg,
    /// `png`
    Png,
    /// `gif`
    Gif,
    /// `bmp`
    Bmp,
    /// `tiff`, `tif`
    Tiff,
    /// `webp`
    Webp,
    /// `mov`
    Mov,
    /// `mp4`
    Mp4,
}

/// Every accepted extension with its kind, in the order of the specification (section 4).
const EXTENSIONS: [(&str, FileType); 22] = [
    ("pdf", FileType::Pdf),
    ("xml", FileType::Xml),
    ("txt", FileType::Txt),
    ("csv", FileType::Csv),
    ("json", FileType::Json),
    ("html", FileType::Html),
    ("htm", FileType::Html),
    ("xls", FileType::Xls),
    ("xlsx", FileType::Xlsx),
    ("doc", FileType::Doc),
    ("docx", FileType::Docx),
    ("esx", FileType::Esx),
    ("jpg", FileType::Jpeg),
    ("jpeg", FileType::Jpeg),
    ("png", FileType::Png),
    ("gif", FileType::Gif),
    ("bmp", FileType::Bmp),
    ("tiff", FileType::Tiff),
    ("tif", FileType::Tiff),
    ("webp", FileType::Webp),
    ("mov", FileType::Mov),
    ("mp4", FileType::Mp4),
];

/// What servers say when they do not know, S3 above all: it fits every file.
const ANY_TYPE: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

const ZIP: [&str; 2] = ["application/zip", "application/x-zip-compressed"];

impl FileType {
    /// The kind for an extension, in any case; `None` if it is not accepted.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        EXTENSIONS
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))
            .map(|(_, kind)| kind)
    }

    /// The accepted extensions, lower-case, in the order of the specification.
    pub fn extensions() -> impl Iterator<Item = &'static str> {
        EXTENSIONS.into_iter().map(|(extension, _)| extension)
    }

    /// Whether the server's `Content-Type` fits. None, a blank one and the octet streams fit every kind.
    ///
    /// # Errors
    /// [`FileRefusal::DeclaredType`].
    pub fn check_declared(&self, content_type: Option<&str>) -> Result<(), FileRefusal> {
        let declared = content_type.unwrap_or_default();
        let declared = declared
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let fits = declared.is_empty()
            || ANY_TYPE.contains(&declared.as_str())
            || self.media_types().contains(&declared.as_str())
            || self.is_office_open_xml_or_esx() && ZIP.contains(&declared.as_str())
            || *self == Self::Esx && declared.starts_with("application/vnd.xactware");
        if fits {
            return Ok(());
        }
        Err(FileRefusal::DeclaredType {
            declared: declared.chars().take(100).collect(),
            expected: *self,
        })
    }

    /// Whether the first bytes of the file contradict its kind.
    ///
    /// `head` is the whole file or at least its first [`CONTENT_HEAD_BYTES`].
    ///
    /// # Errors
    /// [`FileRefusal::Empty`], [`FileRefusal::Executable`], [`FileRefusal::HtmlPage`] or [`FileRefusal::Content`].
    pub fn check_content(&self, head: &[u8]) -> Result<(), FileRefusal> {
        content::check(*self, head)
    }

    /// The registered type first, then what servers really send for it.
    #[rustfmt::skip] // One kind a line.
    const fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["application/pdf", "application/x-pdf"],
            Self::Xml => &["application/xml", "text/xml", "text/plain"],
            Self::Txt => &["text/plain"],
            Self::Csv => &["text/csv", "application/csv", "text/x-csv", "application/vnd.ms-excel", "text/plain"],
            Self::Json => &["application/json", "text/json", "text/plain"],
            Self::Html => &["text/html", "application/xhtml+xml", "text/plain"],
            Self::Xls => &["application/vnd.ms-excel", "application/msexcel", "application/x-msexcel", "application/xls"],
            Self::Xlsx => &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.ms-excel"],
            Self::Doc => &["application/msword", "application/vnd.ms-word", "application/rtf", "text/rtf"],
            Self::Docx => &["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/msword"],
            Self::Esx => &["application/esx", "application/x-esx", "application/xml", "text/xml"],
            Self::Jpeg => &["image/jpeg", "image/jpg", "image/pjpeg"],
            Self::Png => &["image/png", "image/x-png"],
            Self::Gif => &["image/gif"],
            Self::Bmp => &["image/bmp", "image/x-bmp", "image/x-ms-bmp", "image/x-windows-bmp"],
            Self::Tiff => &["image/tiff", "image/tif", "image/x-tiff"],
            Self::Webp => &["image/webp"],
            Self::Mov => &["video/quicktime", "video/mov", "video/mp4"],
            Self::Mp4 => &["video/mp4", "application/mp4", "video/x-m4v", "video/quicktime"],
        }
    }

    const fn is_office_open_xml_or_esx(self) -> bool {
        matches!(self, Self::Docx | Self::Xlsx | Self::Esx)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Xml => "XML",
            Self::Txt => "text",
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Html => "HTML",
            Self::Xls => "Excel (xls)",
            Self::Xlsx => "Excel (xlsx)",
            Self::Doc => "Word (doc)",
            Self::Docx => "Word (docx)",
            Self::Esx => "Xactimate (esx)",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Webp => "WebP",
            Self::Mov => "QuickTime",
            Self::Mp4 => "MP4",
        }
    }
}

impl std::fmt::Display for FileType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The extension that a URL names, lower-case: from the last segment of its path, else from
/// `filename`, `file` or `name` in its query. At most 16 ASCII letters and digits.
#[must_use]
pub fn extension_of(url: &Url) -> Option<String> {
    if let Some(extension) = file_name_of(url).as_deref().and_then(extension) {
        return Some(extension);
    }
    ["filename", "file", "name"].into_iter().find_map(|wanted| {
        url.query_pairs()
            .filter(|(key, _)| key.eq_ignore_ascii_case(wanted))
            .find_map(|(_, value)| extension(trim_name(&value)))
    })
}

/// The kind of file that a URL names.
///
/// # Errors
/// [`FileRefusal::NoExtension`] or [`FileRefusal::UnknownExtension`].
pub fn allowed_type(url: &Url) -> Result<FileType, FileRefusal> {
    let extension = extension_of(url).ok_or(FileRefusal::NoExtension)?;
    FileType::from_extension(&extension).ok_or(FileRefusal::UnknownExtension { extension })
}

/// The `file_type` of messages and tables: the extension in upper case, or `UNKNOWN`.
#[must_use]
pub fn file_type_label(url: &Url) -> String {
    extension_of(url).map_or_else(|| "UNKNOWN".to_owned(), |extension| extension.to_ascii_uppercase())
}

/// The last segment of a URL's path, percent-decoded, without the white space and dots at its ends
/// that file systems drop; `None` if nothing is left.
pub(crate) fn file_name_of(url: &Url) -> Option<String> {
    let segment = url.path_segments()?.next_back()?;
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    Some(trim_name(&decoded).to_owned()).filter(|name| !name.is_empty())
}

/// Splits `name` into what stands before the extension, and the extension; `None` if it has none.
pub(crate) fn split_extension(name: &str) -> Option<(&str, &str)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let plain =
        !extension.is_empty() && extension.len() <= 16 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some((stem, extension))
}

fn extension(name: &str) -> Option<String> {
    split_extension(name).map(|(_, extension)| extension.to_ascii_lowercase())
}

fn trim_name(name: &str) -> &str {
    name.trim().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

fn accepted_extensions() -> String {
    FileType::extensions().collect::<Vec<_>>().join(", ")
}
