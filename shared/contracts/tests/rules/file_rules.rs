//! The decision about a file by its name, the declared type and its first bytes.

mod content;
mod dangerous;
mod declared;
mod differences;
mod names;
mod office;
mod samples;
