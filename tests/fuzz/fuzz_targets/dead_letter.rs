//! Any bytes as a `DeadLetter`, and as the payload of one.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, Problem, encode};
use xact_fuzz::{decoder, round_trip, source};

fuzz_target!(|bytes: &[u8]| {
    decoder::<DeadLetter>(bytes);
    let problem = Problem::new(Category::Permanent, "unreadable");
    let letter = DeadLetter::of_payload(bytes, None, &problem, "download", source(), Timestamp::UNIX_EPOCH);
    round_trip(&letter);
    assert_eq!(letter.original_bytes().unwrap().unwrap(), bytes);
    // Base64 is a third longer; a short text may be kept readable instead.
    assert!(encode(&letter).len() <= bytes.len().max(6000) * 4 / 3 + 1000);
});
