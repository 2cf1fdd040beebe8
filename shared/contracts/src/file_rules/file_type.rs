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

    /// Returns the registered media type; an estimate has none.
    pub(super) const fn media_type(self) -> Option<&'static str> {
        Some(match self {
            Self::Pdf => "application/pdf",
            Self::Xml => "application/xml",
            Self::Txt => "text/plain",
            Self::Csv => "text/csv",
            Self::Json => "application/json",
            Self::Html => "text/html",
            Self::Xls => "application/vnd.ms-excel",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Doc => "application/msword",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Esx => return None,
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Webp => "image/webp",
            Self::Heic => "image/heic",
            Self::Mov => "video/quicktime",
            Self::Mp4 => "video/mp4",
        })
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
            Self::Heic => "HEIC",
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
