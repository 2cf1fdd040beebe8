//! Executables, by their first bytes: refused under every name.

use super::archive::{self, Archive};
use super::old_office::{self, Compound};
use super::text::is_binary;

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// Returns the kind of executable; `None` for other files.
pub(super) fn find(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(UTF8_BOM).unwrap_or(head);
    match head {
        // Every DOS header has zeros; a text that starts with these letters does not.
        [b'M', b'Z', ..] if head.iter().take(64).any(|byte| is_binary(*byte)) => Some("a Windows program (PE)"),
        [0x7F, b'E', b'L', b'F', ..] => Some("a Linux program (ELF)"),
        // <mach-o/loader.h>, either byte order, 32 and 64 bits.
        [0xFE, 0xED, 0xFA, 0xCE | 0xCF, ..] | [0xCE | 0xCF, 0xFA, 0xED, 0xFE, ..] => Some("a macOS program (Mach-O)"),
        // Shared by Java classes and Mach-O universal binaries (<mach-o/fat.h>).
        [0xCA, 0xFE, 0xBA, 0xBE | 0xBF, ..] | [0xBE | 0xBF, 0xBA, 0xFE, 0xCA, ..] => {
            Some("a Java class or macOS program")
        }
        [0x00, b'a', b's', b'm', ..] => Some("a WebAssembly module"),
        [b'd', b'e', b'x', b'\n', ..] => Some("an Android program (dex)"),
        // [MS-SHLLINK], section 2.1
        [0x4C, 0x00, 0x00, 0x00, 0x01, 0x14, 0x02, 0x00, ..] => Some("a Windows shortcut"),
        _ if text.starts_with(b"#!") => Some("a script (`#!`)"),
        _ if archive::read(head) == Some(Archive::Program) => Some("a Java or Android archive"),
        _ if old_office::compound(head) == Some(Compound::Installer) => Some("a Windows installer (MSI)"),
        _ => None,
    }
}
