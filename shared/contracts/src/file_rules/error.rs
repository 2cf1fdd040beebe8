//! Why a file is refused, as a text that says what can be done.

use super::file_type::FileType;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRefusedError {
    /// Neither the path nor the query names a file.
    #[error(
        "the URL names no file, neither in its path nor in filename, file, name or response-content-disposition of its query; accepted are {}",
        accepted_extensions()
    )]
    NoFile,
    /// An extension that is not accepted, in lower case.
    #[error("files of type `{0}` are not accepted; accepted are {accepted}", accepted = accepted_extensions())]
    UnknownExtension(String),
    /// A text that the server declares as an active type, which browsers or systems run.
    #[error(
        "the server declares the file as `{declared}`, and nothing in it shows that it is a {expected} file; the attachment source must send one that fits, or application/octet-stream"
    )]
    DeclaredType {
        /// The declared type, truncated to 100 characters.
        declared: String,
        /// The kind of the file's name.
        expected: FileType,
    },
    /// A file without content.
    #[error("the file is empty")]
    Empty,
    /// An executable of this kind.
    #[error("the file is {0}; executables are never accepted")]
    Executable(&'static str),
    /// A web page instead of another file, usually an error page. The kind is that of the file's name; `None` without one.
    #[error(
        "the file is an HTML page instead of a {} file: the attachment source probably answered with an error page",
        .0.map_or_else(|| "picture, film or document".to_owned(), |kind| kind.to_string())
    )]
    HtmlPage(Option<FileType>),
    /// Content that proves no accepted kind and does not fit the name.
    #[error("the file's first bytes are {found}, not those of a {expected} file or of another accepted kind")]
    Content {
        /// Their format.
        found: &'static str,
        /// The kind of the file's name.
        expected: FileType,
    },
    /// Content of this format, which proves no accepted kind, of a file without a name.
    #[error(
        "neither the URL nor the server's Content-Disposition names the file's type, and its first bytes ({0}) are those of no accepted kind; accepted are {accepted}",
        accepted = accepted_extensions()
    )]
    Unnamed(&'static str),
}

impl FileRefusedError {
    /// Returns the error for content that is neither of the named kind nor of another accepted one.
    pub(super) fn content(named: Option<FileType>, found: &'static str) -> Self {
        match named {
            Some(expected) => Self::Content { found, expected },
            None => Self::Unnamed(found),
        }
    }
}

fn accepted_extensions() -> String {
    FileType::extensions().collect::<Vec<_>>().join(", ")
}
