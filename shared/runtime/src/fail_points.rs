//! Fail points: where a test ends or breaks a process at one exact instant, between two steps that must not be one.
//!
//! They are compiled in only where the `fail` crate has its feature `failpoints`, which the tests of this crate turn on:
//! a workspace build of tests has them, the build of a binary for an image has none. The variable `FAILPOINTS` arms
//! them: `delivered::download=2*off->1*return` lets two messages pass and aborts the process at the third.
//!
//! | fail point | between | actions |
//! |---|---|---|
//! | `handle::{stage}` | reading a message and handling it | `panic`, `sleep(ms)` |
//! | `delivered::{stage}` | acknowledged produces and the offset that counts as done | `return`: aborts |
//! | `renamed` | the finished file in the cache and its message | `return`: aborts |
//! | `uploaded` | the file in the lake and its result | `return`: aborts |
//! | `delta::written` | parquet files in the lake and their Delta commit | `return`: aborts |
//! | `delta::committed` | the Delta commit and the offset that counts as done | `return`: aborts |
//!
//! An abort is to the rest of the world what SIGKILL is: no destructor, no flush, no farewell to the broker.

/// Arms what `FAILPOINTS` names, for the rest of the process. Does nothing where none are compiled in.
///
/// # Panics
/// When `FAILPOINTS` cannot be read, which only tests set.
pub fn arm() {
    if fail::has_failpoints() {
        // Its end would disarm them, and hold a lock until then.
        std::mem::forget(fail::FailScenario::setup());
    }
}
