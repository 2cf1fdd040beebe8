//! Any URL, `Content-Type` and `Content-Disposition`: which kind of file they name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;

use xact_contracts::file_rules::{
    FileRefusedError, FileType, compare, extension_of, file_type_label, named_type, type_in_disposition,
};
use xact_fuzz::halves;

fuzz_target!(|text: &str| {
    let (rest, declared) = halves(text);
    for extension in FileType::extensions() {
        let kind = FileType::from_extension(extension).unwrap();
        let _ = compare(kind, Some(declared));
    }
    let _ = type_in_disposition(declared);
    let Ok(url) = Url::parse(&format!("https://h.example/{rest}")) else {
        return;
    };
    let label = file_type_label(&url);
    assert!((1..=16).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(label, label.to_ascii_uppercase());
    match named_type(&url) {
        Ok(Some(kind)) => assert_eq!(FileType::from_extension(&label), Some(kind)),
        Ok(None) | Err(FileRefusedError::NoFile) => assert_eq!((label.as_str(), extension_of(&url)), ("UNKNOWN", None)),
        Err(FileRefusedError::UnknownExtension(extension)) => {
            assert_eq!(extension.to_ascii_uppercase(), label);
            assert_eq!(FileType::from_extension(&extension), None);
        }
        Err(other) => panic!("{other}"),
    }
});
