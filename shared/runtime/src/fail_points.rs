//! Fail points: places between two steps where a test aborts or breaks a process.
//!
//! They stand behind `if cfg!(debug_assertions)`: the dev profile, which the tests use, has them; the release profile and
//! the images do not. The variable `FAILPOINTS` configures them: `delivered::download=2*off->1*return` lets two messages
//! pass and aborts the process at the third.
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
//! An abort is equivalent to SIGKILL: no destructors, no flush, no LeaveGroup request.

/// Activates the fail points that `FAILPOINTS` configures. Does nothing in a build without debug assertions.
///
/// # Panics
/// When `FAILPOINTS` cannot be read, which only tests set.
pub fn arm() {
    if cfg!(debug_assertions) {
        // Dropping the scenario would deactivate them.
        std::mem::forget(fail::FailScenario::setup());
    }
}
