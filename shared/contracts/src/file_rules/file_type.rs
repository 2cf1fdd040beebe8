//! The accepted kinds of files, their extensions and their registered media types.

/// An accepted kind of file. Several extensions may name one kind.
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
    /// `xls`: an Excel workbook in any form except `xlsx`.
    Xls,
    /// `xlsx`
    Xlsx,
    /// `doc`: a Word document in any form except `docx`, including RTF.
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
    /// `heic`, `heif`
    Heic,
    /// `mov`
    Mov,
    /// `mp4`
    Mp4,
}

/// Every accepted extension with its kind, in the order of `SPECIFICATION.md`.
const EXTENSIONS: [(&str, FileType); 24] = [
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
    ("heic", FileType::Heic),
    ("heif", FileType::Heic),
    ("mov", FileType::Mov),
    ("mp4", FileType::Mp4),
];

impl FileType {
    /// Returns the kind of an extension, in any case; `None` if it is not accepted.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        EXTENSIONS
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))
            .map(|(_, kind)| kind)
    }

    /// Returns the accepted extensions, in lower case.
    pub fn extensions() -> impl Iterator<Item = &'static str> {
        EXTENSIONS.into_iter().map(|(extension, _)| extension)
    }

    /// Returns the kind's main extension in upper case: the `file_type` of a file whose name is of another kind, or of none.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Xml => "XML",
            Self::Txt => "TXT",
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Html => "HTML",
            Self::Xls => "XLS",
            Self::Xlsx => "XLSX",
            Self::Doc => "DOC",
            Self::Docx => "DOCX",
            Self::Esx => "ESX",
            Self::Jpeg => "JPG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Webp => "WEBP",
            Self::Heic => "HEIC",
            Self::Mov => "MOV",
            Self::Mp4 => "MP4",
        }
    }

    /// Returns the types that servers really send for a kind, the registered one first. `*` at the end matches any rest.
    #[rustfmt::skip] // One kind a line.
    pub(super) const fn declared_types(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["application/pdf", "application/x-pdf", "application/acrobat", "application/vnd.pdf", "text/pdf", "text/x-pdf"],
            Self::Xml => &["application/xml", "text/xml", "application/x-xml", "text/plain"],
            Self::Txt => &["text/plain", "text/*", "application/txt", "application/text"],
            Self::Csv => &["text/csv", "application/csv", "application/x-csv", "text/x-csv", "text/comma-separated-values", "text/x-comma-separated-values", "text/tab-separated-values", "text/tsv", "text/plain", "text/anytext", "application/vnd.ms-excel*", "application/msexcel", "application/x-msexcel", "application/excel", "application/x-excel"],
            Self::Json => &["application/json", "text/json", "text/x-json", "application/x-json", "application/x-ndjson", "application/jsonlines", "application/x-jsonlines", "text/plain"],
            Self::Html => &["text/html", "application/xhtml+xml", "application/xhtml", "text/plain"],
            Self::Xls => &["application/vnd.ms-excel", "application/vnd.ms-excel*", "application/msexcel", "application/x-msexcel", "application/x-ms-excel", "application/excel", "application/x-excel", "application/xls", "application/x-xls", "application/x-dos_ms_excel", "zz-application/zz-winassoc-xls", "application/vnd.ms-office", "application/x-ole-storage", "application/cdfv2*", "application/x-tika-msoffice"],
            Self::Xlsx => &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.openxmlformats-officedocument.spreadsheetml*", "application/vnd.ms-excel*", "application/msexcel", "application/x-msexcel", "application/excel", "application/x-excel", "application/xlsx", "application/x-xlsx", "application/vnd.openxmlformats-officedocument", "application/vnd.openxmlformats", "application/vnd.ms-office", "application/x-tika-ooxml*", "application/zip", "application/x-zip", "application/x-zip-compressed"],
            Self::Doc => &["application/msword", "application/msword*", "application/vnd.ms-word*", "application/vnd.msword", "application/x-msword", "application/doc", "application/x-doc", "application/word", "application/winword", "application/x-msw6", "application/rtf", "application/x-rtf", "text/rtf", "text/richtext", "zz-application/zz-winassoc-doc", "application/vnd.ms-office", "application/x-ole-storage", "application/cdfv2*", "application/x-tika-msoffice"],
            Self::Docx => &["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/vnd.openxmlformats-officedocument.wordprocessingml*", "application/msword*", "application/vnd.ms-word*", "application/vnd.msword", "application/x-msword", "application/docx", "application/x-docx", "application/vnd.openxmlformats-officedocument", "application/vnd.openxmlformats", "application/vnd.ms-office", "application/x-tika-ooxml*", "application/zip", "application/x-zip", "application/x-zip-compressed"],
            Self::Esx => &["application/esx", "application/x-esx", "application/vnd.xactware*", "application/zip", "application/x-zip", "application/x-zip-compressed", "application/xml", "text/xml", "text/plain"],
            Self::Jpeg => &["image/jpeg", "image/jpg", "image/pjpeg", "image/jpe", "image/jfif", "image/pipeg", "image/x-jpeg", "image/x-jpg", "image/x-citrix-jpeg", "image/x-citrix-pjpeg", "image/vnd.swiftview-jpeg", "image/mpo", "application/jpg", "application/x-jpg", "application/jpeg", "image/*"],
            Self::Png => &["image/png", "image/x-png", "image/x-citrix-png", "image/apng", "image/vnd.mozilla.apng", "application/png", "application/x-png", "image/*"],
            Self::Gif => &["image/gif", "image/x-gif", "image/x-citrix-gif", "application/gif", "image/*"],
            Self::Bmp => &["image/bmp", "image/x-bmp", "image/ms-bmp", "image/x-ms-bmp", "image/x-windows-bmp", "image/x-win-bitmap", "image/x-bitmap", "application/bmp", "application/x-bmp", "image/*"],
            Self::Tiff => &["image/tiff", "image/tif", "image/x-tiff", "image/x-tif", "image/tiff-fx", "application/tiff", "application/tif", "application/x-tiff", "application/x-tif", "image/*"],
            Self::Webp => &["image/webp", "image/x-webp", "image/*"],
            Self::Heic => &["image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence", "image/x-heic", "image/x-heif", "image/*"],
            Self::Mov => &["video/quicktime", "video/x-quicktime", "video/mov", "video/x-mov", "image/mov", "video/mp4", "video/x-m4v", "video/*"],
            Self::Mp4 => &["video/mp4", "application/mp4", "video/x-mp4", "video/mpeg4", "video/m4v", "video/x-m4v", "video/3gpp", "video/3gpp2", "video/x-f4v", "audio/mp4", "audio/x-m4a", "video/quicktime", "video/*"],
        }
    }

    /// Returns the registered media type; an estimate has none.
    pub(super) const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Esx => None,
            _ => Some(self.declared_types()[0]),
        }
    }

    /// Whether files of this kind are text, which proves no kind.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Xml | Self::Txt | Self::Csv | Self::Json | Self::Html)
    }

    /// Whether Office opens files of this kind, in any of its formats.
    pub(super) const fn is_office(self) -> bool {
        matches!(self, Self::Xls | Self::Xlsx | Self::Doc | Self::Docx)
    }

    pub(super) const fn is_excel(self) -> bool {
        matches!(self, Self::Xls | Self::Xlsx)
    }
}

/// In texts for people.
impl std::fmt::Display for FileType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Txt => "text",
            Self::Xls => "Excel (xls)",
            Self::Xlsx => "Excel (xlsx)",
            Self::Doc => "Word (doc)",
            Self::Docx => "Word (docx)",
            Self::Esx => "Xactimate (esx)",
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
            Self::Mov => "QuickTime",
            _ => self.label(),
        })
    }
}
