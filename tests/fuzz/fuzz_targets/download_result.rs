//! Any bytes as a `DownloadResult`.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::messages::DownloadResult;

fuzz_target!(|bytes: &[u8]| xact_fuzz::decoder::<DownloadResult>(bytes));
