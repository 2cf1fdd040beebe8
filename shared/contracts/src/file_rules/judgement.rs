//! The decision about a file: stored as what it is, or refused.
//!
//! The steps are in this order: dangerous content is refused in every file. A kind that the content proves is
//! final; name and declared type cannot change it. A web page is refused under any other name. For text, which proves no kind,
//! the name counts as far as the content allows.

use super::archive::{self, Archive};
use super::declared::{self, Declared};
use super::error::FileRefusedError;
use super::file_type::FileType;
use super::old_office::{self, Compound};
use super::proof::Proof;
use super::unproven::{binary_format, describe};
use super::{delimited, executable, html, iso_media, office_text, pdf, picture, text};
use crate::redaction::redact_text;

/// The number of bytes that the rules read.
pub const CONTENT_HEAD_BYTES: usize = 64 * 1024;

/// Limits the length of a declared type that is kept, in characters.
const MAX_DECLARED: usize = 100;

/// An accepted file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its kind.
    pub file_type: FileType,
    /// The kind of its name; `None` without one.
    pub named: Option<FileType>,
    /// Its media type: the registered one if the content proves the kind, else the declared one if that fits.
    pub content_type: Option<String>,
    /// How the declared type compares to it.
    pub declared: Declared,
    /// The declared type, if it is that of another kind.
    pub declared_content_type: Option<String>,
}

impl Judged {
    /// Whether the name or the declared type differs from the content.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.declared_content_type.is_some() || self.named.is_some_and(|named| named != self.file_type)
    }
}

/// Decides about a file by the kind of its name, the type that its server declared, and its content: the whole file or at
/// least its first [`CONTENT_HEAD_BYTES`].
///
/// # Errors
/// Any [`FileRefusedError`] except those of names.
pub fn judge(named: Option<FileType>, declared: Option<&str>, head: &[u8]) -> Result<Judged, FileRefusedError> {
    let head = &head[..head.len().min(CONTENT_HEAD_BYTES)];
    if head.is_empty() {
        return Err(FileRefusedError::Empty);
    }
    if let Some(found) = executable::find(head) {
        return Err(FileRefusedError::Executable(found));
    }
    if let Some(proof) = proof(named, head)? {
        // A picture or document that a PDF reader would open as another document.
        let is_other_pdf = named == Some(FileType::Pdf) && proof.file_type != FileType::Pdf && pdf::has_header(head);
        // A page is the only accepted kind whose name makes programs run its content. Nothing else is stored under that
        // name, so that no picture can be a page as well.
        if is_other_pdf || named == Some(FileType::Html) {
            return Err(FileRefusedError::content(named, describe(head)));
        }
        return Ok(judged(proof, named, declared));
    }
    if named != Some(FileType::Html) && html::is_page(named, head) {
        return Err(FileRefusedError::HtmlPage(named));
    }
    let proof = as_text(named, head)?;
    if declared::compare(proof.file_type, declared) == Declared::Active {
        return Err(FileRefusedError::DeclaredType {
            declared: shortened(declared),
            expected: named.unwrap_or(proof.file_type),
        });
    }
    Ok(judged(proof, named, declared))
}

/// Returns the kind that the content proves; `None` if it proves none.
///
/// # Errors
/// [`FileRefusedError::Content`] for content that proves a kind which is not accepted under this name.
fn proof(named: Option<FileType>, head: &[u8]) -> Result<Option<Proof>, FileRefusedError> {
    if let Some(found) = signature(named, head) {
        return Ok(Some(found));
    }
    if pdf::is_at_front(head) {
        return Ok(Some(Proof::of(FileType::Pdf)));
    }
    if let Some(archive) = archive::read(head) {
        return of_archive(archive, named, head).map(Some);
    }
    if let Some(compound) = old_office::compound(head) {
        return of_compound(compound, named, head).map(Some);
    }
    let of_text = || {
        let xml = office_text::xml(head).filter(|_| !named.is_some_and(FileType::is_text));
        xml.or_else(|| named.and_then(|named| office_text::page(named, head)))
    };
    if let Some(found) = old_office::bare(head).or_else(of_text) {
        return Ok(Some(found));
    }
    let is_pdf = binary_format(head).is_none_or(|format| format == "application/pdf") && pdf::is_behind(named, head);
    Ok(is_pdf.then_some(Proof::of(FileType::Pdf)))
}

/// Returns the picture or film of the file's signature. A text may start with the letters of a signature: it counts only if
/// the name agrees.
fn signature(named: Option<FileType>, head: &[u8]) -> Option<Proof> {
    let found = picture::find(head).or_else(|| iso_media::find(head))?;
    (named == Some(found.file_type) || !text::is_plain(head)).then_some(found)
}

/// Returns the kind of an archive: Office documents and estimates are archives; any other archive is refused.
fn of_archive(archive: Archive, named: Option<FileType>, head: &[u8]) -> Result<Proof, FileRefusedError> {
    match (archive, named) {
        (Archive::Kind(proof), _) => Ok(proof),
        (Archive::Office, Some(kind)) if kind.is_office() => Ok(Proof::without_media_type(kind)),
        (_, Some(FileType::Esx)) => Ok(Proof::without_media_type(FileType::Esx)),
        _ => Err(FileRefusedError::content(named, describe(head))),
    }
}

/// Returns the kind of a compound file. If its directory does not show the kind, that of its name counts.
fn of_compound(compound: Compound, named: Option<FileType>, head: &[u8]) -> Result<Proof, FileRefusedError> {
    match (compound, named) {
        (Compound::Kind(proof), _) => Ok(proof),
        (_, Some(kind)) if kind.is_office() => Ok(Proof::without_media_type(kind)),
        _ => Err(FileRefusedError::content(named, describe(head))),
    }
}

/// Returns the kind of a text, by its name.
fn as_text(named: Option<FileType>, head: &[u8]) -> Result<Proof, FileRefusedError> {
    let is_text = binary_format(head).is_none() && !text::is_full_of_binary(head);
    let fits = match named {
        Some(FileType::Txt | FileType::Csv | FileType::Html | FileType::Esx) => is_text,
        Some(FileType::Xml) => is_text && text::begins_as_xml(head),
        Some(FileType::Json) => is_text && text::begins_as_json(head),
        _ => false,
    };
    match named {
        Some(kind) if fits => Ok(Proof::without_media_type(kind)),
        Some(kind) if kind.is_excel() && is_text => delimited::media_type(head)
            .map(|media_type| Proof::with_media_type(FileType::Csv, media_type))
            .ok_or_else(|| FileRefusedError::content(named, describe(head))),
        _ => Err(FileRefusedError::content(named, describe(head))),
    }
}

fn judged(proof: Proof, named: Option<FileType>, content_type: Option<&str>) -> Judged {
    let declared = declared::compare(proof.file_type, content_type);
    let as_declared = content_type.map(str::trim).filter(|declared| !declared.is_empty());
    let registered = proof.media_type.or(proof.file_type.media_type());
    let content_type = match (proof.media_type, declared) {
        (Some(media_type), _) => Some(media_type),
        (None, Declared::Fits) => as_declared,
        (None, Declared::Nothing) => registered.or(as_declared),
        (None, Declared::Differs(_) | Declared::Active) => registered,
    };
    Judged {
        file_type: proof.file_type,
        named,
        content_type: content_type.map(str::to_owned),
        declared,
        declared_content_type: match declared {
            Declared::Nothing | Declared::Fits => None,
            Declared::Differs(_) | Declared::Active => Some(shortened(as_declared)),
        },
    }
}

/// Redacts and truncates a declared type for logs and tables, since a header may hold anything.
fn shortened(declared: Option<&str>) -> String {
    let declared = redact_text(declared.unwrap_or_default());
    declared.chars().take(MAX_DECLARED).collect()
}
