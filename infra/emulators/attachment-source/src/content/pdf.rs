//! PDF (ISO 32000-1): one page that shows the path, and a stream object without a reference, which holds the filler.

/// The bytes after the version mark the file as binary (section 7.5.2).
const HEADER: &[u8] = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";

/// Objects 1 to 4: catalogue, page tree, page, font. Object 5 is the text of the page, object 6 the filler.
const OBJECTS: [&str; 4] = [
    "1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n",
    "2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n",
    "3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>\nendobj\n",
    "4 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>\nendobj\n",
];

/// All numbers that depend on the filler have a fixed width.
pub(super) fn pdf(text: &str, filler: u64) -> [Vec<u8>; 2] {
    let page = format!("BT /F1 16 Tf 36 740 Td (Sample attachment) Tj /F1 7 Tf 0 -24 Td ({text}) Tj ET");
    let page = format!(
        "5 0 obj\n<</Length {}>>\nstream\n{page}\nendstream\nendobj\n",
        page.len()
    );
    let begin = format!("6 0 obj\n<</Length {filler:010}>>\nstream\n");
    let end = "\nendstream\nendobj\n";

    // The cross-reference table has an offset of 20 bytes for each object.
    let mut head = HEADER.to_vec();
    let mut table = String::from("xref\n0 7\n0000000000 65535 f \n");
    for object in OBJECTS.into_iter().chain([page.as_str(), &begin]) {
        table.push_str(&format!("{:010} 00000 n \n", head.len()));
        head.extend_from_slice(object.as_bytes());
    }
    let table_at = head.len() as u64 + filler + end.len() as u64;
    let tail = format!("{end}{table}trailer\n<</Size 7/Root 1 0 R>>\nstartxref\n{table_at:010}\n%%EOF\n");
    [head, tail.into_bytes()]
}
