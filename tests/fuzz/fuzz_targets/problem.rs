//! Any text as the reason of a failure: it is stored, so it must be short, free of secrets, and decodable.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, Problem};
use xact_contracts::redaction::MAX_ERROR_CHARS;
use xact_fuzz::{SECRET, halves, round_trip, source};

fuzz_target!(|text: &str| {
    let (before, after) = halves(text);
    let problem = Problem::new(
        Category::Transient,
        format!("{before} https://h.example/a?sig={SECRET}{after}"),
    );
    assert!(!problem.message().contains(SECRET), "{}", problem.message());
    for problem in [problem, Problem::new(Category::Transient, text)] {
        assert!(problem.message().chars().count() <= MAX_ERROR_CHARS);
        let letter = DeadLetter::of_payload(b"x", None, &problem, "download", source(), Timestamp::UNIX_EPOCH);
        round_trip(&letter);
    }
});
