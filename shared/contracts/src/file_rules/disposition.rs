//! The file name in a `Content-Disposition` (RFC 6266), of a response or in the query of a presigned URL.

use percent_encoding::percent_decode_str;

/// Returns the file name without folders, preferring the extended form; `None` without one.
pub(super) fn file_name(header: &str) -> Option<String> {
    let parameters = split_outside_quotes(header, ';');
    let value = |wanted: &str| {
        let mut pairs = parameters.iter().filter_map(|parameter| parameter.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
        Some(value.trim())
    };
    let extended = value("filename*").and_then(decode_extended);
    let name = extended.or_else(|| value("filename").map(unquoted))?;
    Some(base_name(&name).to_owned()).filter(|name| !name.is_empty())
}

/// Returns the part after the last `/` or `\`.
pub(super) fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default().trim()
}

/// Splits at separators outside of quotes.
pub(super) fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut pieces, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => {
                pieces.push(&text[begin..at]);
                begin = at + separator.len_utf8();
            }
            _ => {}
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

/// Returns the content of a quoted string. Only quotes and backslashes are unescaped, so `C:\photos\roof.jpg` stays.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    inner.replace("\\\"", "\"").replace("\\\\", "\\")
}

/// Decodes `charset'language'percent-encoded` (RFC 8187).
fn decode_extended(value: &str) -> Option<String> {
    let value = unquoted(value);
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    let decoded = match charset.to_ascii_lowercase().as_str() {
        "iso-8859-1" | "latin1" | "windows-1252" => bytes.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    };
    Some(decoded).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_servers_write_them() {
        for (header, expected) in [
            ("attachment; filename=\"roof.pdf\"", Some("roof.pdf")),
            ("attachment;filename=roof.pdf", Some("roof.pdf")),
            ("ATTACHMENT; FileName = roof.pdf ", Some("roof.pdf")),
            ("inline; filename=\"a;b \\\"c\\\".pdf\"; size=3", Some("a;b \"c\".pdf")),
            (
                "attachment; filename=\"x.bin\"; filename*=UTF-8''roof%20%C3%BC.pdf",
                Some("roof ü.pdf"),
            ),
            (
                "attachment; filename*=utf-8'en'roof.pdf; filename=x.bin",
                Some("roof.pdf"),
            ),
            ("attachment; filename*=ISO-8859-1''roof%FC.pdf", Some("roofü.pdf")),
            ("attachment; filename*=\"UTF-8''roof.pdf\"", Some("roof.pdf")),
            ("attachment; filename*=broken; filename=roof.pdf", Some("roof.pdf")),
            ("attachment; filename=\"C:\\photos\\roof.jpg\"", Some("roof.jpg")),
            ("attachment; filename=../../etc/roof.pdf", Some("roof.pdf")),
            ("filename=roof.pdf", Some("roof.pdf")),
            ("attachment; filename=\"never closed.pdf", Some("never closed.pdf")),
            ("attachment; filename=\"\"", None),
            ("attachment; name=roof.pdf", None),
            ("attachment", None),
            ("", None),
            (";;=;\"", None),
        ] {
            assert_eq!(file_name(header).as_deref(), expected, "{header}");
        }
    }
}
