//! What may be shown to an operator: text that came from outside, without secrets and without a hold on the terminal.

use serde_json::Value;

use xact_contracts::redaction::{redact_json, redact_text};

/// Bytes as somebody can read them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readable {
    /// They are text; redacted unless secrets were asked for.
    Text(String),
    /// They are no text, and hold no secret that would show in a dump, or secrets were asked for.
    Binary(Vec<u8>),
    /// They are no text and hold secrets: what of them reads as text, redacted.
    Redacted(String),
}

impl Readable {
    pub(crate) fn of(bytes: Vec<u8>, show_secrets: bool) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if show_secrets => Self::Text(text),
            Ok(text) => Self::Text(redact_payload(&text)),
            Err(error) if show_secrets => Self::Binary(error.into_bytes()),
            Err(error) => {
                // A dump or base64 would show a signature as well as text does.
                let lossy = String::from_utf8_lossy(error.as_bytes());
                let redacted = redact_text(&lossy);
                if redacted == lossy {
                    Self::Binary(error.into_bytes())
                } else {
                    Self::Redacted(redacted)
                }
            }
        }
    }
}

/// A message's text: string by string where it is JSON, as JSON text may hide a URL behind escapes.
fn redact_payload(text: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(text) {
        let before = value.clone();
        redact_json(&mut value);
        if value != before {
            return redact_text(&value.to_string());
        }
    }
    redact_text(text)
}

/// A dump as `hexdump -C` prints it.
pub(crate) fn hex_dump(bytes: &[u8]) -> String {
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
        dump.push_str(&format!("{:08x}  {:<47}  |{ascii}|\n", index * 16, hex.join(" ")));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = "https://a.example/b.pdf?X-Amz-Signature=SECRET";

    #[test]
    fn no_form_of_bytes_shows_a_signature_unasked() {
        let escaped = serde_json::to_string(SIGNED).unwrap().replace('/', "\\/");
        let mut binary = format!("{SIGNED} ").into_bytes();
        binary.push(0xff);
        for bytes in [
            SIGNED.as_bytes().to_vec(),
            format!("{{\"url\":{escaped}}}").into_bytes(),
            escaped.into_bytes(),
            binary,
        ] {
            let shown = Readable::of(bytes.clone(), false);
            assert!(!format!("{shown:?}").contains("SECRET"), "{shown:?}");
            assert!(!matches!(shown, Readable::Binary(_)));
            match Readable::of(bytes.clone(), true) {
                Readable::Text(text) => assert_eq!(text.into_bytes(), bytes),
                Readable::Binary(shown) => assert_eq!(shown, bytes),
                Readable::Redacted(text) => panic!("{text}"),
            }
        }
    }

    #[test]
    fn text_without_secrets_stays_byte_for_byte() {
        let text = "{\"b\": 1.50,\n \"a\" : \"x\"}";
        assert_eq!(
            Readable::of(text.as_bytes().to_vec(), false),
            Readable::Text(text.to_owned())
        );
    }

    #[test]
    fn a_dump_shows_offset_bytes_and_letters() {
        assert_eq!(
            hex_dump(b"\xff\xfe no text 12345"),
            "00000000  ff fe 20 6e 6f 20 74 65 78 74 20 31 32 33 34 35  |.. no text 12345|\n"
        );
        assert!(hex_dump(&[0; 17]).ends_with("00000010  00                                               |.|\n"));
    }
}
