//! Any bytes as a `DownloadTask`.
#![no_main]

use contracts::messages::DownloadTask;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| xact_fuzz::decoder::<DownloadTask>(bytes));
