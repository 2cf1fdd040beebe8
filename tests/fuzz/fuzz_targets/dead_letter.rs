//! Any bytes as a `DeadLetter`, and as the payload of one.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, Problem};
use xact_fuzz::{decoder, of_unreadable};

fuzz_target!(|bytes: &[u8]| {
    decoder::<DeadLetter>(bytes);
    let written = of_unreadable(bytes, &Problem::new(Category::Permanent, "unreadable"));
    // Base64 is a third longer; a short text may be kept readable instead.
    assert!(written.len() <= bytes.len().max(6000) * 4 / 3 + 1000);
});
