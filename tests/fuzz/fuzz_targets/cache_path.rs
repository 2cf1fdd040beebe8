//! Any text as a message's `local_cache_path`: only the attachment's own file is accepted.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

use xact_contracts::cache_path::{Layout, check, file, previous_file};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    media_id: u128,
    before: &'a str,
    after: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let media_id = Uuid::from_u128(input.media_id);
    let (own, previous) = (file(media_id), previous_file(media_id));
    assert_eq!(check(media_id, &own), Ok(Layout::Current));
    assert_eq!(check(media_id, &previous), Ok(Layout::Previous));
    let (before, after) = (input.before, input.after);
    for path in [
        before.to_owned(),
        format!("{before}{own}{after}"),
        format!("{before}{previous}{after}"),
    ] {
        let is_own = path == own || path == previous;
        assert_eq!(check(media_id, &path).is_ok(), is_own, "{path:?}");
    }
});
