//! Any bytes as a `DownloadTask`.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::messages::DownloadTask;

fuzz_target!(|bytes: &[u8]| xact_fuzz::decoder::<DownloadTask>(bytes));
