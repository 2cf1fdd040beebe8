//! What becomes of a file by its name, the type that its server declares, and its first bytes.

mod content;
mod dangerous;
mod declared;
mod differences;
mod names;
mod office;
mod samples;
