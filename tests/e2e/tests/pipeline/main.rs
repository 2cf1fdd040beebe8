//! End-to-end tests of the pipeline's processes on a real broker, operated as in production.
//!
//! One test program, so that the tests of all files run in parallel: they mostly wait.

mod bad_input;
mod bad_messages;
mod bad_places;
mod console;
mod console_dead_letters;
mod console_deployed;
mod console_overview;
mod costs;
mod demo;
mod dlq_commands;
mod docs;
mod event_hubs;
mod hostile_world;
mod http;
mod idle;
mod irregular_events;
mod large_messages;
mod leftovers;
mod lost_acknowledgements;
mod lost_messages;
mod membership;
mod metrics;
mod offsets_commands;
mod offsets_went_back;
mod one_lake;
mod operators_guide;
mod poison;
mod preflight;
mod processes;
mod producer;
mod real_servers;
mod reconcile;
mod retries;
mod runbooks;
mod scaling;
mod seams;
mod secrets;
mod stopping;
mod table_commands;
mod telemetry;
mod trace;
mod transactions;
mod unreadable_batches;
mod upstream_duplicates;
