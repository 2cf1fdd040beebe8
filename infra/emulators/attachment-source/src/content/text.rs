//! The text formats. Filler is letters and spaces, so that it is valid in each of them.

/// Also the format of unknown extensions.
pub(super) fn plain(text: &str, _: u64) -> [Vec<u8>; 2] {
    around(&format!("Sample attachment\n{text}\n"), "")
}

/// Two columns, `kind` and `text`.
pub(super) fn csv(text: &str, _: u64) -> [Vec<u8>; 2] {
    around(&format!("kind,text\npath,{text}\nfiller,"), "\n")
}

pub(super) fn json(text: &str, _: u64) -> [Vec<u8>; 2] {
    around(&format!("{{\"path\":\"{text}\",\"filler\":\""), "\"}\n")
}

pub(super) fn xml(text: &str, _: u64) -> [Vec<u8>; 2] {
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    around(
        &format!("{declaration}\n<attachment path=\"{text}\">"),
        "</attachment>\n",
    )
}

pub(super) fn html(text: &str, _: u64) -> [Vec<u8>; 2] {
    around(
        &format!("<!DOCTYPE html>\n<html><head><title>{text}</title></head>\n<body><p>"),
        "</p></body></html>\n",
    )
}

fn around(head: &str, tail: &str) -> [Vec<u8>; 2] {
    [head, tail].map(|text| text.as_bytes().to_vec())
}
