//! Any bytes as a `CachedDownload`.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::messages::CachedDownload;

fuzz_target!(|bytes: &[u8]| xact_fuzz::decoder::<CachedDownload>(bytes));
