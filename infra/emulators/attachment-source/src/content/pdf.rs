//! PDF (ISO 32000-1): one page that shows the path, and a stream object that nothing refers to for the size.

use super::fill::{Fill, Style};
use super::identity::Identity;
use super::{Piece, lacking};

/// The bytes after the version mark the file as binary (section 7.5.2).
const HEADER: &[u8] = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";

/// Objects 1 to 3 and 5: catalogue, page tree, page, font. Object 4 is the page's text, object 6 the filler.
const FIXED: [&str; 4] = [
    "1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n",
    "2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n",
    "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>\nendobj\n",
    "5 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\n",
];

const END_OF_FILLER: &str = "\nendstream\nendobj\n";

/// A PDF of exactly `bytes`, or of its least size. All numbers that depend on the size have a fixed width.
pub(super) fn pieces(identity: &Identity, bytes: u64) -> Vec<Piece> {
    let shown = format!(
        "BT /F1 16 Tf 36 740 Td (Sample attachment) Tj /F1 7 Tf 0 -24 Td ({}) Tj ET",
        identity.text
    );
    let text = format!(
        "4 0 obj\n<</Length {}>>\nstream\n{shown}\nendstream\nendobj\n",
        shown.len()
    );

    let [catalogue, tree, page, font] = FIXED;
    let mut head = HEADER.to_vec();
    let mut offsets = [0; 6];
    for (offset, object) in offsets.iter_mut().zip([catalogue, tree, page, &text, font]) {
        *offset = head.len() as u64;
        head.extend_from_slice(object.as_bytes());
    }
    offsets[5] = head.len() as u64;
    let filler_head = |length: u64| format!("6 0 obj\n<</Length {length:010}>>\nstream\n");

    let least = head.len() + filler_head(0).len() + END_OF_FILLER.len() + end(&offsets, 0).len();
    let filler = lacking(bytes, least);
    head.extend_from_slice(filler_head(filler).as_bytes());
    let table = head.len() as u64 + filler + END_OF_FILLER.len() as u64;
    vec![
        head.into(),
        Piece::Fill(Fill::new(Style::Lines, identity.hash, filler)),
        format!("{END_OF_FILLER}{}", end(&offsets, table)).into_bytes().into(),
    ]
}

/// The cross-reference table (20 bytes an entry) and the trailer.
fn end(offsets: &[u64; 6], table: u64) -> String {
    let mut end = String::from("xref\n0 7\n0000000000 65535 f \n");
    for offset in offsets {
        end.push_str(&format!("{offset:010} 00000 n \n"));
    }
    end.push_str(&format!(
        "trailer\n<</Size 7/Root 1 0 R>>\nstartxref\n{table:010}\n%%EOF\n"
    ));
    end
}
