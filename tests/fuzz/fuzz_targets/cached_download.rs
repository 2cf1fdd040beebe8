//! Any bytes as a `CachedDownload`.
#![no_main]

use contracts::messages::CachedDownload;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| xact_fuzz::decoder::<CachedDownload>(bytes));
