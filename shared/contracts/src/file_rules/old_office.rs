//! Office documents before ZIP packages: OLE2 compound files ([MS-CFB]), bare worksheets of every BIFF version, RTF, and
//! documents of early Word.

use super::file_type::FileType;
use super::proof::Proof;

const OLE2: &[u8] = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
/// The class id of Windows installer files.
const INSTALLER_CLASS: [u8; 16] = [0x84, 0x10, 0x0C, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46];
const ENTRY_BYTES: usize = 128;
/// Limits the directory entries that are read.
const MAX_ENTRIES: usize = 512;
/// Values from here on mark the end of a chain of sectors and absent entries.
const MAX_REGULAR: u32 = 0xFFFF_FFFA;

/// The kind of an OLE2 compound file, by its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compound {
    /// A Windows installer file.
    Installer,
    /// An accepted kind.
    Kind(Proof),
    /// Of another program, a document with a password, or one whose directory is behind the head.
    Other,
}

/// Classifies an OLE2 compound file; `None` for other files.
pub(super) fn compound(head: &[u8]) -> Option<Compound> {
    if !head.starts_with(OLE2) {
        return None;
    }
    let entries = Directory::read(head).unwrap_or_default();
    if entries.root_class() == Some(INSTALLER_CLASS) {
        return Some(Compound::Installer);
    }
    let mut found = Compound::Other;
    for name in entries.names_in_root() {
        let kind = match name.as_str() {
            "worddocument" => FileType::Doc,
            "workbook" | "book" => FileType::Xls,
            _ => continue,
        };
        found = Compound::Kind(Proof::of(kind));
    }
    Some(found)
}

/// The directory of a compound file, as far as it is in the head.
#[derive(Default)]
struct Directory<'a> {
    entries: Vec<&'a [u8]>,
}

impl<'a> Directory<'a> {
    fn read(head: &'a [u8]) -> Option<Self> {
        let shift = u16::from_le_bytes(*head.get(30..)?.first_chunk()?);
        let sector_bytes = match shift {
            9 => 512,
            12 => 4096,
            _ => return None,
        };
        let sector = |number: u32| {
            let number = usize::try_from(number).ok()?;
            head.get(number.checked_add(1)?.checked_mul(sector_bytes)?..)
        };
        // The first allocation sector suffices for what is in the head.
        let chains = number_at(head, 76).and_then(sector).unwrap_or_default();
        let mut directory = Self::default();
        let mut next = number_at(head, 48)?;
        while next < MAX_REGULAR && directory.entries.len() < MAX_ENTRIES {
            let Some(bytes) = sector(next) else { break };
            let bytes = &bytes[..bytes.len().min(sector_bytes)];
            directory.entries.extend(bytes.chunks_exact(ENTRY_BYTES));
            let index = usize::try_from(next).ok();
            let following = index.and_then(|index| number_at(chains, index.checked_mul(4)?));
            next = following.unwrap_or(MAX_REGULAR);
        }
        Some(directory)
    }

    fn root_class(&self) -> Option<[u8; 16]> {
        self.entries.first()?.get(80..)?.first_chunk().copied()
    }

    /// Returns the names in the root, in lower case, without those in the folder of an embedded document.
    fn names_in_root(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut seen = vec![false; self.entries.len()];
        let first = self.entries.first().and_then(|root| number_at(root, 76));
        let mut open: Vec<u32> = first.into_iter().collect();
        while let Some(number) = open.pop() {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let (Some(entry), Some(seen)) = (self.entries.get(index), seen.get_mut(index)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            names.push(name_of(entry));
            open.extend([68, 72].into_iter().filter_map(|sibling| number_at(entry, sibling)));
        }
        names
    }
}

fn name_of(entry: &[u8]) -> String {
    let units = entry.get(..64).unwrap_or_default().chunks_exact(2);
    let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units).to_lowercase()
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Whether the file is a worksheet or workbook without a compound file: its first record, by version, and the type of stream
/// in that record ([MS-XLS], section 2.4.21, for BIFF8; "OpenOffice.org's Documentation of the Microsoft Excel File Format",
/// section 5.8).
fn is_biff(head: &[u8]) -> bool {
    let (Some([id_low, id_high, size, 0]), Some(&[low, high])) =
        (head.first_chunk(), head.get(6..).and_then(<[u8]>::first_chunk))
    else {
        return false;
    };
    let is_version = matches!((*id_low, *id_high), (0x09, 0x00 | 0x02 | 0x04 | 0x08));
    // Workbook, module, sheet, chart, macro sheet, workspace.
    let is_stream = matches!(
        u16::from_le_bytes([low, high]),
        0x0005 | 0x0006 | 0x0010 | 0x0020 | 0x0040 | 0x0100
    );
    is_version && is_stream && matches!(size, 4..=16)
}

/// Returns the kind of a document or workbook that is not in a container.
pub(super) fn bare(head: &[u8]) -> Option<Proof> {
    if is_biff(head) {
        return Some(Proof::of(FileType::Xls));
    }
    if head.starts_with(b"{\\rtf") {
        return Some(Proof::with_media_type(FileType::Doc, "application/rtf"));
    }
    // Word for Windows 1 and 2, Word for the Macintosh 4 and 5.
    let is_early_word = matches!(
        head,
        [0x9B, 0xA5, 0x21, 0, ..] | [0xDB, 0xA5, 0x2D, 0, ..] | [0xFE, 0x37, 0, 0x1C | 0x23, ..]
    );
    is_early_word.then_some(Proof::of(FileType::Doc))
}
