//! What the runtime promises every handler, on the embedded broker: real protocol, real groups.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

mod batches;
mod bench;
mod delivery;
