//! Bytes in the format of `hexdump -C`.

use std::fmt::Write;

/// Returns 16 bytes per line: offset, hex, ASCII.
pub(super) fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::with_capacity(bytes.len() * 5);
    for (index, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii: String = line
            .iter()
            .map(|&byte| match byte {
                0x20..=0x7e => char::from(byte),
                _ => '.',
            })
            .collect();
        let _ = writeln!(dump, "{:08x}  {:<47}  |{ascii}|", index * 16, hex.join(" "));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_offset_bytes_and_characters() {
        assert_eq!(
            hex_dump(b"\xff\xfe no text 12345"),
            "00000000  ff fe 20 6e 6f 20 74 65 78 74 20 31 32 33 34 35  |.. no text 12345|\n"
        );
        assert!(hex_dump(&[0; 17]).ends_with("00000010  00                                               |.|\n"));
    }
}
