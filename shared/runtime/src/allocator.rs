//! The memory allocator of every program that has the runtime: the handlers and `xact-pipeline`.
//!
//! A record in flight keeps dozens of small blocks until the broker has acknowledged what followed from it. With thousands of
//! records in flight, that order of allocations is the worst case of glibc's allocator.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
