//! Any bytes as a `DownloadResult`.
#![no_main]

use contracts::messages::DownloadResult;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| xact_fuzz::decoder::<DownloadResult>(bytes));
