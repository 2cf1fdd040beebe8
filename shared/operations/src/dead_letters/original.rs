//! The bytes of an original message as readable text, without secrets unless they are requested.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use xact_contracts::redaction::{redact_json, redact_text};

/// Whether an answer includes secrets such as signatures and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They are removed.
    Redact,
    /// They are shown.
    Show,
}

/// The original message of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Original {
    /// Its size in bytes, as far as it was kept.
    #[serde(rename = "original_bytes")]
    pub size: usize,
    /// Its content.
    #[serde(flatten)]
    pub content: OriginalContent,
}

impl Original {
    pub(super) fn new(bytes: Vec<u8>, secrets: Secrets) -> Self {
        Self {
            size: bytes.len(),
            content: OriginalContent::new(bytes, secrets),
        }
    }
}

/// Bytes in a readable form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginalContent {
    /// Text, redacted unless secrets are shown.
    Text(String),
    /// Not text. Contains no secrets, or secrets are shown.
    Binary(Vec<u8>),
    /// Not text, but contains secrets: the bytes decoded lossily, then redacted.
    Redacted(String),
}

impl OriginalContent {
    fn new(bytes: Vec<u8>, secrets: Secrets) -> Self {
        match (String::from_utf8(bytes), secrets) {
            (Ok(text), Secrets::Show) => Self::Text(text),
            (Ok(text), Secrets::Redact) => Self::Text(redact_message(&text)),
            (Err(error), Secrets::Show) => Self::Binary(error.into_bytes()),
            (Err(error), Secrets::Redact) => {
                // A hex dump or base64 would show a signature as well as text does.
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

impl Serialize for OriginalContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (payload, encoding) = match self {
            Self::Text(text) => (text.clone(), None),
            Self::Redacted(text) => (text.clone(), Some("redacted: not the original bytes, see --raw")),
            Self::Binary(bytes) => (hex(bytes), Some("hex")),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("original_payload", &payload)?;
        if let Some(encoding) = encoding {
            map.serialize_entry("original_encoding", encoding)?;
        }
        map.end()
    }
}

/// Redacts a message string by string where it is JSON, because JSON text may hide a URL behind escapes.
fn redact_message(text: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(text) {
        let before = value.clone();
        redact_json(&mut value);
        if value != before {
            return redact_text(&value.to_string());
        }
    }
    redact_text(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            let redacted = Original::new(bytes.clone(), Secrets::Redact);
            assert!(!format!("{redacted:?}").contains("SECRET"), "{redacted:?}");
            assert!(!matches!(redacted.content, OriginalContent::Binary(_)));
            match OriginalContent::new(bytes.clone(), Secrets::Show) {
                OriginalContent::Text(text) => assert_eq!(text.into_bytes(), bytes),
                OriginalContent::Binary(shown) => assert_eq!(shown, bytes),
                OriginalContent::Redacted(text) => panic!("{text}"),
            }
        }
    }

    #[test]
    fn bytes_without_secrets_stay_as_they_are_and_are_serialized_as_text_or_hex() {
        let text = "{\"b\": 1.50,\n \"a\" : \"x\"}";
        for (bytes, expected) in [
            (text.as_bytes(), json!({"original_bytes": 23, "original_payload": text})),
            (
                &[0xff, 0x0a],
                json!({"original_bytes": 2, "original_payload": "ff0a", "original_encoding": "hex"}),
            ),
        ] {
            let original = Original::new(bytes.to_vec(), Secrets::Redact);
            assert_eq!(serde_json::to_value(&original).unwrap(), expected);
        }
    }
}
