//! ZIP files, classified by the names of their members: Office documents, estimates, programs, and plain archives.
//!
//! The names are those of the local headers in the head, in any order. Content behind the head is not read.

use super::file_type::FileType;
use super::proof::Proof;

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// The first member of an OpenDocument file, which is stored uncompressed, and the start of its content.
const OPEN_DOCUMENT: &[u8] = b"mimetypeapplication/vnd.oasis.opendocument.";

/// The kind of a ZIP file, by its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archive {
    /// A program for Java or Android.
    Program,
    /// An accepted kind.
    Kind(Proof),
    /// An Office or OpenDocument package whose kind is not in the head or not accepted by itself.
    Office,
    /// Anything else.
    Other,
}

/// Classifies a ZIP file; `None` if the file is not a ZIP file.
pub(super) fn read(head: &[u8]) -> Option<Archive> {
    if !head.starts_with(LOCAL_HEADER) {
        return None;
    }
    let mut members = Members {
        is_office: head.get(30..).is_some_and(|first| first.starts_with(OPEN_DOCUMENT)),
        ..Members::default()
    };
    for (at, name) in names(head) {
        members.add(at, &name);
    }
    Some(members.verdict())
}

/// Findings about the members so far.
#[derive(Default)]
struct Members {
    has_code: bool,
    has_java_folder: bool,
    is_office: bool,
    /// By the first member that shows it. A workbook inside a document comes later.
    kind: Option<FileType>,
}

impl Members {
    fn add(&mut self, at: usize, name: &str) {
        let has = |extension: &str| name.ends_with(extension);
        self.has_code |= has(".class") || has(".dex") || name == "androidmanifest.xml";
        // OpenDocument has a folder of that name as well, but not at the front.
        self.has_java_folder |= name == "meta-inf/manifest.mf" || at == 0 && name.starts_with("meta-inf/");
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        self.is_office |= name == "[content_types].xml"
            || matches!(
                folder,
                "_rels" | "docprops" | "customxml" | "word" | "xl" | "ppt" | "visio" | "docmetadata"
            );
        let kind = match folder {
            "word" => Some(FileType::Docx),
            "xl" => Some(FileType::Xlsx),
            "" if name.starts_with("xactdoc.") => Some(FileType::Esx),
            _ => None,
        };
        self.kind = self.kind.or(kind);
    }

    fn verdict(&self) -> Archive {
        match self.kind {
            _ if self.has_code => Archive::Program,
            // Some programs sign Office packages as if they were Java archives.
            _ if self.has_java_folder && !self.is_office => Archive::Program,
            Some(FileType::Esx) => Archive::Kind(Proof::without_media_type(FileType::Esx)),
            Some(kind) if self.is_office => Archive::Kind(Proof::of(kind)),
            _ if self.is_office => Archive::Office,
            _ => Archive::Other,
        }
    }
}

/// Returns position and name of each local header in the head. Names are in lower case, with `/` between folders: some
/// programs write `\`.
fn names(head: &[u8]) -> impl Iterator<Item = (usize, String)> + '_ {
    let headers = head
        .windows(LOCAL_HEADER.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == LOCAL_HEADER);
    headers.filter_map(|(at, _)| {
        let header = &head[at..];
        let length = u16::from_le_bytes(*header.get(26..28)?.first_chunk()?);
        let name = header.get(30..)?;
        let name = &name[..name.len().min(length.into())];
        let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace('\\', "/");
        Some((at, name.trim_start_matches('/').to_owned()))
    })
}
