//! Any text as the reason of a failure: it is stored, so it must be short, free of secrets, and decodable.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::category::Category;
use xact_contracts::messages::Problem;
use xact_contracts::redaction::MAX_ERROR_CHARS;
use xact_fuzz::{SECRET, halves, of_unreadable};

fuzz_target!(|text: &str| {
    let (before, after) = halves(text);
    let planted = format!("{before} https://h.example/a?sig={SECRET}{after}");
    let problem = Problem::new(Category::Transient, planted);
    assert!(!problem.message().contains(SECRET), "{}", problem.message());
    for problem in [problem, Problem::new(Category::Transient, text)] {
        assert!(problem.message().chars().count() <= MAX_ERROR_CHARS);
        of_unreadable(b"x", &problem);
    }
});
