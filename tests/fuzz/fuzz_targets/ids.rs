//! Any trace id and URL: the keys of the tables are stable, and differ for different names.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::ids::{event_id, media_id};
use xact_fuzz::halves;

fuzz_target!(|text: &str| {
    let (trace_id, url) = halves(text);
    let (event, media) = (event_id(trace_id), media_id(trace_id, url));
    assert_eq!((event, media), (event_id(trace_id), media_id(trace_id, url)));
    assert_eq!((event.get_version_num(), media.get_version_num()), (5, 5));
    assert_ne!(event, media);
    assert_eq!(event.to_string().parse(), Ok(event));
    assert_eq!(event_id(url) == event, url == trace_id);
    assert_ne!(media_id(trace_id, &format!("{url}?")), media);
    assert_ne!(media_id(&format!("{trace_id}?"), url), media);
});
