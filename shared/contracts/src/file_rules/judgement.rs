//! What becomes of a file: stored as what it is, or refused.
//!
//! What is dangerous is refused first, whatever else the file is. What the content proves comes next: the name and the
//! declared type cannot change it. A web page is refused as anything but a page. Last come the kinds of text, which prove
//! nothing: there the name counts, as far as the content allows it.

use super::archive::{self, Archive};
use super::declared::{self, Declared};
use super::file_type::FileType;
use super::old_office::{self, Compound};
use super::proof::Proof;
use super::refusal::FileRefusal;
use super::unproven::{binary_format, describe};
use super::{delimited, executable, html, iso_media, office_text, pdf, picture, text};
use crate::redaction::redact_text;

/// As many bytes as the rules look at.
pub const CONTENT_HEAD_BYTES: usize = 64 * 1024;

/// The longest declared type that is kept, in characters.
const MAX_DECLARED: usize = 100;

/// A file that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What it is.
    pub file_type: FileType,
    /// What its name says; `None` if nothing names it.
    pub named: Option<FileType>,
    /// Its media type: the registered one where the content proves the kind, else as declared if that fits.
    pub content_type: Option<String>,
    /// What the server's declared type says of it.
    pub declared: Declared,
    /// The declared type, if it is that of something else.
    pub declared_content_type: Option<String>,
}

impl Judged {
    /// Whether the name or the declared type says something else than the content.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.declared_content_type.is_some() || self.named.is_some_and(|named| named != self.file_type)
    }
}

/// What becomes of a file that is `named` so and `declared` so by its server, and begins with `head`: the whole file or
/// at least its first [`CONTENT_HEAD_BYTES`].
///
/// # Errors
/// Any [`FileRefusal`] but those of names.
pub fn judge(named: Option<FileType>, declared: Option<&str>, head: &[u8]) -> Result<Judged, FileRefusal> {
    let head = &head[..head.len().min(CONTENT_HEAD_BYTES)];
    if head.is_empty() {
        return Err(FileRefusal::Empty);
    }
    if let Some(found) = executable::find(head) {
        return Err(FileRefusal::Executable { found });
    }
    if let Some(proof) = proof(named, head)? {
        // A picture or document that a PDF reader opens as well, as another one, is neither.
        if named == Some(FileType::Pdf) && proof.file_type != FileType::Pdf && pdf::has_header(head) {
            return Err(FileRefusal::content(named, describe(head)));
        }
        // Pages are the one accepted kind that runs in whatever opens it by its name: nothing else is stored under that
        // name, so that no picture can be a page as well.
        if named == Some(FileType::Html) {
            return Err(FileRefusal::content(named, describe(head)));
        }
        return Ok(judged(proof, named, declared));
    }
    if named != Some(FileType::Html) && html::is_page(named, head) {
        return Err(FileRefusal::HtmlPage { expected: named });
    }
    let proof = as_text(named, head)?;
    if declared::compare(proof.file_type, declared) == Declared::Active {
        return Err(FileRefusal::DeclaredType {
            declared: shortened(declared),
            expected: named.unwrap_or(proof.file_type),
        });
    }
    Ok(judged(proof, named, declared))
}

/// The kind that the content proves; `None` if it proves none.
///
/// # Errors
/// [`FileRefusal::Content`] for what proves to be something that cannot come in under this name.
fn proof(named: Option<FileType>, head: &[u8]) -> Result<Option<Proof>, FileRefusal> {
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

/// The picture or film that the file begins with. A text may begin with a signature's letters: it is one only by its name.
fn signature(named: Option<FileType>, head: &[u8]) -> Option<Proof> {
    let found = picture::find(head).or_else(|| iso_media::find(head))?;
    (named == Some(found.file_type) || !text::is_plain(head)).then_some(found)
}

/// An estimate and what Office writes are archives; any other archive is not a document.
fn of_archive(archive: Archive, named: Option<FileType>, head: &[u8]) -> Result<Proof, FileRefusal> {
    match (archive, named) {
        (Archive::Kind(proof), _) => Ok(proof),
        (Archive::Office, Some(kind)) if kind.is_office() => Ok(Proof::without_media_type(kind)),
        (_, Some(FileType::Esx)) => Ok(Proof::without_media_type(FileType::Esx)),
        _ => Err(FileRefusal::content(named, describe(head))),
    }
}

/// A compound file whose directory does not show what it is may still be what its name says.
fn of_compound(compound: Compound, named: Option<FileType>, head: &[u8]) -> Result<Proof, FileRefusal> {
    match (compound, named) {
        (Compound::Kind(proof), _) => Ok(proof),
        (_, Some(kind)) if kind.is_office() => Ok(Proof::without_media_type(kind)),
        _ => Err(FileRefusal::content(named, describe(head))),
    }
}

/// The kind that a text has by its name.
fn as_text(named: Option<FileType>, head: &[u8]) -> Result<Proof, FileRefusal> {
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
            .ok_or_else(|| FileRefusal::content(named, describe(head))),
        _ => Err(FileRefusal::content(named, describe(head))),
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

/// A header may hold anything, and this goes into logs and tables.
fn shortened(declared: Option<&str>) -> String {
    let declared = redact_text(declared.unwrap_or_default());
    declared.chars().take(MAX_DECLARED).collect()
}
